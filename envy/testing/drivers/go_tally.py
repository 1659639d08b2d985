"""The state of one package's run: remaining tests, failed tests, and time limits."""

from __future__ import annotations

import itertools
import signal
import time
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

    def __init__(self, converter: OutputConverter, timeout: float, ends_at: float | None) -> None:
        self._progress = converter.progress
        self._timeout = timeout
        self._ends_at = ends_at

    def deadline(self) -> float | None:
        """Return the next deadline by time.monotonic, given the active tests; None without one."""
        moments = [self._ends_at] if self._ends_at is not None else []
        if self._timeout > 0:
            begun = [since for name, since in self._progress.active.items() if "/" not in name]
            moments.append(min(begun, default=self._progress.last_change) + self._timeout)
        return min(moments, default=None)

    def exceeded(self) -> frozenset[str]:
        """Return the top-level tests that exceeded their limit; those that just started did not."""
        if self._timeout <= 0:
            return frozenset()
        # The output of a test that is being terminated may arrive long after its limit.
        limit = min(self._progress.active.values(), default=0.0) + 0.05
        over = {
            name
            for name, since in self._progress.active.items()
            if "/" not in name and since <= limit and time.monotonic() - since >= self._timeout
        }
        return frozenset(over)


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
