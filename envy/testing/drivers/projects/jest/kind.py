"""The kind `jest`: one package a project, told by what is put around the runner of its own jest.

Guarantees
  Results come from a descriptor of their own only; a test without one has not passed.
  A test is told of before its body runs: a crash, an early exit or a loop fails that test, and the
  others run in another process.
"""

from __future__ import annotations

import json
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
from envy.testing.drivers.projects.names import raw_name, test_name
from envy.testing.drivers.projects.npm_packages import (
    LOCKS,
    covered_lines,
    depends_on,
    description_of,
    find_node,
    find_runner,
    runner_rows,
)
from envy.testing.drivers.projects.project import (
    Folder,
    NotTestable,
    ProjectTests,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.report import ENDS, SuiteReport

_START = Path(__file__).parent / "start.cjs"
_SELECTION, _LISTS = "ENVY_TEST_SELECTION", "ENVY_TEST_LISTS"
_CONFIGS = frozenset(
    f"jest.config.{ending}" for ending in ("js", "ts", "mjs", "cjs", "cts", "json")
)
_NAMES = "names"  # in the data of a package: names that their shown form does not tell


class JestKind(TestKind):
    """Projects whose package.json names jest, or that have its configuration."""

    name = "jest"
    measures = True
    project_files = frozenset({"package.json"})
    lock_files = LOCKS

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether jest is named or configured; one above runs the tests below it, too."""
        if above:
            return False
        described = description_of(folder)
        is_configured = "jest" in described or bool(_CONFIGS.intersection(folder.names))
        return is_configured or depends_on(described, "jest")

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return node, and what says which packages are installed."""
        return runner_rows("jest", project, tools)

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return the tests that jest collects, the skipped ones, too."""
        find_runner("jest", "package.json", project)
        listing = _Listing()
        channel = EventChannel(listing.take)
        try:
            completed = tools.capture(
                [
                    find_node(project, tools),
                    str(_START),
                    *_words(project, tools),
                    "--coverage=false",
                ],
                cwd=project.directory,
                environment={
                    **tools.environment_of(project),
                    **channel.variables,
                    _LISTS: "1",
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
        if completed.timed_out:
            raise NotTestable(tools.too_slow("jest"))
        if listing.old:
            raise NotTestable(
                f"jest {listing.old} of {project.directory} is too old",
                hint="envy test needs jest 28 or later",
            )
        if listing.other_runner:
            raise NotTestable(
                f"jest of {project.directory} runs its tests by {listing.other_runner}",
                hint="envy test needs jest-circus, the `testRunner` that jest has by default",
            )
        if not listing.is_done:
            said = (completed.stderr + completed.stdout).decode("utf-8", "replace").strip()
            raise NotTestable(f"jest cannot list its tests\n{said}")
        if not listing.tests:  # shown as one without tests, as it may be a mistake
            return [ProjectTests(project=project, directory=project.directory)]
        return [
            ProjectTests(
                project=project,
                directory=project.directory,
                tests=tuple(listing.tests),
                unloaded=frozenset(listing.unloaded),
                data=listing.data,
            )
        ]

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Build nothing: jest transforms files when it loads them."""

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files of the project that its tests covered."""
        return covered_lines(project, tools)

    def run(self, job: SuiteJob) -> None:
        """Run tests by jest."""
        project, tools = job.package.project, job.tools
        results = _Results(job)
        channel = EventChannel(results.take)
        words = _words(project, tools)
        if tools.settings.fail_fast:
            words.append("--bail=1")
        if tools.coverage is not None:
            words += _measuring(new_file(project, tools, ""))
        place = tools.scratch / f"jest-{id(job)}.json"
        variables = {"NO_COLOR": "1"}
        if not job.is_whole:
            wanted = _wanted(job)
            place.write_text(json.dumps(wanted), encoding="utf-8")
            variables[_SELECTION] = str(place)
            words += ["--runTestsByPath", *wanted]
        try:
            completed = job.start(
                [find_node(project, tools), str(_START), *words],
                cwd=project.directory,
                environment=variables,
                channel=channel,
            )
        finally:
            channel.close()
            place.unlink(missing_ok=True)
        results.conclude(completed)


class _Listing:
    """What the list of tests tells."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}
        self.unloaded: list[str] = []  # files, which are among the tests
        self.old = ""
        self.other_runner = ""
        self.is_done = False
        self._names: dict[str, list[str]] = {}

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, file = event.get("event"), str(event.get("file", ""))
        if kind == "tests":
            names = event.get("tests")
            for name in names if isinstance(names, list) else ():
                shown = _shown(file, str(name))
                if shown in self.tests or raw_name(shown) != f"{file}::{name}":
                    self._names.setdefault(shown, _raw(shown) if shown in self.tests else [])
                    self._names[shown].append(str(name))
                self.tests[shown] = None
        elif kind == "bad-file":
            self.tests[test_name(file)] = None
            self.unloaded.append(test_name(file))
        elif kind == "old":
            self.old = str(event.get("version"))
        elif kind == "other-runner":
            self.other_runner = str(event.get("name"))
        elif kind == "done":
            self.is_done = True

    @property
    def data(self) -> dict[str, str]:
        """The names that cannot be told from how they are shown."""
        return {_NAMES: json.dumps(self._names)} if self._names else {}


class _Results:
    """What is told while tests run."""

    def __init__(self, job: SuiteJob) -> None:
        self._job = job
        self._report: SuiteReport = job.report
        self._is_done = False

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, file = event.get("event"), str(event.get("file", ""))
        report = self._report
        report.last_change = time.monotonic()
        text = str(event.get("text", ""))
        name = _shown(file, str(event.get("name", "")))
        if kind == "start":
            report.begin(name)
        elif kind == "again":
            report.running.pop(name, None)
        elif kind == "end":
            outcome, seconds = str(event.get("outcome")), event.get("seconds")
            report.begin(name)
            report.output(name, f"{text}\n" if text else "")
            report.end(
                name,
                outcome if outcome in ENDS else "fail",
                seconds=float(seconds) if isinstance(seconds, int | float) else None,
            )
        elif kind == "bad-file":
            self._fail_file(file, text)
        elif kind == "done":
            self._is_done = True

    def _fail_file(self, file: str, text: str) -> None:
        """Fail what has no result of a file, or the package if all of its tests have one."""
        start = test_name(f"{file}::")
        own = [
            name for name in self._job.tests if name == test_name(file) or name.startswith(start)
        ]
        left = [name for name in own if name not in self._report.ended]
        for name in left:
            self._report.output(name, f"{text}\n")
            self._report.end(name, "fail", reason="cannot be loaded")
        if not left:
            self._job.fail("failed outside its tests", f"{file}:\n{text}")

    def conclude(self, completed: Completed) -> None:
        """Fail the package if jest has not come to its end, or failed without a failed test."""
        if not (self._is_done or self._job.crashed):
            self._job.fail("no results", "jest ended without telling its results")
        self._job.fail_without_test(completed)


def _words(project: SuiteProject, tools: Tools) -> list[str]:
    return [*project.settings.args, *tools.arguments]


def _wanted(job: SuiteJob) -> dict[str, list[str]]:
    """Return the names of the tests of a job, by file."""
    kept = parse_json(job.package.data.get(_NAMES, "{}"))
    found: dict[str, list[str]] = {}
    for shown in job.tests:
        file = raw_name(shown).partition("::")[0]
        found.setdefault(file, []).extend(kept.get(shown) or _raw(shown))
    return found


def _raw(shown: str) -> list[str]:
    """Return the name of a test in its file; none if it is a file that cannot be loaded."""
    name = raw_name(shown).partition("::")[2]
    return [name] if name else []


def _measuring(folder: Path) -> list[str]:
    return ["--coverage", "--coverageReporters=lcovonly", f"--coverageDirectory={folder}"]


def _shown(file: str, name: str) -> str:
    return test_name(f"{file}::{name}")
