"""The kind `vitest`: one package a project, told by a reporter that is given to its own vitest.

Guarantees
  Results come from the reporter's descriptor only; a test without one has not passed.
  A test that ends its worker, or never yields, has failed; the others run in another process.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.content.json_text import parse_json
from envy.host.process import Completed
from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.channel import EventChannel
from envy.testing.drivers.projects.job import SuiteJob
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.measuring import new_file
from envy.testing.drivers.projects.names import is_lossy, raw_name, test_name
from envy.testing.drivers.projects.npm_packages import (
    LOCKS,
    covered_lines,
    depends_on,
    description_of,
    find_node,
    find_runner,
    is_installed,
    runner_rows,
)
from envy.testing.drivers.projects.project import (
    Folder,
    NotTestable,
    ProjectTests,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.drivers.projects.runner import LONGEST_START

_HERE = Path(__file__).parent
_MODULE = "vitest.mjs"
_STATES = {"passed": "pass", "failed": "fail", "skipped": "skip"}
_NUMBER = re.compile(r"#\d\d+$")
_PROJECT = re.compile(r"^\[[^\]]*\] ")
_LONGEST_PATTERN = 50_000
_PROVIDERS = ("@vitest/coverage-v8", "@vitest/coverage-istanbul")
_BEGUN = "ENVY_TEST_BEGUN"


class VitestKind(TestKind):
    """Projects whose package.json names vitest."""

    name = "vitest"
    measures = True
    project_files = frozenset({"package.json"})
    lock_files = LOCKS

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether package.json names vitest; one above runs the tests below it, too."""
        if above:
            return False
        return depends_on(description_of(folder), "vitest")

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return node, and what says which packages are installed."""
        return runner_rows("vitest", project, tools)

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return the tests that vitest collects, the skipped ones, too."""
        find_runner("vitest", _MODULE, project)
        listing = _Listing()
        channel = EventChannel(listing.take)
        words = [*project.settings.args, *tools.arguments]
        try:
            completed = tools.capture(
                [find_node(project, tools), str(_HERE / "list.mjs"), *words],
                cwd=project.directory,
                environment={
                    **tools.environment_of(project),
                    **channel.variables,
                    "PWD": project.folder,
                    "NO_COLOR": "1",
                },
                label=project.settings.name,
                timeout=tools.listing_timeout,
                event_pipe=channel.pipe,
                on_output=lambda stream, chunk: channel.feed(chunk) if stream == "events" else None,
            )
        finally:
            channel.close()
        said = (completed.stderr + completed.stdout).decode("utf-8", "replace").strip()
        if completed.timed_out:
            raise NotTestable(tools.too_slow("vitest"))
        if listing.old:
            raise NotTestable(
                f"vitest {listing.old} of {project.directory} is too old",
                hint="envy test needs vitest 3 or later",
            )
        if not listing.is_done or completed.exit_code:
            raise NotTestable(f"vitest cannot list its tests\n{said}")
        if not listing.tests:  # shown as one without tests, as it may be a mistake
            return [ProjectTests(project=project, directory=project.directory)]
        return [
            ProjectTests(
                project=project,
                directory=project.directory,
                tests=tuple(listing.tests),
                unloaded=frozenset(listing.unloaded),
            )
        ]

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Check that vitest can measure coverage, if that is asked for."""
        project = packages[0].project
        if tools.coverage is None or any(is_installed(name, project) for name in _PROVIDERS):
            return
        raise NotTestable(
            f"--coverage needs a provider of vitest in {project.directory}, and none is installed",
            hint="npm install --save-dev @vitest/coverage-v8",
        )

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files of the project that its tests covered."""
        return covered_lines(project, tools)

    def run(self, job: SuiteJob) -> None:
        """Run tests by vitest."""
        project = job.package.project
        program = find_runner("vitest", _MODULE, project)
        begun = job.tools.scratch / f"begun-{id(job)}"
        results = _Results(job, begun)
        channel = EventChannel(results.take)
        words = ["run", f"--reporter={_HERE / 'reporter.mjs'}"]
        words += [*project.settings.args, *job.tools.arguments]
        if job.tools.settings.fail_fast:
            words.append("--bail=1")
        if job.tools.coverage is not None:
            words += _measuring(new_file(project, job.tools, ""))
        try:
            completed = job.start(
                [find_node(project, job.tools), program, *words, *_selecting(job)],
                cwd=project.directory,
                environment={_BEGUN: str(begun), "NO_COLOR": "1"},
                channel=channel,
                on_end=results.finish,
                judges_exit=False,
            )
        finally:
            channel.close()
            begun.unlink(missing_ok=True)
        results.conclude(completed)


class _Listing:
    """What the list of tests tells."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}
        self.unloaded: list[str] = []  # files, which are among the tests
        self.old = ""
        self.is_done = False

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, file = event.get("event"), str(event.get("file", ""))
        if kind == "tests":
            names = event.get("tests")
            for name in names if isinstance(names, list) else ():
                self.tests[_shown(file, str(name))] = None
        elif kind == "bad-file":
            self.tests[test_name(file)] = None
            self.unloaded.append(test_name(file))
        elif kind == "old":
            self.old = str(event.get("version"))
        elif kind == "done":
            self.is_done = True


class _Results:
    """What the reporter tells while tests run."""

    def __init__(self, job: SuiteJob, begun: Path) -> None:
        self._job = job
        self._report: SuiteReport = job.report
        self._asked = frozenset(job.tests)
        self._begun = begun
        self._is_done = False
        self._problem = ""
        self._others_fail = False  # a test that was not asked for has failed

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, file, text = (
            event.get("event"),
            str(event.get("file", "")),
            str(event.get("text", "")),
        )
        name = _shown(file, str(event.get("name", "")))
        if kind == "queued":
            self._report.last_change = time.monotonic()
        elif kind == "collected":
            self._await_test()
        elif kind == "done":
            self._is_done, self._problem = True, text
        elif kind == "bad-file":
            name = test_name(file)
            self._report.output(name, f"{text}\n")
            self._report.end(name, "fail", reason="cannot be loaded")
        elif name not in self._asked and not self._job.is_whole:
            # The filter of vitest is less exact.
            self._others_fail = self._others_fail or event.get("state") == "failed"
        elif kind == "output":
            self._report.output(name, text)
        elif kind == "result":
            note = str(event.get("note", ""))
            self._report.output(name, "".join(f"{part}\n" for part in (text, note) if part))
            seconds = event.get("seconds")
            self._report.end(
                name,
                _STATES.get(str(event.get("state")), "fail"),
                seconds=seconds if isinstance(seconds, float) else None,
            )
            self._await_test()

    def _await_test(self) -> None:
        """Let the limit of a test begin now: a file is loaded, so that tests follow."""
        slack = max(0.0, LONGEST_START - self._job.longest_timeout)
        self._report.last_change = time.monotonic() - slack

    def finish(self) -> None:
        """Report the start of the tests during which a worker ended."""
        last: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            for line in self._begun.read_text(encoding="utf-8").splitlines():
                row = parse_json(line)
                last[str(row["worker"])] = _shown(str(row["file"]), str(row["name"]))
        for name in last.values():
            if name in self._asked and name not in self._report.ended:
                self._report.begin(name)

    def conclude(self, completed: Completed) -> None:
        """Fail the package if something else than a test has failed."""
        job = self._job
        if job.crashed:
            if self._problem:
                self._report.output("", f"{self._problem}\n")
        elif not self._is_done:
            job.fail("no results", "vitest ended without telling its results")
        elif self._problem:
            job.fail("unhandled error", self._problem)
        elif not self._others_fail:
            job.fail_without_test(completed)


def _selecting(job: SuiteJob) -> list[str]:
    """Return the arguments that select at least the tests of a job."""
    if job.is_whole:
        return []
    files: dict[str, None] = {}
    texts: dict[str, None] = {}
    for shown in job.tests:
        file, _, name = raw_name(shown).partition("::")
        files[file] = None
        if name:  # else it is a file that cannot be loaded
            texts[_PROJECT.sub("", _NUMBER.sub("", name))] = None
    words = list(files)
    # Where names do not tell all, whole files run, and what was not asked for is left out.
    if texts and not any(map(is_lossy, job.tests)) and sum(map(len, texts)) < _LONGEST_PATTERN:
        # Names of groups are joined by a space there.
        parts = [re.escape(text).replace(r"\ >\ ", "( > | )") for text in texts]
        words.append(f"--testNamePattern=^({'|'.join(parts)})$")
    return words


def _measuring(folder: Path) -> list[str]:
    return [
        "--coverage.enabled=true",
        "--coverage.reporter=lcovonly",
        f"--coverage.reportsDirectory={folder}",
        "--coverage.reportOnFailure=true",
    ]


def _shown(file: str, name: str) -> str:
    return test_name(f"{file}::{name}")
