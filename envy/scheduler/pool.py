"""How many may work at once, and who goes first.

A Pool is a number of slots and a queue of those who wait for one, longest remaining path first. It
may have a Budget: then a slot that is free is granted only if the budget allows it.
Pure bookkeeping: every method is called under the coordinator's lock, and granting (which is also
the wake-up) is the coordinator's doing.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """What a pool needs to know of a node that waits for a slot."""

    @property
    def priority(self) -> float:
        """How long the path is that begins with its next phase."""


Node = TypeVar("Node", bound=Queued)


class Budget(Protocol):
    """What a pool shares with others, who are none of its slots. Must not wait in any method."""

    def cover(self, running: int) -> bool:
        """Have what so many slots need; False if the rest is with others."""

    def could_cover(self, running: int) -> bool:
        """Whether `cover` would say yes at this moment."""

    def settle(self, running: int) -> None:
        """So many slots are taken, and no more will be now: give the rest back."""

    def reason(self) -> str:
        """Why one is refused, for people."""

    def on_freed(self, ask_again: Callable[[], None]) -> None:
        """Whom to call, under no lock, when more may be had after a refusal."""


class Pool(Generic[Node]):
    """Slots of one sort: work (`--jobs`) or transfer (`--fetch-jobs`)."""

    __slots__ = ("_order", "_queue", "_refused", "budget", "busy", "name", "peak", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.busy = 0
        self.peak = 0
        self._queue: list[tuple[float, int, Node]] = []
        self._order = 0
        self.budget: Budget | None = None
        self._refused: Node | None = None  # first in the queue, and known to wait for it

    def enqueue(self, node: Node) -> None:
        """Let a node wait for a slot; equal priorities are served in order of arrival."""
        self._order += 1
        heapq.heappush(self._queue, (-node.priority, self._order, node))

    def has_room(self) -> bool:
        """Whether who asks now is granted a slot at once."""
        return (
            self.busy < self.size
            and not self._queue
            and (self.budget is None or self.budget.could_cover(self.busy + 1))
        )

    def grant(self) -> Node | None:
        """Give a free slot to the first in the queue, if there are both."""
        if self.busy >= self.size or not self._queue:
            return None
        if self.budget is not None and not self.budget.cover(self.busy + 1):
            return None
        self.take()
        return heapq.heappop(self._queue)[2]

    def settle(self) -> Node | None:
        """All is granted that can be; the first in the queue, if the budget newly refuses it."""
        if self.budget is None:
            return None
        self.budget.settle(self.busy)
        first = self._queue[0][2] if self._queue and self.busy < self.size else None
        known, self._refused = self._refused, first
        return first if first is not known else None

    def take(self) -> None:
        """Count one more slot as busy."""
        self.busy += 1
        self.peak = max(self.peak, self.busy)

    def release(self) -> None:
        """Give a slot back."""
        self.busy -= 1

    def drain(self) -> list[Node]:
        """Empty the queue, when the run is cancelled."""
        nodes = [node for _, _, node in sorted(self._queue, key=lambda row: row[:2])]
        self._queue.clear()
        return nodes

    def __len__(self) -> int:
        return len(self._queue)
