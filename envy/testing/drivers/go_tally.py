"""The books of one package's run: what is left, what failed, and whose time is over."""

from __future__ import annotations

import itertools
import signal
import time
from dataclasses import dataclass, field

from envy.testing.drivers.go_output import OutputConverter


@dataclass(slots=True)
class Tally:
    """What has become of the tests of one package so far."""

    remaining: list[str]
    failed: dict[str, None] = field(default_factory=dict)  # top-level tests
    reason: str = ""
    carried_over: frozenset[str] = frozenset()
    failed_outside: bool = False  # a process failed, though no test of it did
    wrote: bool = False


class Limits:
    """When the patience with a process ends: a test's time, or that of the session."""

    def __init__(self, converter: OutputConverter, timeout: float, ends_at: float | None) -> None:
        self._progress = converter.progress
        self._timeout = timeout
        self._ends_at = ends_at

    def deadline(self) -> float | None:
        """The moment, as things are now."""
        moments = [self._ends_at] if self._ends_at is not None else []
        if self._timeout > 0:
            begun = [since for name, since in self._progress.active.items() if "/" not in name]
            moments.append(min(begun, default=self._progress.last_change) + self._timeout)
        return min(moments, default=None)

    def exceeded(self) -> frozenset[str]:
        """The top-level tests that are over their time. Of those that just began, none is."""
        if self._timeout <= 0:
            return frozenset()
        # What a test writes while it is being ended may come long after its limit.
        limit = min(self._progress.active.values(), default=0.0) + 0.05
        over = {
            name
            for name, since in self._progress.active.items()
            if "/" not in name and since <= limit and time.monotonic() - since >= self._timeout
        }
        return frozenset(over)


def merge(tally: Tally, part: Tally) -> None:
    """Take over what came of some of the tests."""
    done = set(part.remaining)
    tally.failed |= part.failed
    tally.reason = tally.reason or part.reason
    tally.failed_outside = tally.failed_outside or part.failed_outside
    tally.wrote = tally.wrote or part.wrote
    tally.remaining = list(itertools.filterfalse(done.__contains__, tally.remaining))


def note_ends(tally: Tally, ended: dict[str, str]) -> None:
    """Take over which tests failed."""
    for name, action in ended.items():
        if action == "fail":
            tally.failed[name.partition("/")[0]] = None


def signal_name(number: int) -> str:
    """`SIGKILL` for 9."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
