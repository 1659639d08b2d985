"""The result of a run of tests, and what shows or records a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from envy.errors import EnvyError
from envy.testing.coverage.model import PackageCoverage
from envy.testing.events import StreamEvent
from envy.testing.package import PackageRun, PackageVerdict, TestPackage
from envy.testing.results import Recorder


class View(Protocol):
    """Shows or records a run. Called by one thread at a time; its methods must return quickly."""

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Show the progress of the phase `discovering`, `building` or `running`."""

    def on_event(self, event: StreamEvent) -> None:
        """Take one event."""

    def on_end(self, result: SessionResult) -> None:
        """Take the result of the run."""


@dataclass(slots=True, kw_only=True)
class SessionResult:
    """The result of a run."""

    recorder: Recorder
    runs: list[PackageRun] = field(default_factory=list)
    seconds: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)  # seconds of each phase
    cancelled: bool = False
    stopped: str = ""  # why some packages did not run
    built_only: bool = False
    packages: Sequence[TestPackage] = ()  # all that the patterns match
    left_out: Sequence[str] = ()  # packages that no change affects
    coverage: Sequence[PackageCoverage] | None = None  # None: it was not measured
    too_little: str = ""  # covered, for --min-coverage
    notes: list[str] = field(default_factory=list)  # about the options of the run
    error: EnvyError | None = None

    @property
    def not_run(self) -> int:
        """The number of selected packages that did not run."""
        return sum(run.verdict is PackageVerdict.NOT_RUN for run in self.runs)

    @property
    def exit_code(self) -> int:
        """0: all passed, 1: a test failed, 3: a package failed to build, 130: interrupted."""
        if self.cancelled:
            return 130
        verdicts = {run.verdict for run in self.runs}
        if PackageVerdict.BUILD_FAILED in verdicts:
            return 3
        if PackageVerdict.FAILED in verdicts or self.stopped or self.too_little:
            return 1
        return 0
