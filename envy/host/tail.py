"""How long the output of processes that outlive a child is listened to.

`cmd > >(tee log)` ends before tee does. Only a process that holds a pipe open costs this time. One
that sleeps and is silent has said what it had to say; one that works may lack a processor, on a
busy machine.

Whether one works is what it does at the moment of the look, five times a second. What a process
writes later than that is lost if it slept then, waiting for a timer or another process, and nothing
had arrived since the look before.
"""

import time

from envy.host.process_table import is_group_at_work

_GRACE = 0.2  # seconds
LONGEST_TAIL = 2.0  # seconds; a process may work, and write, for ever


class Tail:
    """The time after the end of one child in which its group may still write."""

    __slots__ = ("_ends", "_group", "_longest", "_looked")

    def __init__(self, group: int, longest: float) -> None:
        self._group = group
        self._longest = longest
        self._ends = self._looked = 0.0

    def begin(self) -> float:
        """Return until when to listen, by time.monotonic, after the child has ended."""
        self._looked = time.monotonic()
        self._ends = self._looked + self._longest
        return self._looked + _GRACE

    def go_on(self, last_output: float) -> float | None:
        """Return until when to listen on; None if the group is idle, or its time is over.

        A group is not idle if there was output, at that time, since the look before.
        """
        before, self._looked = self._looked, time.monotonic()
        if self._looked >= self._ends:
            return None
        if last_output < before and not is_group_at_work(self._group):
            return None
        return self._looked + _GRACE
