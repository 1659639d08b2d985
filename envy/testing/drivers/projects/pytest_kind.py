"""The kind pytest: one package a project, told by a plugin that is given to the project's pytest.

All tests of a project run in one process, as with `pytest` itself: its fixtures of the session, its
options and its configuration mean what they mean there. Some tests are selected by the plugin.

Guarantees
  Results come from the plugin's descriptor only; a process without its last event has not passed.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.host.process import Completed
from envy.testing.coverage.model import FileCoverage
from envy.testing.drivers.projects.channel import EventChannel
from envy.testing.drivers.projects.inputs import program_rows
from envy.testing.drivers.projects.job import SuiteJob, failure_of, how_ended
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import raw_name, test_name
from envy.testing.drivers.projects.project import (
    Folder,
    NotTestable,
    ProjectTests,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.pytest_coverage import (
    check_coverage,
    covered_by_pytest,
    measuring_words,
)
from envy.testing.drivers.projects.python_program import (
    ADD_PYTEST,
    environment_rows,
    find_pytest,
    places_rows,
    search_rows,
)
from envy.testing.drivers.projects.report import SuiteReport

_REPORTER = "envy_pytest_reporter"
_SETTINGS = {
    "pytest.ini": re.compile(""),
    "pytest.toml": re.compile(""),
    "pyproject.toml": re.compile(r"^\s*\[tool\.pytest\b", re.MULTILINE),
    "setup.cfg": re.compile(r"^\[tool:pytest\]", re.MULTILINE),
    "tox.ini": re.compile(r"^\[pytest\]", re.MULTILINE),
}
_PYTHON = frozenset({"pyproject.toml", "setup.cfg", "setup.py"})
_TEST_FILE = re.compile(r"test_.*\.py|.*_test\.py")
_SPECIAL = {"fail": "fail", "skip": "skip", "pass": "pass"}
_NO_TESTS = 5  # pytest's exit code
_LONGEST_OUTPUT = 64 << 10


class PytestKind(TestKind):
    """Projects with settings of pytest, or Python projects with tests where they usually are."""

    name = "pytest"
    measures = True
    project_files = frozenset({*_SETTINGS, *_PYTHON, "conftest.py"})
    lock_files = ("uv.lock", "poetry.lock", "pdm.lock", "requirements.txt")

    def is_project(self, folder: Folder, *, above: bool) -> bool:
        """Return whether a folder has settings of pytest, or is a Python project with tests."""
        if any(
            name in folder.names and pattern.search(folder.read(name))
            for name, pattern in _SETTINGS.items()
        ):
            return True
        if above:
            return False
        if "conftest.py" in folder.names:
            return True
        if not _PYTHON & set(folder.names):
            return False
        return _has_tests(folder.names) or any(
            _has_tests(_names(f"{folder.path}/{name}")) for name in ("tests", "test")
        )

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return pytest, its Python, and what is installed beside it."""
        rows = search_rows(project, tools)
        try:
            argv = find_pytest(project, tools)
        except NotTestable:
            return rows
        return [*rows, *program_rows(argv[0]), *environment_rows(argv[0])]

    def identity(self, project: SuiteProject, tools: Tools) -> str:
        """Return the command."""
        try:
            return "\0".join(find_pytest(project, tools))
        except NotTestable:
            return ""

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Return the tests that pytest collects."""
        argv = find_pytest(project, tools)
        collection = _Collection()
        channel = EventChannel(collection.take)
        try:
            completed = tools.capture(
                [*argv, *_plugin(), "--collect-only", "-q", *_own_words(project, tools)],
                cwd=project.directory,
                environment={
                    **tools.environment_of(project),
                    **_variables(project, tools),
                    **channel.variables,
                    "PWD": project.folder,
                },
                label=project.settings.name,
                timeout=tools.listing_timeout,
                event_pipe=channel.pipe,
                on_output=lambda stream, chunk: channel.feed(chunk) if stream == "events" else None,
            )
        finally:
            channel.close()
        output = (completed.stdout + completed.stderr).decode("utf-8", "replace").strip()
        if completed.timed_out:
            raise NotTestable(f"{tools.too_slow('pytest')}\n{output}".strip())
        if collection.status is None or completed.exit_code not in {0, _NO_TESTS, 2}:
            hint = ADD_PYTEST if "No module named pytest" in output else ""
            raise NotTestable(_why_not(argv, output, completed.exit_code), hint=hint)
        if collection.errors and completed.exit_code:
            raise NotTestable("\n".join(["pytest cannot collect all tests", *collection.errors]))
        return collection.packages(project)

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Check that coverage can be measured, if that is asked for."""
        if tools.coverage is not None:
            check_coverage(packages[0].project, tools)

    def covered(self, project: SuiteProject, tools: Tools) -> Mapping[str, FileCoverage]:
        """Return the files of the project that its tests covered."""
        return covered_by_pytest(project, tools)

    def run(self, job: SuiteJob) -> None:
        """Run tests by pytest."""
        project = job.package.project
        data = job.package.data
        session = _Session(job.report, data)
        channel = EventChannel(session.take)
        words = []
        variables = _variables(project, job.tools)
        if not job.is_whole:
            ids = [session.id_of(name) for name in job.tests]
            words = _paths_of(ids, data)
            place = job.tools.scratch / f"selection-{id(job)}.json"
            place.write_text(json.dumps(ids), encoding="utf-8")
            variables["ENVY_TEST_SELECTION"] = str(place)
        try:
            argv = find_pytest(project, job.tools)
            if job.tools.coverage is not None:
                argv = measuring_words(project, job.tools, argv)
            completed = job.start(
                [*argv, *_plugin(), *_own_words(project, job.tools), *words],
                cwd=project.directory,
                environment=variables,
                channel=channel,
                on_stdout=session.take_output,
                ending_signal=signal.SIGABRT,  # pytest's faulthandler shows where it is
                judges_exit=False,
            )
        finally:
            channel.close()
        session.conclude(job, completed)


class _Collection:
    """What the plugin tells while pytest collects."""

    def __init__(self) -> None:
        self.ids: dict[str, None] = {}
        self.errors: list[str] = []
        self._bad: list[str] = []  # files that cannot be collected
        self.status: int | None = None
        self._data: dict[str, str] = {}
        self._places: Mapping[str, object] = {}

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        kind, name, text = event.get("event"), str(event.get("id", "")), str(event.get("text", ""))
        if kind in {"item", "collect-skip"}:
            self.ids[name] = None
        elif kind == "collect-error":
            self.ids[name] = None
            self._bad.append(name)
            self.errors.append(f"{name}\n{text}")
        elif kind == "internal-error":
            self.errors.append(text)
        elif kind == "places":
            self._places = event
        elif kind == "config":
            self._data = {"root": str(event.get("root", "")), "ini": str(event.get("ini", ""))}
        elif kind == "done":
            self.status = int(str(event.get("status", 3)))

    def packages(self, project: SuiteProject) -> list[ProjectTests]:
        """Return the package of the project: its folder is the one that has all test files."""
        if not self.ids:  # shown as one without tests, as it may be a mistake
            return [ProjectTests(project=project, directory=project.directory)]
        root = Path(self._data["root"])
        folder = _common_folder([_file_of(one) for one in self.ids])
        data = {**self._data, "folder": folder}
        names = {_name_of(one, folder): one for one in self.ids}
        odd = {name: one for name, one in names.items() if _plain_id(name, folder) != one}
        if odd:
            data["ids"] = json.dumps(odd)
        directory = root / folder
        return [
            ProjectTests(
                project=project,
                directory=directory if directory.is_dir() else project.directory,
                tests=tuple(names),
                unloaded=frozenset(_name_of(one, folder) for one in self._bad),
                data=data,
                rests=places_rows(self._places, project),
            )
        ]


class _Session:
    """What the plugin tells while tests run."""

    def __init__(self, report: SuiteReport, data: Mapping[str, str]) -> None:
        self._report = report
        self._folder = data["folder"]
        self._odd: dict[str, str] = json.loads(data.get("ids", "{}"))
        self._output = b""
        self._shows_output = False
        self._done = False

    def id_of(self, name: str) -> str:
        """Return pytest's name of a test."""
        return self._odd.get(name) or _plain_id(name, self._folder)

    def take(self, event: Mapping[str, object]) -> None:
        """Take one event."""
        report, kind = self._report, event.get("event")
        text, seconds = str(event.get("text", "")), event.get("seconds")
        took = float(seconds) if isinstance(seconds, int | float) else None
        name = _name_of(str(event.get("id", "")), self._folder) if event.get("id") else ""
        outcome = _SPECIAL.get(str(event.get("outcome")), "fail")
        if kind == "start":
            report.begin(name)
        elif kind == "output":
            report.output(name, text)
        elif kind == "end":
            report.end(name, outcome, seconds=took, reason=str(event.get("reason", "")))
        elif kind == "subtest":
            inner = report.unique(f"{name}/{test_name(str(event.get('name', '')))}")
            report.begin(inner)
            report.output(inner, f"{text}\n" if text else "")
            report.end(inner, outcome, seconds=took)
        elif kind in {"collect-error", "collect-skip"}:
            report.output(name, f"{text}\n")
            is_error = kind == "collect-error"
            reason = "cannot be collected" if is_error else ""
            report.end(name, "fail" if is_error else "skip", seconds=0.0, reason=reason)
        elif kind == "internal-error":
            report.output("", f"{text}\n")
        elif kind == "config":
            self._shows_output = event.get("capture") == "no"
        elif kind == "done":
            self._done = True

    def take_output(self, chunk: bytes) -> None:
        """Take output of pytest, or, if it captures nothing, of tests."""
        if self._shows_output:
            self._report.stray(chunk)
        else:
            self._output = (self._output + chunk)[-_LONGEST_OUTPUT:]

    def conclude(self, job: SuiteJob, completed: Completed) -> None:
        """Fail the package if pytest did not come to its end, or failed without a failed test."""
        if job.crashed or job.owner.reason:
            return
        code = completed.exit_code
        if self._done and (not code or job.report.failed):
            return
        if code == _NO_TESTS and not job.tests:
            return
        job.report.output("", self._output)
        what = "no test failed, but pytest ended" if self._done else "pytest ended early,"
        job.fail(failure_of(completed) or "exit 0", f"{what} {how_ended(completed)}")


def _plugin() -> list[str]:
    return ["-p", _REPORTER]


def _own_words(project: SuiteProject, tools: Tools) -> list[str]:
    return [*project.settings.args, *tools.arguments]


def _variables(project: SuiteProject, tools: Tools) -> dict[str, str]:
    """Return PYTHONPATH with the folder of the plugin, which is put there first."""
    folder = tools.scratch / "pytest"
    place = folder / f"{_REPORTER}.py"
    if not place.exists():
        folder.mkdir(exist_ok=True)
        shutil.copyfile(Path(__file__).parent / "reporters" / place.name, place)
    before = tools.environment_of(project).get("PYTHONPATH", "")
    return {"PYTHONPATH": f"{folder}:{before}" if before else str(folder)}


def _paths_of(ids: Sequence[str], data: Mapping[str, str]) -> list[str]:
    """Return the words for some tests: their files, with the configuration of the whole."""
    words = ["--rootdir", data["root"], *(["-c", data["ini"]] if data["ini"] else [])]
    files = dict.fromkeys(f"{data['root']}/{_file_of(one)}" for one in ids)
    return [*words, *files]


def _file_of(node: str) -> str:
    return node.partition("::")[0]


def _common_folder(files: Sequence[str]) -> str:
    """Return the folder that has all files; "" is the root."""
    parts = [file.split("/")[:-1] for file in files]
    if not parts:
        return ""
    common = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common.append(level[0])
    return "/".join(common)


def _name_of(node: str, folder: str) -> str:
    return test_name(node.removeprefix(f"{folder}/") if folder else node)


def _plain_id(name: str, folder: str) -> str:
    node = raw_name(name)
    return f"{folder}/{node}" if folder else node


def _has_tests(names: object) -> bool:
    return any(_TEST_FILE.fullmatch(str(name)) for name in names)  # type: ignore[attr-defined]


def _names(folder: str) -> list[str]:
    try:
        return [path.name for path in Path(folder).iterdir()]
    except OSError:
        return []


def _why_not(argv: Sequence[str], output: str, code: int) -> str:
    last = "\n".join(output.splitlines()[-20:])
    return f"{' '.join(argv)} cannot list its tests (exit code {code})\n{last}".rstrip()
