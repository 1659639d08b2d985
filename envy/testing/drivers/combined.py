"""Several drivers as one: each package belongs to the driver that found it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes
from envy.testing.coverage.model import MeasuresCoverage, PackageCoverage
from envy.testing.evidence import Fact
from envy.testing.package import (
    Driver,
    Emit,
    Known,
    NothingMatched,
    PackageRun,
    PackageVerdict,
    RemoteInputs,
    Selection,
    TestPackage,
)
from envy.testing.remote.inputs import StaysHere
from envy.testing.remote.tests import RunsRemotely
from envy.testing.shared.places import NamedPlaces, SharedKey


class CombinedDriver:
    """Passes on each call to the driver of the package; patterns are divided beforehand."""

    name = "all"

    def __init__(self, drivers: Sequence[tuple[Driver, Sequence[str]]]) -> None:
        self._drivers = {driver.name: driver for driver, _ in drivers}
        self._patterns = {driver.name: patterns for driver, patterns in drivers}
        self._ends_at: float | None = None
        self._on_built: Callable[[int], None] | None = None
        self._count_failed: Callable[[], int] | None = None

    @property
    def drivers(self) -> list[Driver]:
        """The drivers, as they were given."""
        return list(self._drivers.values())

    @property
    def ends_at(self) -> float | None:
        """The session's deadline."""
        return self._ends_at

    @ends_at.setter
    def ends_at(self, moment: float | None) -> None:
        self._ends_at = moment
        for driver in self._drivers.values():
            driver.ends_at = moment

    @property
    def on_built(self) -> Callable[[int], None] | None:
        """Receives the number of packages built so far."""
        return self._on_built

    @on_built.setter
    def on_built(self, call: Callable[[int], None] | None) -> None:
        self._on_built = call
        for driver in self._drivers.values():
            driver.on_built = call

    @property
    def count_failed(self) -> Callable[[], int] | None:
        """Returns the number of failed tests so far."""
        return self._count_failed

    @count_failed.setter
    def count_failed(self, call: Callable[[], int] | None) -> None:
        self._count_failed = call
        for driver in self._drivers.values():
            driver.count_failed = call

    @property
    def build_width(self) -> int:
        """The number of batches that may be built at once."""
        return max(driver.build_width for driver in self._drivers.values())

    @property
    def runs_more_than_tests(self) -> bool:
        """Whether a package may have something to run although none of its tests is selected."""
        return any(driver.runs_more_than_tests for driver in self._drivers.values())

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages of all drivers, in their order; some names may be equal."""
        del patterns
        found: list[TestPackage] = []
        missed: NothingMatched | None = None
        for name, driver in self._drivers.items():
            try:
                found += driver.discover(self._patterns[name])
            except NothingMatched as error:
                missed = error
        if missed is not None and not found:
            raise missed
        return found

    def build_key(self, run: PackageRun) -> str:
        """Return the key that identifies the binary of this package."""
        return self._of(run).build_key(run)

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Divide packages into batches of one driver each."""
        batches = []
        for name, driver in self._drivers.items():
            own = [run for run in runs if run.package.driver == name]
            if own:
                batches += driver.batches(own)
        return batches

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build a batch."""
        self._of(batch[0]).build(batch)

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the top-level tests of a selection, in their order."""
        return self._of(run).select(run, selection)

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a built package."""
        return self._of(run).run(run, emit)

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables of the first driver, Go's; results of the others rest on none."""
        return next(iter(self._drivers.values())).environment

    def result_key(self, run: PackageRun) -> str:
        """Return the key of everything known before the tests run."""
        return self._of(run).result_key(run)

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine."""
        return self._of(run).shared_key(run, places)

    def remote_inputs(self, run: PackageRun, places: NamedPlaces) -> RemoteInputs:
        """Return what the test program of a package needs on another machine."""
        driver = self._of(run)
        if not isinstance(driver, RunsRemotely):
            raise StaysHere("tests of its kind run here")
        return driver.remote_inputs(run, places)

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return what the tests consulted while they ran."""
        return self._of(run).consulted(run, since=since)

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on, for all drivers."""
        del patterns
        parts = []
        for name, driver in self._drivers.items():
            own = [package for package in packages if package.driver == name]
            parts.append(driver.basis(own, self._patterns[name], environment, since=since))
        return Basis(
            facts=[fact for part in parts for fact in part.facts],
            trees=[tree for part in parts for tree in part.trees],
            unkept=next((part.unkept for part in parts if part.unkept), ""),
        )

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why."""
        found: dict[str, str] = {}
        for name, driver in self._drivers.items():
            own = [run for run in runs if run.package.driver == name]
            found |= driver.affected(own, changes, known)
        return found

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return what the binaries are built from, for explanations."""
        found: dict[str, BuildUnit] = {}
        for name, driver in self._drivers.items():
            found |= driver.units([package for package in packages if package.driver == name])
        return found

    def unit_of(self, package: TestPackage) -> str:
        """Return the name of the unit that a package's binary is."""
        return self._drivers[package.driver].unit_of(package)

    def covered(self) -> list[PackageCoverage]:
        """Return what the tests of all drivers that measure it covered."""
        drivers = [one for one in self._drivers.values() if isinstance(one, MeasuresCoverage)]
        return [package for driver in drivers for package in driver.covered()]

    def finish(self) -> None:
        """Finish every driver."""
        for driver in self._drivers.values():
            driver.finish()

    def _of(self, run: PackageRun) -> Driver:
        return self._drivers[run.package.driver]
