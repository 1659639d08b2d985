"""Test packages and what becomes of them: plain data, shared by drivers, session and views."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol

from envy.errors import EnvyError
from envy.testing.events import StreamEvent

Emit = Callable[[StreamEvent], None]


class TestPhase(IntEnum):
    """What a test package goes through, as a node of the coordination core."""

    __test__: ClassVar[bool] = False

    DISCOVER = 0
    KEY = 1
    TOOLCHAIN = 2
    BUILD = 3
    RUN = 4
    REPORT = 5

    @property
    def label(self) -> str:
        """The name in events."""
        return self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class TestPackage:
    """A directory with tests, as a driver found it. `detail` is the driver's own."""

    __test__: ClassVar[bool] = False

    name: str
    directory: Path
    driver: str
    tests: tuple[str, ...] = ()  # top-level tests, in the order in which they run
    has_tests: bool = True  # False: there are no test files at all
    detail: Any = None


class NothingMatched(EnvyError):
    """Patterns, or a selection, that leave nothing to run."""

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
    """What of a package is to be run.

    `names` are top-level tests, None meaning all that `run` and `skip` leave; both of these are
    Go's slash-separated regular expressions.
    """

    names: tuple[str, ...] | None = None
    run: str = ""
    skip: str = ""


@dataclass(slots=True, kw_only=True)
class PackageRun:
    """One package on its way through a session; changed by its worker only."""

    package: TestPackage
    key: str = ""
    binary: Path | None = None
    kept: bool = False  # the binary was there already
    build_events: list[StreamEvent] = field(default_factory=list)
    failed_build: str = ""
    verdict: PackageVerdict = PackageVerdict.NOT_RUN
    selection: Selection = field(default_factory=Selection)
    seconds: dict[str, float] = field(default_factory=dict)  # by phase


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How tests are run, whatever the driver. Durations are seconds; 0 is no limit."""

    timeout: float = 600.0
    total_timeout: float = 0.0
    retries: int = 0
    flaky_fails: bool = False
    isolate: bool = False
    fail_fast: bool = False
    max_failures: int = 0


class Driver(Protocol):
    """A sort of tests. Called by workers, under no lock; it waits only in `released()`."""

    name: str
    ends_at: float | None  # when the session's time is over, by time.monotonic
    on_built: Callable[[int], None] | None  # told how many of a batch are built already

    def discover(self, patterns: Sequence[str]) -> list[TestPackage]:
        """The packages that the patterns mean, by name.

        Raises:
            UsageError: a pattern cannot be; NothingMatched: there is nothing at all.
        """

    def build_key(self, run: PackageRun) -> str:
        """What identifies the binary of this package."""

    def batches(self, runs: Sequence[PackageRun]) -> list[list[PackageRun]]:
        """Divide what has to be built into calls of the compiler."""

    def build(self, batch: Sequence[PackageRun]) -> None:
        """Build a batch; sets `binary`, or `build_events` and `failed_build`, of each."""

    def select(self, run: PackageRun, selection: Selection) -> tuple[str, ...]:
        """The top-level tests that a selection leaves, in their order."""

    def run(self, run: PackageRun, emit: Emit) -> PackageVerdict:
        """Run the tests of a built package, emitting from its `start` to its end."""

    @property
    def runs_more_than_tests(self) -> bool:
        """Whether a package has something to run though no test of it is selected."""

    @property
    def build_width(self) -> int:
        """How many batches may be built at once."""

    def finish(self) -> None:
        """The session is over: write what its packages made together."""
