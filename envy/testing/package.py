"""Test packages, their runs and the protocol of drivers: shared by drivers, session and views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from envy.declarations.test_rules import TestRule
from envy.errors import EnvyError
from envy.testing.basis import Basis, BuildUnit
from envy.testing.changes import Changes, KnownReads
from envy.testing.events import StreamEvent
from envy.testing.evidence import Fact
from envy.testing.result_cache import KeptResult
from envy.testing.shared.places import NamedPlaces, SharedKey

Emit = Callable[[StreamEvent], None]


class TestPhase(IntEnum):
    """The phases of a test package, which is a node of the scheduler."""

    __test__: ClassVar[bool] = False

    DISCOVER = 0
    KEY = 1
    TOOLCHAIN = 2
    BUILD = 3
    RUN = 4
    REPORT = 5

    @property
    def label(self) -> str:
        """The name of the phase in events."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPackage:
    """A directory with tests, as a driver found it. Only the driver reads `detail`.

    `tests` are not all that it has if there is a `problem`, if it `is_provisional`, or if some
    files are `unloaded`: every selection that tests of it may belong to keeps what is not known.
    """

    __test__: ClassVar[bool] = False

    name: str
    directory: Path
    driver: str
    tests: tuple[str, ...] = ()  # top-level tests, in the order in which they run
    has_tests: bool = True  # False if there are no test files at all
    is_open: bool = False  # its tests are known only when they have run
    is_partial: bool = False  # `tests` are those of a file or folder that a pattern names
    problem: str = ""  # why its tests cannot be listed
    is_provisional: bool = False  # `tests` are a guess until it is built
    unloaded: frozenset[str] = frozenset()  # of `tests`: files whose tests cannot be listed
    place: str = ""  # its name on every machine, if `name` has that of a folder here
    detail: Any = None

    @property
    def place_name(self) -> str:
        """The name that it has on every machine, however its project is checked out."""
        return self.place or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPackage:
    """A package that a run is going to test, and its tests as far as they are known."""

    name: str
    directory: Path
    tests: tuple[str, ...] = ()
    whole: bool = True  # all of its tests
    usual: Mapping[str, float] = field(default_factory=dict)  # seconds of tests in earlier runs


class NothingMatched(EnvyError):
    """The patterns or the selection leave nothing to run."""

    exit_code = 4


class PackageVerdict(Enum):
    """How a package ended."""

    PASSED = "passed"
    FAILED = "failed"
    NO_TESTS = "no tests"
    BUILD_FAILED = "build failed"
    NOT_RUN = "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The tests of a package that are to run.

    `names` are top-level tests; None means all that `run` and `skip` select. `run` and `skip` are
    Go's slash-separated regular expressions.
    """

    names: tuple[str, ...] | None = None
    run: str = ""
    skip: str = ""


@dataclass(frozen=True, slots=True)
class RemoteInputs:
    """What a test program needs on another machine: files here, by their paths there."""

    folder: str  # of the package
    files: Mapping[str, str]


@dataclass(slots=True, kw_only=True)
class PackageRun:
    """One package in a session; only its worker changes it."""

    package: TestPackage
    key: str = ""
    binary: Path | None = None
    kept: bool = False  # the binary is from an earlier run
    build_events: list[StreamEvent] = field(default_factory=list)
    failed_build: str = ""
    verdict: PackageVerdict = PackageVerdict.NOT_RUN
    selection: Selection = field(default_factory=Selection)
    seconds: dict[str, float] = field(default_factory=dict)  # by phase
    result_key: str = ""  # of what is known before its tests run; "" if no result is kept
    kept_result: KeptResult | None = None  # that is shown in place of running its tests
    miss: str = ""  # what changed since a result was kept
    unkept: str = ""  # why its result is not kept
    facts: Sequence[Fact] = ()  # what its tests consulted
    cause: str = ""  # what changed, that made it run with --changed
    shared: SharedKey | None = None  # of its result on other machines; None if it has none there
    not_taken: str = ""  # why no result of another machine is used
    unshared: str = ""  # why its result is not given to others
    ran_on: str = ""  # which server ran its tests, or answered for them
    remote: RemoteInputs | None = None  # for a server that runs its tests; None: they run here

    @property
    def is_pending(self) -> bool:
        """Whether its tests have to be known before some of them can be selected."""
        return self.package.is_provisional and self.selection.names is not None

    @property
    def selects_nothing(self) -> bool:
        """Whether none of its tests is selected, and all of them are known."""
        return self.selection.names == () and not (self.is_pending or self.failed_build)


Known = Callable[[PackageRun], KnownReads]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How any driver runs tests. Durations are seconds; 0 means no limit."""

    timeout: float = 600.0
    total_timeout: float = 0.0
    retries: int = 0
    flaky_fails: bool = False
    isolate: bool = False
    fail_fast: bool = False
    max_failures: int = 0
    rules: tuple[TestRule, ...] = ()  # of single tests; the last that matches counts

    def timeout_of(self, package: str, test: str) -> float:
        """Return the time limit of a test."""
        given = [rule.timeout for rule in self._of(package, test) if rule.timeout is not None]
        return given[-1] if given else self.timeout

    def longest_timeout(self, package: str, tests: Sequence[str]) -> float:
        """Return the longest time limit of several tests; 0 if one has none."""
        if not self.rules:
            return self.timeout
        limits = [self.timeout_of(package, test) for test in tests or ("",)]
        return 0.0 if 0 in limits else max(limits)

    def retries_of(self, package: str, test: str) -> int:
        """Return how often a failed test is run again."""
        given = [rule.retries for rule in self._of(package, test) if rule.retries is not None]
        return given[-1] if given else self.retries

    @property
    def attempts(self) -> range:
        """The numbers of further attempts that any test may have."""
        most = max([self.retries, *(rule.retries or 0 for rule in self.rules)])
        return range(2, most + 2)

    def is_serial(self, package: str, test: str) -> bool:
        """Return whether no other test may run at the same time."""
        given = [rule.serial for rule in self._of(package, test) if rule.serial is not None]
        return bool(given and given[-1])

    def _of(self, package: str, test: str) -> list[TestRule]:
        return [rule for rule in self.rules if rule.matches(package, test)]


class Driver(Protocol):
    """Finds, builds and runs one kind of tests.

    Workers call a driver without holding a lock; a driver waits only inside `released()`.
    """

    name: str
    ends_at: float | None  # the session's deadline, by time.monotonic
    count_failed: Callable[[], int] | None  # returns the number of failed tests so far
    on_built: Callable[[int], None] | None  # receives the number of packages built so far

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """Return the packages that the patterns match, by name; `naming` makes these unequal.

        Raises:
            UsageError: A pattern is not valid.
            NothingMatched: No package matches.
        """

    def build_key(self, run: PackageRun) -> str:
        """Return the key that identifies the binary of this package."""

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Divide the packages that have to be built into calls of the compiler."""

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build a batch; set `binary`, or `build_events` and `failed_build`, of each package."""

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """Return the top-level tests of a selection, in their order."""

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a built package, emitting its events from `start` to its end."""

    @property
    def runs_more_than_tests(self) -> bool:
        """Whether a package may have something to run although none of its tests is selected."""

    @property
    def build_width(self) -> int:
        """The number of batches that may be built at once."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables that its tests run with."""

    def result_key(self, run: PackageRun) -> str:
        """Return the key of everything known before the tests run; "" if no result may be kept.

        Sets `unkept` in the latter case, unless there is nothing to run.
        """

    def shared_key(self, run: PackageRun, places: NamedPlaces) -> SharedKey:
        """Return what decides the result on any machine, apart from what the tests consult.

        Raises:
            Unshared: its results mean something on this machine only.
        """

    def consulted(self, run: PackageRun, *, since: int) -> list[Fact]:
        """Return what the tests consulted while they ran.

        Raises:
            Unkept: that is not known, or changed since that moment.
        """

    def basis(
        self,
        packages: Sequence[TestPackage],
        patterns: Sequence[str],
        environment: Mapping[str, str],
        *,
        since: int,
    ) -> Basis:
        """Return what the run rests on, apart from what tests consult."""

    def affected(
        self, runs: Sequence[PackageRun], changes: Changes, known: Known
    ) -> dict[str, str]:
        """Return the packages that changes can affect, each with why.

        Their keys are known, and nothing is built yet. A package of which too little is known is
        among them. `known` tells what the tests of a package read when they last passed.
        """

    def units(self, packages: Sequence[TestPackage]) -> Mapping[str, BuildUnit]:
        """Return what the binaries are built from, for explanations."""

    def unit_of(self, package: TestPackage) -> str:
        """Return the name of the unit that a package's binary is."""

    def finish(self) -> None:
        """Write the files that all packages of a session contribute to, at its end."""
