"""The kind `ctest`: tests of CMake projects, configured and built by cmake, and run by CTest.

Guarantees
  The properties of tests (limits, fixtures, locks, expected failures) are CTest's to respect.
  Tests of a GoogleTest program that have none of these run in one process, by the kind `gtest`.
"""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.limits import TEST_REPORT
from envy.testing.drivers.native.sources import package_name
from envy.testing.drivers.projects.ctest.listing import (
    BadListing,
    numbers_of,
    parse_listing,
    parse_report,
    programs_of,
)
from envy.testing.drivers.projects.gtest.kind import run_program, without_steering
from envy.testing.drivers.projects.inputs import path_rows
from envy.testing.drivers.projects.job import SuiteJob, failure_of, how_ended
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.names import test_name, unequal
from envy.testing.drivers.projects.project import (
    NotTestable,
    ProjectTests,
    SuiteBuildFailed,
    SuiteProject,
    Tools,
)
from envy.testing.evidence import STATUS

_DEFAULT_BUILD = "build"
_CMAKE_CACHE = "CMakeCache.txt"  # the options with which the build was configured
_PROGRAM = "program"  # JSON of the words, folder and variables of a GoogleTest program
_NUMBERS = "numbers"  # JSON of the numbers of tests, by their names
_ALONE = "alone"  # JSON: whose tests of one name the cases are, by the names of tests
_HAS_PROGRAMS = "programs"  # "yes" if CTest also knows tests that it does not run here
_LONGEST = "longest"  # of the limits of tests, in seconds
_OUTPUT = str(8 << 20)  # bytes that are kept of a test
_GRACE = 30.0  # seconds that CTest may take longer than a test


class CTestKind(TestKind):
    """Packages are the build folder, and the GoogleTest programs that CTest knows in it."""

    name = "ctest"
    builds_projects = True
    needs_inputs_to_share = True

    def __init__(self) -> None:
        self._built: dict[Path, Path] = {}  # the scratch folder of the session, by project

    def toolchain(self, project: SuiteProject, tools: Tools) -> list[tuple[str, str]]:
        """Return the programs; `discover` adds the build folder's cache, which names compilers."""
        path = tools.environment_of(project).get("PATH", "")
        return [
            row for name in ("cmake", "ctest") for row in path_rows(name, path, project.folder)
        ]  # fmt: skip

    def discover(self, project: SuiteProject, tools: Tools) -> list[ProjectTests]:
        """Build the project, and list its tests.

        Raises:
            NotTestable: a program is missing, or the build failed.
        """
        try:
            folder = self._build(project, tools)
        except SuiteBuildFailed as error:
            raise NotTestable(str(error)) from error
        completed = _call(project, tools, "ctest", ["--show-only=json-v1"], folder)
        if completed[0]:
            raise NotTestable(f"ctest cannot list the tests of {folder}\n{completed[2]}")
        try:
            listed = parse_listing(completed[1])
        except BadListing as error:
            raise NotTestable(str(error), hint="envy test needs CMake 3.21 or later") from error
        # Configuring again with other options changes no file that git knows.
        rests = ((STATUS, str(folder / _CMAKE_CACHE)),)
        found = []
        for words, where, variables, names in programs_of(listed):
            program = {"words": words, "folder": where or str(folder), "variables": variables}
            found.append(
                ProjectTests(
                    project=project,
                    directory=project.directory,
                    name=package_name(Path(words[0]), tools.root),
                    tests=tuple(dict.fromkeys(map(test_name, names))),
                    data={_PROGRAM: json.dumps(program)},
                    rests=rests,
                )
            )
        others = [test for test in listed if test.gtest is None]
        shown = [test_name(test.name) for test in others]
        names = unequal(shown)
        numbers = {name: test.number for name, test in zip(names, others, strict=True)}
        counts = Counter(shown)
        alone = {name: base for name, base in zip(names, shown, strict=True) if counts[base] > 1}
        if others or not listed:
            own = ProjectTests(
                project=project,
                directory=project.directory,
                tests=tuple(names),
                data={
                    _NUMBERS: json.dumps(numbers),
                    _ALONE: json.dumps(alone),
                    _HAS_PROGRAMS: "yes" if len(others) < len(listed) else "",
                    _LONGEST: str(max((test.timeout for test in others), default=0.0)),
                },
                rests=rests,
            )
            if not listed:
                own.problem = (
                    f"CTest knows no tests in {folder}\n"
                    "hint: CMakeLists.txt needs enable_testing() and add_test()"
                )
            found.append(own)
        return found

    def build(self, packages: Sequence[ProjectTests], tools: Tools) -> None:
        """Build the project, unless that was done in this session."""
        project = packages[0].project
        if self._built.get(project.directory) != tools.scratch:
            self._build(project, tools)

    def _build(self, project: SuiteProject, tools: Tools) -> Path:
        folder = _build_folder(project)
        if not (folder / _CMAKE_CACHE).is_file():
            if not (project.directory / "CMakeLists.txt").is_file():
                raise SuiteBuildFailed(
                    f"there is neither a build in {folder} nor {project.directory}/CMakeLists.txt\n"
                    f"hint: name the folder of CMakeLists.txt as `folder` of "
                    f"tests.{project.settings.name}, and that of the build as `build`"
                )
            words = ["-S", str(project.directory), "-B", str(folder), *project.settings.args]
            _check(_call(project, tools, "cmake", words, project.directory), "cmake -S -B")
        words = ["--build", str(folder), "--parallel", str(tools.build_jobs)]
        _check(_call(project, tools, "cmake", words, project.directory), "cmake --build")
        self._built[project.directory] = tools.scratch
        return folder

    def run(self, job: SuiteJob) -> None:
        """Run the tests of a GoogleTest program, or the others by CTest."""
        program = job.package.data.get(_PROGRAM)
        if program is not None:
            row = json.loads(program)
            pairs = [text.partition("=") for text in row["variables"]]
            variables = {name: value for name, _, value in pairs}
            run_program(job, row["words"], folder=Path(row["folder"]), variables=variables)
            return
        _run_by_ctest(job)


def _run_by_ctest(job: SuiteJob) -> None:
    """Run tests by CTest: those of each time limit by one call, which ends what takes longer.

    A test whose name another one has, in another folder, has a call of its own: the report of CTest
    does not tell them apart.
    """
    alone: dict[str, str] = json.loads(job.package.data[_ALONE])
    groups: dict[tuple[float, str], list[str]] = {}
    for name in job.tests:
        limit = job.tools.settings.timeout_of(job.name, name)
        groups.setdefault((limit, name if name in alone else ""), []).append(name)
    is_whole = job.is_whole and len(groups) == 1 and not job.package.data[_HAS_PROGRAMS]
    for (limit, single), names in groups.items():
        if not job.must_stop():
            meant = {alone[single]: single} if single else {name: name for name in names}
            _call_ctest(job, meant, limit, is_whole=is_whole)


def _call_ctest(job: SuiteJob, meant: Mapping[str, str], limit: float, *, is_whole: bool) -> None:
    """Run tests by one call; `meant` has the test that a name in CTest's report means."""
    settings = job.tools.settings
    numbers = json.loads(job.package.data[_NUMBERS])
    wanted = [numbers[name] for name in meant.values() if name in numbers]
    report = job.tools.scratch / f"ctest-{time.monotonic_ns()}.xml"
    argv = [_program(job.package.project, job.tools, "ctest"), "--output-junit", str(report)]
    argv += ["--test-output-size-passed", _OUTPUT, "--test-output-size-failed", _OUTPUT]
    argv += ["--timeout", f"{limit or 1e9:g}", "--no-tests=error"]
    argv += ["--stop-on-failure"] if settings.fail_fast else []
    argv += [] if is_whole else ["-I", numbers_of(sorted(wanted))]
    patience = float(job.package.data[_LONGEST]) + _GRACE

    def on_line(_: bytes) -> None:
        # CTest limits its tests itself, by their own limits if they have any.
        job.report.last_change = time.monotonic() + patience

    on_line(b"")
    job.environment = without_steering(job.environment)
    completed = job.start(
        [*argv, *job.tools.arguments],
        cwd=_build_folder(job.package.project),
        on_output=on_line,
        judges_exit=False,
    )
    try:
        cases = parse_report(read_plain(str(report), TEST_REPORT))
    except FileNotFoundError:
        if not job.crashed:
            job.fail("no report", f"ctest ended {how_ended(completed)}, and without a report")
        return
    except (OSError, NotPlain, BadListing) as error:
        job.fail("bad report", str(error))
        return
    finally:
        report.unlink(missing_ok=True)
    for case in cases:
        name = meant.get(test_name(case.name), "")
        if name:  # CTest also runs the fixtures that a test needs
            job.report.begin(name)
            job.report.output(name, case.output)
            job.report.end(name, case.action, seconds=case.seconds, reason=case.reason)
    if completed.exit_code and all(case.action != "fail" for case in cases):
        job.fail(failure_of(completed))


def _build_folder(project: SuiteProject) -> Path:
    return project.directory / (project.settings.build or _DEFAULT_BUILD)


def _program(project: SuiteProject, tools: Tools, name: str) -> str:
    found = tools.find_program(name, project)
    if found is None:
        raise NotTestable(
            f"tests.{project.settings.name} needs {name}, and none is on PATH",
            hint='add cmake to envy.lua: packages = { "envy.cmake@r1" }',
        )
    return found


def _call(
    project: SuiteProject, tools: Tools, name: str, words: Sequence[str], folder: Path
) -> tuple[int, str, str]:
    """Run a program; return its exit code, its standard output, and all that it said."""
    completed = tools.capture(
        [_program(project, tools, name), *words],
        cwd=folder,
        environment=without_steering({**tools.environment_of(project), "PWD": os.fspath(folder)}),
        label=name,
    )
    out = completed.stdout.decode("utf-8", "replace")
    return completed.exit_code, out, out + completed.stderr.decode("utf-8", "replace")


def _check(outcome: tuple[int, str, str], what: str) -> None:
    code, _, said = outcome
    if code:
        raise SuiteBuildFailed(f"`{what}` failed with exit code {code}:\n{said.strip()}")
