"""The state of one package's run: remaining tests, failed tests, and time limits."""

from __future__ import annotations

import itertools
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from envy.testing.drivers.go_output import OutputConverter


@dataclass(slots=True)
class Tally:
    """The results of the tests of one package so far."""

    remaining: list[str]
    failed: dict[str, None] = field(default_factory=dict)  # top-level tests
    reason: str = ""
    carried_over: frozenset[str] = frozenset()
    failed_outside: bool = False  # a process failed although none of its tests did
    wrote: bool = False


class Limits:
    """The time limits of a process: that of each test, and that of the session."""

    def __init__(
        self,
        converter: OutputConverter,
        timeout_of: Callable[[str], float],
        ends_at: float | None,
    ) -> None:
        """`timeout_of` returns the limit of a test, 0 for none; of "", that between tests."""
        self._progress = converter.progress
        self._timeout_of = timeout_of
        self._ends_at = ends_at

    def deadline(self) -> float | None:
        """Return the next deadline by time.monotonic, given the active tests; None without one."""
        moments = [self._ends_at] if self._ends_at is not None else []
        ends = self._ends()
        idle = self._timeout_of("")
        if ends:
            moments.append(min(ends.values()))
        elif idle > 0 and all("/" in name for name in self._progress.active):
            moments.append(self._progress.last_change + idle)
        return min(moments, default=None)

    def exceeded(self) -> frozenset[str]:
        """Return the top-level tests that exceeded their limit; those that just started did not."""
        # The output of a test that is being terminated may arrive long after its limit.
        ends = self._ends()
        limit = min(ends.values(), default=0.0) + 0.05
        now = time.monotonic()
        return frozenset(name for name, end in ends.items() if end <= limit and now >= end)

    def _ends(self) -> dict[str, float]:
        """Return when the limits of the active top-level tests that have one are over."""
        tops = {name: since for name, since in self._progress.active.items() if "/" not in name}
        limits = {name: self._timeout_of(name) for name in tops}
        return {name: since + limits[name] for name, since in tops.items() if limits[name] > 0}


def merge(tally: Tally, part: Tally) -> None:
    """Add the results of some of the tests."""
    done = set(part.remaining)
    tally.failed |= part.failed
    tally.reason = tally.reason or part.reason
    tally.failed_outside = tally.failed_outside or part.failed_outside
    tally.wrote = tally.wrote or part.wrote
    tally.remaining = list(itertools.filterfalse(done.__contains__, tally.remaining))


def note_ends(tally: Tally, ended: dict[str, str]) -> None:
    """Add the failed tests."""
    for name, action in ended.items():
        if action == "fail":
            tally.failed[name.partition("/")[0]] = None


def signal_name(number: int) -> str:
    """Return the name of a signal: `SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
