"""The driver of one suite: carries its projects through a session, by their kind.

Guarantees
  What the results rest on is observed before a program of the project starts.
  The tests of a project are listed again only if something that they rest on has changed.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from envy.errors import ScriptFailed
from envy.testing.affected import cause_of
from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes
from envy.testing.consulted import Unkept
from envy.testing.coverage.model import PackageCoverage
from envy.testing.drivers.native.results import counting
from envy.testing.drivers.native.sources import package_name, place_of
from envy.testing.drivers.projects.changed import ProjectCause, cause_in_project
from envy.testing.drivers.projects.finding import Suite, matching
from envy.testing.drivers.projects.inputs import Snapshot, add_inputs, of_rows
from envy.testing.drivers.projects.listings import Listings
from envy.testing.drivers.projects.project import (
    NotTestable,
    ProjectTests,
    SuiteBuildFailed,
    SuiteProject,
    Tools,
)
from envy.testing.drivers.projects.runner import SuiteRunner
from envy.testing.evidence import NAMES, VARIABLE, Fact
from envy.testing.key_text import Parts
from envy.testing.package import (
    Emit,
    Known,
    NothingMatched,
    PackageRun,
    PackageVerdict,
    Selection,
    TestPackage,
)
from envy.testing.package_events import note_build_failure
from envy.testing.patterns import selected_tests
from envy.testing.result_keys import parts_of_run, result_key
from envy.testing.shared.evidence import rows_in_key
from envy.testing.shared.places import NamedPlaces, SharedKey, Unshared

_VERSION = "projects-2"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitePlace:
    """Where the suites of a command lie, and what was listed there before."""

    manifest_folder: Path
    listings: Listings
    since: Callable[[], int]  # what changed after this moment may not be what the run has seen


class ProjectDriver:
    """Finds, builds and runs the tests of one suite for one session."""

    runs_more_than_tests = False

    def __init__(
        self, suite: Suite, tools: Tools, place: SuitePlace, *, count: int = 1
    ) -> None:  # fmt: skip
        self.name = suite.settings.name
        self._suite = suite
        self._kind = suite.kind
        self._tools = tools
        self._place = place
        self._count = count
        self._lock = threading.Lock()
        self._snapshots: dict[Path, Snapshot] = {}
        self._ran: dict[Path, SuiteProject] = {}
        self.notes: list[str] = []  # what could not be measured, and why
        self.build_width = tools.build_jobs
        self.ends_at: float | None = None
        self.on_built: Callable[[int], None] | None = None
        self.count_failed: Callable[[], int] | None = None

    # -- finding ---------------------------------------------------------------------------------

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages that the patterns match, sorted by name."""
        self._tools = replace(self._tools, ends_at=self.ends_at)
        found = []
        for project in self._suite.projects:
            found += self._listed(project)
        kept = matching(self._tools.root, patterns, found)
        if not any(tests.tests or tests.is_open or tests.problem for tests in kept):
            raise NothingMatched(f"no tests of {self.name} match {' '.join(patterns)}")
        return sorted(map(self._package, kept), key=lambda package: package.name)

    def _package(self, tests: ProjectTests) -> TestPackage:
        root = self._tools.root
        name = tests.name or package_name(tests.directory, root)
        return TestPackage(
            name=name,
            place="" if name == self.name else place_of(name, root),
            directory=tests.directory,
            driver=self.name,
            tests=tests.tests,
            is_open=tests.is_open,
            is_partial=tests.is_partial,
            problem=tests.problem,
            unloaded=tests.unloaded,
            detail=tests,
        )

    def _listed(self, project: SuiteProject) -> list[ProjectTests]:
        snapshot = self._snapshot_of(project)
        key = result_key({**self._fixed_parts(project), "inputs": snapshot.digest})
        environment = self._tools.environment
        known = self._place.listings.find(key, project, environment)
        if known is not None:
            snapshot.add_rows(row for tests in known for row in tests.rests)
            return known
        try:
            found = self._kind.discover(project, self._tools)
        except (NotTestable, ScriptFailed) as error:
            return [ProjectTests(project=project, directory=project.directory, problem=str(error))]
        rests = Snapshot(environment)
        rests.add_rows(row for tests in found for row in tests.rests)
        if not any(tests.problem for tests in found):
            # A list of what changed meanwhile would be found again with what was there before.
            with contextlib.suppress(Unkept):
                snapshot.confirmed(self._place.since())
                self._place.listings.keep(key, found, rests.confirmed(self._place.since()))
        snapshot.add_rows(row for tests in found for row in tests.rests)
        return found

    def _snapshot_of(self, project: SuiteProject) -> Snapshot:
        snapshot = self._snapshots.get(project.directory)
        if snapshot is None:
            snapshot = Snapshot(self._tools.environment)
            add_inputs(
                snapshot,
                project.directory,
                project.settings,
                self._kind.lock_files,
                root=self._place.manifest_folder,
            )
            snapshot.add_rows(self._kind.toolchain(project, self._tools))
            self._snapshots[project.directory] = snapshot
        return snapshot

    def _fixed_parts(self, project: SuiteProject) -> Parts:
        """Return what the tests of a project rest on apart from files."""
        environment = self._tools.environment_of(project)
        return {
            "version": _VERSION,
            "suite": self.name,
            "project": project.folder,
            "suite settings": repr(project.settings),
            "identity": self._kind.identity(project, self._tools),
            "arguments": self._tools.arguments,
            "variables": [f"{name}={environment[name]}" for name in counting(environment)],
        }

    # -- building --------------------------------------------------------------------------------

    def build_key(self, run: PackageRun) -> str:
        """Return "": whether something has to be built is left to the kind."""
        del run
        return ""

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Return a batch for each package, or for each project if the kind builds projects."""
        if not self._kind.builds_projects:
            return [[run] for run in runs]
        found: dict[Path, list[PackageRun]] = {}
        for run in runs:
            found.setdefault(_detail(run).project.directory, []).append(run)
        return list(found.values())

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build packages of one project."""
        problem = ""
        to_build = [_detail(run) for run in batch if not _detail(run).problem]
        try:
            if to_build:
                self._kind.build(to_build, self._tools)
        except (SuiteBuildFailed, NotTestable, ScriptFailed) as error:
            problem = str(error)
        for run in batch:
            tests = _detail(run)
            if tests.problem or problem:
                note_build_failure(run, tests.problem or problem)
                continue
            run.binary = tests.directory
            if tests.tests != run.package.tests or tests.is_open != run.package.is_open:
                run.package = replace(run.package, tests=tests.tests, is_open=tests.is_open)

    # -- running ---------------------------------------------------------------------------------

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the selected tests of a package, in their order, and files that cannot be loaded.

        Any of these may have a test that a pattern means.
        """
        tests, unloaded = run.package.tests, run.package.unloaded
        found = selected_tests(tests, selection)
        if not unloaded:
            return found
        wanted = {*found, *unloaded.intersection(selection.names or tests)}
        return tuple(name for name in tests if name in wanted)

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a package."""
        names = self.select(run, run.selection)
        tests = _detail(run)
        picks = run.selection.names is not None or run.selection.run or run.selection.skip
        runner = SuiteRunner(
            run,
            emit,
            self._kind,
            self._tools,
            count=self._count,
            ends_at=self.ends_at,
            count_failed=self.count_failed or (lambda: 0),
        )
        nothing = bool(picks) if tests.is_open else not names
        with self._lock:
            self._ran[tests.project.directory] = tests.project
        verdict = runner.run(names, nothing=nothing)
        run.unkept = run.unkept or runner.unkept
        return verdict

    # -- results ---------------------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that its tests run with."""
        return self._tools.environment

    def result_key(self, run: PackageRun) -> str:
        """Return the key of everything known before the tests run, apart from files."""
        run.unkept = "coverage is measured" if self.measures else ""
        if run.unkept:
            return ""
        return result_key(self._parts_of(run))

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine: the files are in it, too."""
        if self.measures:
            raise Unshared("coverage is measured")
        project = _detail(run).project
        if self._kind.needs_inputs_to_share and project.settings.inputs is None:
            raise Unshared(
                f"tests.{project.settings.name} has no `inputs`, and may run what git ignores"
            )
        snapshot = self._snapshot_of(project)
        if snapshot.unkept:
            raise Unshared(snapshot.unkept)
        here = places.having({"<reporters>": str(Path(__file__).parent)})
        parts = {**self._parts_of(run), "inputs": sorted(rows_in_key(snapshot.facts, here))}
        return here.key(parts, toolchain=self.name, holds_files=True)

    def _parts_of(self, run: PackageRun) -> Parts:
        tests = _detail(run)
        return {
            **parts_of_run(run, self._tools.settings, count=self._count),
            **self._fixed_parts(tests.project),
            "data": [text for row in sorted(tests.data.items()) for text in row],
            "tests": run.package.tests if tests.is_partial else "all",
        }

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return the inputs of the package's project.

        Raises:
            Unkept: one changed just before the run, or during it.
        """
        with self._lock:
            return self._snapshot_of(_detail(run).project).confirmed(since)

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on, apart from what tests consult."""
        del packages, patterns
        snapshot = Snapshot(environment)
        snapshot.add(NAMES, "")
        for name in counting(environment):
            snapshot.add(VARIABLE, name)
        try:
            return Basis(facts=snapshot.confirmed(since))
        except Unkept as error:
            return Basis(unkept=str(error))

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why."""
        causes: dict[Path, ProjectCause] = {}
        found = {}
        for run in runs:
            project = _detail(run).project
            cause = causes.get(project.directory)
            if cause is None:
                rows = self._snapshot_of(project).subjects
                installed = [*self._kind.toolchain(project, self._tools), *_rests_of(project, runs)]
                own = of_rows(installed, rows)
                cause = causes[project.directory] = cause_in_project(
                    project,
                    [row for row in rows if row not in own],
                    own,
                    changes,
                    root=self._place.manifest_folder,
                )
            why = cause.text or (cause_of(run, changes, known) if cause.is_unsure else "")
            if _detail(run).problem or why:
                found[run.package.name] = why or "its tests cannot be listed"
        return found

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return the files that packages rest on, for explanations."""
        found = {}
        for package in packages:
            assert isinstance(package.detail, ProjectTests)
            files = self._snapshot_of(package.detail.project).files
            found[package.name] = BuildUnit(files=files)
        return found

    def unit_of(self, package: TestPackage) -> str:
        """Return the name of the unit of a package."""
        return package.name

    @property
    def measures(self) -> bool:
        """Whether this session measures what its tests cover."""
        return self._tools.coverage is not None and self._kind.measures

    def covered(self) -> list[PackageCoverage]:
        """Return what the tests covered, for each project."""
        found = []
        for project in self._ran.values() if self.measures else ():
            name = package_name(project.directory, self._tools.root)
            try:
                files = self._kind.covered(project, self._tools)
            except (NotTestable, ScriptFailed) as error:
                self.notes.append(f"coverage of {name} is not known: {error}")
                continue
            root = f"{self._tools.root}/"
            own = {path.removeprefix(root): file for path, file in files.items()}
            found.append(PackageCoverage(name=name, unit="lines", files=own))
        return found

    def finish(self) -> None:
        """Do nothing: all that is kept is kept by then."""


def _detail(run: PackageRun) -> ProjectTests:
    detail = run.package.detail
    assert isinstance(detail, ProjectTests)
    return detail


def _rests_of(project: SuiteProject, runs: Sequence[PackageRun]) -> set[tuple[str, str]]:
    """Return what the tests of a project rest on outside of it, as rows of (kind, subject)."""
    details = (_detail(run) for run in runs)
    return {
        row
        for detail in details
        if detail.project.directory == project.directory
        for row in detail.rests
    }
