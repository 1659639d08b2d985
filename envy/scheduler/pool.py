"""Pools of slots, which limit how many nodes work at once and decide which goes first.

A Pool is a number of slots and a queue of nodes that wait for one, longest remaining path first. It
may have a Budget: then a free slot is granted only if the budget allows it.
Pure bookkeeping: every method is called under the coordinator's lock. Granting a slot is also the
wake-up, which is the coordinator's task.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar


class Queued(Protocol):
    """A node that waits for a slot, reduced to what a pool needs."""

    @property
    def priority(self) -> float:
        """The length of the path that begins with its next phase."""


Node = TypeVar("Node", bound=Queued)


class Budget(Protocol):
    """A limit that a pool shares with processes outside of it. No method may block."""

    def cover(self, running: int) -> bool:
        """Obtain what `running` slots need; returns False if others hold the rest."""

    def could_cover(self, running: int) -> bool:
        """Return whether `cover` would succeed at this moment."""

    def settle(self, running: int) -> None:
        """Release what `running` slots do not need, when no more slots will be taken now."""

    def reason(self) -> str:
        """Return a sentence for users that explains a refusal."""

    def on_freed(self, ask_again: Callable[[], None]) -> None:
        """Set the function to call, under no lock, when a refused slot may be covered."""


class Pool(Generic[Node]):
    """Slots of one sort, such as work (`--jobs`) or transfer (`--fetch-jobs`)."""

    __slots__ = ("_order", "_queue", "_refused", "budget", "busy", "name", "peak", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.busy = 0
        self.peak = 0
        self._queue: list[tuple[float, int, Node]] = []
        self._order = 0
        self.budget: Budget | None = None
        self._refused: Node | None = None  # first in the queue, and reported as refused

    def enqueue(self, node: Node) -> None:
        """Queue a node for a slot; equal priorities are served in order of arrival."""
        self._order += 1
        heapq.heappush(self._queue, (-node.priority, self._order, node))

    def has_room(self) -> bool:
        """Return whether a node that is queued now would be granted a slot at once."""
        return (
            self.busy < self.size
            and not self._queue
            and (self.budget is None or self.budget.could_cover(self.busy + 1))
        )

    def grant(self) -> Node | None:
        """Grant a free slot to the first node in the queue; returns None if either is missing."""
        if self.busy >= self.size or not self._queue:
            return None
        if self.budget is not None and not self.budget.cover(self.busy + 1):
            return None
        self.take()
        return heapq.heappop(self._queue)[2]

    def settle(self) -> Node | None:
        """Note that no more can be granted; returns the first node if it is newly refused."""
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
        """Count one slot as free again."""
        self.busy -= 1

    def drain(self) -> list[Node]:
        """Empty the queue; returns its nodes in the order in which they would be served."""
        nodes = [node for _, _, node in sorted(self._queue, key=lambda row: row[:2])]
        self._queue.clear()
        return nodes

    def __len__(self) -> int:
        return len(self._queue)
