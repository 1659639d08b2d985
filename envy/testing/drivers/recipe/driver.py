"""The driver for tests of recipes: each file of tests is a package, and each test has a world.

This driver, and no other part of `envy test`, knows recipes; its modules are loaded when there are
tests of recipes to run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from envy.host.children import Children
from envy.testing.affected import cause_of
from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes
from envy.testing.consulted import Unkept
from envy.testing.drivers.native.sources import place_of
from envy.testing.drivers.recipe.files import (
    find_test_files,
    package_name,
    recipe_of,
    written_tests,
)
from envy.testing.drivers.recipe.one_test import UnusableTests, load_tests
from envy.testing.drivers.recipe.results import basis_of, facts_of, shared_key_of
from envy.testing.drivers.recipe.results import key_of as result_key_of
from envy.testing.drivers.recipe.runner import RecipeRunner
from envy.testing.evidence import Fact
from envy.testing.package import (
    Emit,
    Known,
    NothingMatched,
    PackageRun,
    PackageVerdict,
    RunSettings,
    Selection,
    TestPackage,
)
from envy.testing.package_events import note_build_failure
from envy.testing.patterns import selected_tests
from envy.testing.shared.places import NamedPlaces, SharedKey


@dataclass(slots=True, kw_only=True)
class RecipePackage:
    """What the driver knows of a package."""

    path: Path  # of the file of tests
    read: set[str] = field(default_factory=set)  # files and folders that its tests have read
    trees: set[str] = field(default_factory=set)  # folders, with all that is in them


class RecipeDriver:
    """Finds and runs tests of recipes for one session."""

    name = "recipe"
    runs_more_than_tests = False

    def __init__(
        self, settings: RunSettings, *, root: Path, children: Children,
        environment: Mapping[str, str], count: int = 1,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._root = root
        self._children = children
        self._environment = dict(environment)
        self._count = count
        self.build_width = 1
        self.ends_at: float | None = None
        self.on_built: Callable[[int], None] | None = None
        self.count_failed: Callable[[], int] | None = None

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages that the patterns match, sorted by name."""
        found = find_test_files(self._root, patterns)
        if not found:
            raise NothingMatched(
                "no tests of recipes match",
                hint="they are in files named NAME_test.lua beside the recipe NAME.lua",
            )
        return [self._package(path) for path in found]

    def _package(self, path: Path) -> TestPackage:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = ""
        names = [test.name for test in written_tests(text) if not test.is_local]
        name = package_name(path, self._root)
        return TestPackage(
            name=name,
            place=place_of(name, self._root) if name.startswith("/") else "",
            directory=path.parent,
            driver=self.name,
            tests=tuple(dict.fromkeys(names)),
            is_provisional=True,  # a loop may define others
            detail=RecipePackage(path=path),
        )

    # -- loading -------------------------------------------------------------------------------

    def build_key(self, run: PackageRun) -> str:
        """Return the name of the package: nothing is built that could be kept."""
        return run.package.name

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Return a batch for each package."""
        return [[run] for run in runs]

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Load each file of tests once, which shows its tests, or that it cannot be run."""
        for run in batch:
            path = _detail(run).path
            try:
                tests = load_tests(path, self._environment, lambda: self._children.stopping)
            except UnusableTests as error:
                note_build_failure(run, str(error))
                continue
            run.binary = path
            run.package = replace(run.package, tests=tests, is_provisional=False)

    # -- running -------------------------------------------------------------------------------

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the selected tests of a package, in their order."""
        return selected_tests(run.package.tests, selection)

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a package."""
        detail = _detail(run)
        runner = RecipeRunner(
            run.package.name,
            detail.path,
            emit,
            self._settings,
            environment=self._environment,
            children=self._children,
            count=self._count,
            ends_at=self.ends_at,
            count_failed=self.count_failed or (lambda: 0),
        )
        verdict = runner.run(self.select(run, run.selection))
        detail.read, detail.trees = runner.read, runner.trees
        run.unkept = run.unkept or runner.unkept
        return verdict

    # -- results -------------------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that envy was started with, of which tests see PATH."""
        return self._environment

    def result_key(self, run: PackageRun) -> str:
        """Return the key of everything known before the tests run."""
        return result_key_of(run, self._settings, self._environment, count=self._count)

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine."""
        path, settings = _detail(run).path, self._settings
        return shared_key_of(run, path, settings, self._environment, places, count=self._count)

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return the files that the tests and their recipes have read."""
        detail = _detail(run)
        if not detail.read:
            raise Unkept("no test ran")
        return facts_of(detail.read, detail.trees, since=since)

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on, apart from what tests consult."""
        del packages
        return basis_of(self._root, patterns, environment, since=since)

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why."""
        found = {}
        for run in runs:
            path = _detail(run).path
            own = changes.of_file(str(path)) or changes.of_file(str(recipe_of(path)))
            cause = f"{own} changed" if own else cause_of(run, changes, known)
            if cause:
                found[run.package.name] = cause
        return found

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return what is built: nothing."""
        return {package.name: BuildUnit() for package in packages}

    def unit_of(self, package: TestPackage) -> str:
        """Return the name of the unit of a package."""
        return package.name

    def finish(self) -> None:
        """Do nothing."""


def _detail(run: PackageRun) -> RecipePackage:
    detail = run.package.detail
    assert isinstance(detail, RecipePackage)
    return detail
