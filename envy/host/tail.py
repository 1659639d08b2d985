"""How long the output of processes that outlive a child is listened to.

`cmd > >(tee log)` ends before tee does. Only a process that holds a pipe open costs this time. One
that sleeps has said what it had to say; one that works may lack a processor, on a busy machine.
"""

import time

from envy.host.process_table import is_group_at_work

_GRACE = 0.2  # seconds
LONGEST_TAIL = 2.0  # seconds; a process may work, and write, for ever


class Tail:
    """The time after the end of one child in which its group may still write."""

    __slots__ = ("_ends", "_group", "_longest")

    def __init__(self, group: int, longest: float) -> None:
        self._group = group
        self._longest = longest
        self._ends = 0.0

    def begin(self) -> float:
        """Return until when to listen, by time.monotonic, after the child has ended."""
        now = time.monotonic()
        self._ends = now + self._longest
        return now + _GRACE

    def go_on(self) -> float | None:
        """Return until when to listen on; None if the group is idle, or its time is over."""
        now = time.monotonic()
        if now >= self._ends or not is_group_at_work(self._group):
            return None
        return now + _GRACE
