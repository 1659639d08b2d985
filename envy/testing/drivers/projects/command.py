"""The kind of suites that are a command of the manifest: any runner whose results can be read.

The format says how: `tap`, `junit` and `test2json` from standard output, or from the file that
`report` names; with `exit`, the exit code is the result of the only test.

Guarantees
  A command that reports no test has not passed, nor has one that fails although its tests passed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.suite_settings import COMMAND, FORMATS, SuiteSettings
from envy.host.process import Completed
from envy.limits import TEST_REPORT
from envy.testing.drivers.projects.go_stream import GoStreamReader
from envy.testing.drivers.projects.inputs import path_rows, program_rows
from envy.testing.drivers.projects.job import SuiteJob, failure_of, how_ended
from envy.testing.drivers.projects.junit_report import BadReport, read_report
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import test_name
from envy.testing.drivers.projects.project import ProjectTests, SuiteProject, Tools
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.drivers.projects.tap import TapReader
from envy.testing.evidence import mark_of

_SHELL = "/bin/sh"
_LONGEST_SHOWN = 200


class CommandKind(TestKind):
    """A command and the format of its results."""

    name = COMMAND
    selects = False
    needs_inputs_to_share = True

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return one package, whose tests are known when they have run."""
        del tools
        settings = project.settings
        only = (test_name(settings.name),) if settings.format == "exit" else ()
        return [
            ProjectTests(
                project=project,
                directory=project.directory,
                name=settings.name,
                tests=only,
                is_open=not only,
            )
        ]

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return the program of the command; what that starts is not known."""
        settings = project.settings
        if settings.is_shell:
            return program_rows(_SHELL)
        if os.sep in settings.command[0]:
            return program_rows(str(project.directory / settings.command[0]))
        path = tools.environment_of(project).get("PATH", "")
        return path_rows(settings.command[0], path, project.folder)

    def run(self, job: SuiteJob) -> None:
        """Run the command, and read its results."""
        settings = job.package.project.settings
        argv = [_SHELL, "-c", *settings.command] if settings.is_shell else list(settings.command)
        argv += job.tools.arguments
        if settings.format == "exit":
            _run_by_exit_code(job, argv)
            return
        reader = _reader(settings, job)
        report_path = job.package.directory / settings.report if settings.report else None
        before = mark_of(str(report_path)) if report_path is not None else ""
        completed = job.start(
            argv,
            on_stdout=reader.feed if report_path is None else job.report.stray,
            judges_exit=False,
            tells_starts=settings.format == "test2json",
        )
        if report_path is not None and not _feed_file(job, reader, report_path, before):
            return
        _conclude(job, reader, completed)


class _Reader(Protocol):
    first_line: str
    is_known: bool

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of output."""

    def finish(self) -> str:
        """Take the end; return why the package failed."""


def _reader(settings: SuiteSettings, job: SuiteJob) -> _Reader:
    kinds: dict[str, Callable[[SuiteReport], _Reader]] = {
        "tap": TapReader,
        "junit": JunitReader,
        "test2json": GoStreamReader,
    }
    return kinds[settings.format](job.report)


def _run_by_exit_code(job: SuiteJob, argv: list[str]) -> None:
    """Run the command as the only test of its package."""
    (test,) = job.package.tests
    job.report.begin(test)
    completed = job.start(argv, ends_running=False)
    if test in job.report.ended:
        return
    reason = failure_of(completed)
    job.report.end(test, "fail" if reason else "pass", reason=reason)


def _feed_file(job: SuiteJob, reader: _Reader, path: Path, before: str) -> bool:
    """Read the report file; return False if that failed the package."""
    try:
        if mark_of(str(path)) == before:
            raise BadReport("was not written by the command")
        reader.feed(read_plain(str(path), TEST_REPORT))
    except BadReport as error:
        job.fail("no report", f"the report {path} {error}")
    except NotPlain as error:
        job.fail("bad report", f"the report {path} {error}")
    except OSError as error:
        job.fail("no report", f"the report {path} cannot be read: {error.strerror}")
    else:
        return True
    return False


def _conclude(job: SuiteJob, reader: _Reader, completed: Completed) -> None:
    """Fail the package if its output is no report, or says less than its exit code."""
    code, how = completed.exit_code, how_ended(completed)
    settings = job.package.project.settings
    problem = reader.finish()
    if not reader.is_known and not problem:
        if not reader.first_line:
            job.fail("no results", f"the command printed no results, and ended {how}")
        else:
            shown = reader.first_line[:_LONGEST_SHOWN]
            job.fail(
                "bad report",
                f"the output is not {settings.format}; it begins with {shown!r}\n"
                f"hint: `format` of tests.{settings.name} is one of {', '.join(FORMATS)}",
            )
    elif problem:
        job.fail("bad report", problem)
    elif not job.report.ended and not code and not _is_empty_plan(reader):
        job.fail("no results", "the command reported no test")
    if code and not job.report.failed:
        job.fail(failure_of(completed), f"no test failed, but the command ended {how}")


def _is_empty_plan(reader: _Reader) -> bool:
    """Return whether the output says that there is nothing to test: `1..0`."""
    return isinstance(reader, TapReader) and reader.says_nothing


class JunitReader:
    """Takes a JUnit report, and tells its tests at its end."""

    def __init__(self, report: SuiteReport) -> None:
        self._report = report
        self._chunks: list[bytes] = []
        self._size = 0
        self.first_line = ""
        self.is_known = False

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of the report."""
        self._size += len(chunk)
        if self._size <= TEST_REPORT.value + 1:
            self._chunks.append(chunk)

    def finish(self) -> str:
        """Tell the tests; return why the report cannot be used."""
        data = b"".join(self._chunks)
        text = data[: 1 << 16].decode("utf-8", "replace").strip()
        self.first_line = text.partition("\n")[0].strip()
        if self._size > TEST_REPORT.value:
            return f"the report exceeds {TEST_REPORT.shown}\nhint: {TEST_REPORT.hint}"
        if not text.lstrip("\ufeff").startswith("<"):
            return ""
        self.is_known = True
        try:
            cases = read_report(data.strip())
        except BadReport as error:
            return f"the report {error}; it begins with {self.first_line[:_LONGEST_SHOWN]!r}"
        for case in cases:
            name = self._report.unique(test_name(case.name))
            self._report.begin(name)
            for output in case.output:
                self._report.output(name, f"{output}\n")
            self._report.end(name, case.outcome, seconds=case.seconds or 0.0)
        return ""
