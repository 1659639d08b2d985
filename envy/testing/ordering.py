"""Passes on the events of packages that run in parallel as if they had run one by one.

Guarantees
  The first unfinished package streams; events of later packages are kept until their turn comes.
  Apart from times, the sequence of events does not depend on the number of jobs.
  `sink` is called by one thread at a time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from envy.testing.events import StreamEvent


class Ordering:
    """Orders the events of `count` packages."""

    def __init__(self, count: int, sink: Callable[[StreamEvent], None]) -> None:
        self._sink = sink
        self._lock = threading.Lock()
        self._held: list[deque[StreamEvent]] = [deque() for _ in range(count)]
        self._finished = [False] * count
        self._turn = 0

    def emit(self, position: int, event: StreamEvent) -> None:
        """Pass on or keep an event of the package at this position."""
        with self._lock:
            if position == self._turn:
                self._sink(event)
            else:
                self._held[position].append(event)

    def finish(self, position: int) -> None:
        """Note that this package emits no more events."""
        with self._lock:
            self._finished[position] = True
            while self._turn < len(self._finished) and self._finished[self._turn]:
                self._turn += 1
                if self._turn < len(self._held):
                    self._hand_on(self._held[self._turn])

    def finish_all(self) -> None:
        """End the session: pass on the events of packages that did not finish."""
        with self._lock:
            for held in self._held:
                self._hand_on(held)
            self._turn = len(self._held)

    def _hand_on(self, held: deque[StreamEvent]) -> None:
        while held:
            self._sink(held.popleft())
