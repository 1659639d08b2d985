"""How many may work at once, and who goes first.

A Pool is a number of slots and a queue of those who wait for one, longest remaining path first.
Pure bookkeeping: every method is called under the coordinator's lock, and granting (which is also
the wake-up) is the coordinator's doing.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from envy.engine.node import Coordination


class Pool:
    """Slots of one sort: work (`--jobs`) or transfer (`--fetch-jobs`)."""

    __slots__ = ("_order", "_queue", "busy", "name", "peak", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size
        self.busy = 0
        self.peak = 0
        self._queue: list[tuple[float, int, Coordination]] = []
        self._order = 0

    def enqueue(self, node: Coordination) -> None:
        """Let a node wait for a slot; equal priorities are served in order of arrival."""
        self._order += 1
        heapq.heappush(self._queue, (-node.priority, self._order, node))

    def has_room(self) -> bool:
        """Whether who asks now is granted a slot at once."""
        return self.busy < self.size and not self._queue

    def grant(self) -> Coordination | None:
        """Give a free slot to the first in the queue, if there are both."""
        if self.busy >= self.size or not self._queue:
            return None
        self.take()
        return heapq.heappop(self._queue)[2]

    def take(self) -> None:
        """Count one more slot as busy."""
        self.busy += 1
        self.peak = max(self.peak, self.busy)

    def release(self) -> None:
        """Give a slot back."""
        self.busy -= 1

    def drain(self) -> list[Coordination]:
        """Empty the queue, when the run is cancelled."""
        nodes = [node for _, _, node in sorted(self._queue, key=lambda row: row[:2])]
        self._queue.clear()
        return nodes

    def __len__(self) -> int:
        return len(self._queue)
