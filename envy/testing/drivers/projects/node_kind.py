"""The kind node: tests of `node --test`, each file in a process, told by a reporter.

node runs each file in a process, too, and reads the results from what that prints. Here the
reporter is in the process of the file, and has a descriptor of its own, so that output is output.

Guarantees
  A test is told of before its body runs: a crash, an early exit or a loop fails that test.
  A file whose process does not come to its end, or fails without a failed test, fails.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.errors import UsageError
from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.channel import EventChannel
from envy.testing.drivers.projects.inputs import path_rows
from envy.testing.drivers.projects.job import SuiteJob, failure_of, how_ended
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.measuring import new_file, read_traces
from envy.testing.drivers.projects.names import is_lossy, raw_name, test_name, test_path
from envy.testing.drivers.projects.node_files import NodeCommand, command_of, test_files
from envy.testing.drivers.projects.node_installed import installed_rows
from envy.testing.drivers.projects.project import (
    Folder,
    NotTestable,
    ProjectTests,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.report import ENDS, SuiteReport
from envy.testing.patterns import compile_part, split_alternatives, subtests_of

# What regular expressions of JavaScript do not have, or read differently.
_NOT_IN_NODE = re.compile(r"\(\?(?!:)|\\[AzZ]")
_OLDEST = (18, 15)
_MEASURES = (20, 11)  # the first that writes tracefiles
_VERSION = re.compile(r"v(\d+)\.(\d+)\.")


class NodeRunnerKind(TestKind):
    """Packages of npm with a script that runs `node --test`."""

    name = "node"
    measures = True
    project_files = frozenset({"package.json"})
    lock_files = ("package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml")

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether a package has such a script."""
        del above
        return command_of(folder) is not None

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return node, and what npm, yarn or pnpm say that they have installed."""
        path = tools.environment_of(project).get("PATH", "")
        return [*path_rows("node", path, project.folder), *installed_rows(project)]

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return the tests of all files, which are loaded; a hook stops the bodies of tests."""
        node = _node(project, tools)
        command = _command(project)
        files = test_files(project, project.settings.files or command.files)
        if not files:
            raise NotTestable(f"{project.folder} has no test files for node --test")
        folder = _common_folder(files)
        names: list[str] = []
        odd: dict[str, str] = {}
        unloaded: set[str] = set()
        for file in files:
            flags = _flags(project, command, tools)
            found, is_loaded = _listed(project, tools, [node, *flags], file, folder, odd=odd)
            names += found
            unloaded |= set() if is_loaded else {found[0]}
        return [
            ProjectTests(
                project=project,
                directory=project.directory / folder,
                tests=tuple(dict.fromkeys(names)),
                unloaded=frozenset(unloaded),
                data={"folder": folder, **({"odd": json.dumps(odd)} if odd else {})},
            )
        ]

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Check that node can measure coverage, if that is asked for."""
        if tools.coverage is not None:
            _node(packages[0].project, tools, oldest=_MEASURES)

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files of the project that its tests covered."""
        command = _command(project)
        tests = set(test_files(project, project.settings.files or command.files))
        return read_traces(
            project, tools, ending=".info",
            counts=lambda path: path not in tests and "node_modules" not in path.split("/"),
        )  # fmt: skip

    def run(self, job: SuiteJob) -> None:
        """Run the files of the tests, one after another."""
        project = job.package.project
        argv = [_node(project, job.tools), *_flags(project, _command(project), job.tools)]
        files: dict[str, list[str]] = {}
        for name in job.tests:
            files.setdefault(name.partition("::")[0], []).append(name)
        whole: dict[str, int] = {}
        for name in job.package.tests:
            file = name.partition("::")[0]
            whole[file] = whole.get(file, 0) + 1
        for number, (file, names) in enumerate(files.items()):
            if job.must_stop():
                return
            is_whole = not job.package.is_partial and len(names) == whole.get(file)
            _run_file(job, argv, file, [] if is_whole else names, number)


class _File:
    """What the reporter tells of one file while it runs."""

    def __init__(self, report: SuiteReport, file: str) -> None:
        self._report = report
        self._file = file
        self.has_tests = False
        self.done = False

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, report = event.get("event"), self._report
        if kind == "item":
            self.has_tests = True
        elif kind == "start":
            report.begin(_name_of(self._file, str(event.get("name", ""))))
        elif kind == "done":
            self.done = True
        elif kind == "end":
            path = event.get("path")
            levels = [str(level) for level in path] if isinstance(path, list) and path else ["?"]
            name = _name_of(self._file, levels[0])
            name = "/".join([name, *(test_name(level) for level in levels[1:])])
            outcome, seconds = str(event.get("outcome")), event.get("seconds")
            text = str(event.get("text", ""))
            report.begin(name)
            report.output(name, f"{text}\n" if text else "")
            report.end(
                name,
                outcome if outcome in ENDS else "fail",
                seconds=float(seconds) if isinstance(seconds, int | float) else None,
            )


def _run_file(
    job: SuiteJob, argv: Sequence[str], file: str, names: Sequence[str], number: int
) -> None:
    """Run a file, or, if names are given, some of its tests."""
    told = _File(job.report, file)
    channel = EventChannel(told.take)
    variables = {}
    selection = _selection(job, file, names)
    if selection:
        place = job.tools.scratch / f"node-{id(job)}-{number}.json"
        place.write_text(json.dumps(selection), encoding="utf-8")
        variables["ENVY_TEST_SELECTION"] = str(place)
    is_file_only = list(names or [file]) == [file] and file in job.package.tests
    if is_file_only:
        job.report.begin(file)
        variables.pop("ENVY_TEST_SELECTION", None)
    failed = len(job.report.failed)
    tools = job.tools
    if tools.coverage is not None:
        argv = [*argv, *_measuring(new_file(job.package.project, tools, ".info"))]
    try:
        completed = job.start(
            [*argv, _path_of(job.package, file)],
            cwd=job.package.project.directory,
            environment=variables,
            channel=channel,
            judges_exit=False,
            ends_running=not is_file_only,
        )
    finally:
        channel.close()
    if is_file_only:
        if file not in job.report.ended:
            reason = failure_of(completed)
            job.report.end(file, "fail" if reason else "pass", reason=reason)
        return
    if job.crashed or len(job.report.failed) > failed:
        return
    if not told.done or (completed.exit_code and not selection):
        # Tests that did not begin are reported as missing; the file says why.
        reason = failure_of(completed) or "exit 0"
        job.fail(reason, f"{file} ended early, {how_ended(completed)}")


def _selection(job: SuiteJob, file: str, names: Sequence[str]) -> dict[str, object]:
    """Return the tests and subtests of a file that are to run; {} for all."""
    here = [name for name in job.tests if name.startswith(f"{file}::")]
    inner = subtests_of(here, job.run)
    odd: Mapping[str, str] = json.loads(job.package.data.get("odd", "{}"))
    skipped = {
        name: [parts[1:] for parts in split_alternatives(job.skip) if _skips(parts, name)]
        for name in (here if job.skip else ())
    }
    for rows in (*inner.values(), *skipped.values()):
        for part in (part for parts in rows for part in parts):
            if _NOT_IN_NODE.search(part):
                raise UsageError(f"--run or --skip has syntax that node cannot evaluate: {part!r}")
    if not names and not inner and not any(skipped.values()):
        return {}
    return {
        "names": [_own_name(name, odd) for name in names] or None,
        "inner": {_own_name(name, odd): rows for name, rows in inner.items()},
        "skipped": {_own_name(name, odd): rows for name, rows in skipped.items() if rows},
    }


def _skips(parts: Sequence[str], name: str) -> bool:
    first = compile_part(parts[0])
    return len(parts) > 1 and first is not None and first.search(name) is not None


def _listed(
    project: SuiteProject, tools: Tools, argv: Sequence[str], file: str, folder: str, *,
    odd: dict[str, str],
) -> tuple[list[str], bool]:  # fmt: skip
    """Return the tests of a file, the file itself if it has none; and whether these are all.

    What node calls tests with a name that does not show it is added to `odd`.
    """
    found: list[str] = []
    is_loaded = True
    own = file.removeprefix(f"{folder}/") if folder else file

    def take(event: Mapping[str, object]) -> None:
        nonlocal is_loaded
        if event.get("event") == "item":
            name = str(event.get("name", ""))
            found.append(_name_of(_escaped(own), name))
            if is_lossy(found[-1]):
                odd[found[-1]] = name
        elif event.get("event") == "unloaded":
            is_loaded = False

    channel = EventChannel(take)
    try:
        completed = tools.capture(
            [*argv, file],
            cwd=project.directory,
            environment={
                **tools.environment_of(project),
                **channel.variables,
                "ENVY_TEST_LISTS": "1",
                "PWD": project.folder,
            },
            label=project.settings.name,
            timeout=tools.listing_timeout,
            event_pipe=channel.pipe,
            on_output=lambda stream, chunk: channel.feed(chunk) if stream == "events" else None,
        )
    finally:
        channel.close()
    return found or [_escaped(own)], is_loaded and not failure_of(completed)


def _measuring(trace: Path) -> list[str]:
    return [
        "--experimental-test-coverage",
        "--test-reporter=lcov",
        f"--test-reporter-destination={trace}",
    ]


def _node(project: SuiteProject, tools: Tools, *, oldest: tuple[int, int] = _OLDEST) -> str:
    node = tools.find_program("node", project)
    if node is None:
        raise NotTestable(
            f"there is no node for {project.folder}: none in the manifest's packages or on PATH",
            hint='add it to envy.lua: packages = { "envy.node@r1" }',
        )
    said = tools.capture(
        [node, "--version"],
        cwd=project.directory,
        environment=tools.environment_of(project),
        label=project.settings.name,
    ).stdout.decode("utf-8", "replace")
    version = _VERSION.match(said)
    if version is None or (int(version[1]), int(version[2])) < oldest:
        what = "its tests need" if oldest == _OLDEST else "--coverage needs"
        number = ".".join(map(str, oldest))
        raise NotTestable(
            f"{node} is {said.strip() or 'not node'}, and {what} node {number} or later",
            hint='add a later one to envy.lua: packages = { "envy.node@r1" }',
        )
    return node


def _command(project: SuiteProject) -> NodeCommand:
    names = [path.name for path in project.directory.iterdir()]
    return command_of(Folder(project.folder, names)) or NodeCommand()


def _flags(project: SuiteProject, command: NodeCommand, tools: Tools) -> list[str]:
    folder = tools.scratch / "node"
    if not folder.exists():
        source = Path(__file__).parent / "reporters"
        ready = tools.scratch / "node-new"
        ready.mkdir(exist_ok=True)
        for name in ("envy_node_preload.cjs", "envy_node_reporter.mjs"):
            shutil.copyfile(source / name, ready / name)
        ready.rename(folder)
    own = [
        "--require",
        str(folder / "envy_node_preload.cjs"),
        f"--test-reporter={(folder / 'envy_node_reporter.mjs').as_uri()}",
        "--test-reporter-destination=stdout",
    ]
    return [*command.flags, *project.settings.args, *tools.arguments, *own]


def _common_folder(files: Sequence[str]) -> str:
    parts = [file.split("/")[:-1] for file in files]
    common: list[str] = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return "/".join(common)


def _escaped(file: str) -> str:
    return test_path(file)


def _name_of(file: str, name: str) -> str:
    return f"{file}::{test_name(name)}"


def _own_name(name: str, odd: Mapping[str, str]) -> str:
    """Return node's name of a test; `odd` has those that cannot be told from ours."""
    return odd.get(name) or raw_name(name.partition("::")[2])


def _path_of(package: ProjectTests, file: str) -> str:
    path = raw_name(file)
    folder = package.data.get("folder", "")
    return f"{folder}/{path}" if folder else path
