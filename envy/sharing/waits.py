"""How long a run waits for one server in all, whichever of its threads waits.

What a server costs is the time in which it is waited for, and answers nothing. What is transferred
pays that back. A server that sends nothing for a while, or that costs too much in all, is given up:
whoever waits for it is told at once, and nobody begins to wait for it again.

Guarantees
  From the moment at which a server sends nothing more, all waits together end within `patience`,
  times `in_all`, and half a second, however many threads wait, and whatever they wait for.
  A server that sends `_LEAST_RATE`, or answers each question within half a second, is never given
  up for what it costs in all.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from envy.transport.context import NoAnswer

SECONDS = 4.0  # where building here is the alternative
IN_ALL = 1.25  # times the patience with one answer
_LEAST_RATE = 1 << 20  # bytes a second
_FREE = 0.5  # seconds of waiting for the first answer, and after each, that cost nothing


@dataclass(slots=True, eq=False)
class Wait:
    """A wait that has begun: `end` ends it from another thread; it may be silent until `until`."""

    end: Callable[[], object]
    until: float


class Waits:
    """The waits for one server; its methods may be called from several threads."""

    def __init__(
        self, shown: str, now: Callable[[], float] = time.monotonic, *, in_all: float = IN_ALL
    ) -> None:
        """The server may cost the `patience` with one answer, times `in_all`."""
        self.patience = SECONDS
        self.in_all = in_all
        self._shown = shown
        self._now = now
        self._changed = threading.Condition()
        self._under_way: set[Wait] = set()
        self._cost = 0.0
        self._free = _FREE
        self._counted = 0.0  # the moment up to which `_cost` is right
        self._wakes_at = 0.0  # when the thread looks next; 0: there is none
        self._gone: NoAnswer | None = None

    @property
    def gone(self) -> NoAnswer | None:
        """Why the server was given up; None if it was not."""
        return self._gone

    def left(self) -> float:
        """Return how many seconds the server may still cost."""
        with self._changed:
            self._count()
            return 0.0 if self._gone is not None else max(0.0, self._most() - self._cost)

    def check(self) -> None:
        """Raise if the server was given up, or now costs too much.

        Raises:
            NoAnswer: it was.
        """
        if self._gone is None:
            with self._changed:
                self._count()
                ends = self._judge()
            self._end(ends)
        self._check()

    def begin(self, end: Callable[[], object], *, silence: float = math.inf) -> Wait:
        """Begin to wait; `end` is called in another thread if the server is given up.

        `silence` is how many seconds this wait may take.

        Raises:
            NoAnswer: the server was given up.
        """
        self.check()
        with self._changed:
            self._check()  # another thread may have given it up since
            self._count()
            wait = Wait(end, self._counted + silence)
            self._under_way.add(wait)
            due = self._due()
            if not self._wakes_at:
                self._wakes_at = due
                threading.Thread(target=self._watch, name="envy-waits", daemon=True).start()
            elif due < self._wakes_at:
                self._changed.notify()
        return wait

    def note(self, size: int) -> None:
        """Note that so many bytes were transferred."""
        with self._changed:
            self._count()
            self._pay(size / _LEAST_RATE)

    def done(self, wait: Wait, *, size: int = 0, answers: bool = False) -> None:
        """End a wait, in which so many bytes were transferred; `answers`: it ended as it should."""
        with self._changed:
            self._count()
            self._under_way.discard(wait)
            self._pay(size / _LEAST_RATE)
            if answers:
                self._free = _FREE

    def answered(self) -> None:
        """Note that the server has answered a question as it should."""
        with self._changed:
            self._count()
            self._free = _FREE

    def give_up(self, error: NoAnswer) -> NoAnswer:
        """Give the server up, and end all waits; return why, which may be an earlier error."""
        with self._changed:
            ends = self._ends_of(error)
        self._end(ends)
        assert self._gone is not None
        return self._gone

    def _check(self) -> None:
        if (gone := self._gone) is not None:
            # Each thread raises one of its own, which gets the traceback of that thread.
            raise NoAnswer(gone.message, uri=gone.uri, hint=gone.hint)

    def _count(self) -> None:
        now = self._now()
        if self._under_way:
            waited = now - self._counted
            free = min(self._free, waited)
            self._free -= free
            self._cost += waited - free
        self._counted = now

    def _pay(self, seconds: float) -> None:
        # A good hour does not pay for a bad minute after it.
        self._cost = max(0.0, self._cost - seconds)

    def _due(self) -> float:
        """Return when the server is to be given up, unless something happens before."""
        if self._gone is not None:
            return math.inf
        left = self._most() - self._cost
        if not self._under_way:  # no time counts
            return math.inf if left > 0 else self._counted
        enough = self._counted + (left + self._free if left > 0 else 0.0)
        return min(enough, *(wait.until for wait in self._under_way))

    def _most(self) -> float:
        return self.patience * self.in_all

    def _judge(self) -> list[Callable[[], object]]:
        """Give the server up if that is due; return what ends the waits."""
        if self._due() > self._counted:
            return []
        if any(wait.until <= self._counted for wait in self._under_way):
            said = f"nothing came for {self.patience:g} s"
        else:
            said = f"waiting for it took {self._most():g} s in all, and brought too little"
        message = f"{self._shown} did not answer in time ({said})"
        return self._ends_of(NoAnswer(message, uri=self._shown))

    def _ends_of(self, error: NoAnswer) -> list[Callable[[], object]]:
        if self._gone is None:
            self._gone = error
        ends = [wait.end for wait in self._under_way]
        self._under_way.clear()
        return ends

    @staticmethod
    def _end(ends: list[Callable[[], object]]) -> None:
        for end in ends:  # without the lock, which they need
            end()

    def _watch(self) -> None:
        """Give the server up when that is due."""
        while True:
            with self._changed:
                self._count()
                ends = self._judge()
                self._wakes_at = self._due()
                if not ends:
                    left = self._wakes_at - self._counted
                    self._changed.wait(None if math.isinf(left) else left)
            self._end(ends)
