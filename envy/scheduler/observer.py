"""The reports of the scheduler while it works.

Subclass `SchedulerObserver` and override what is of interest; the docstrings are the contract.
"""

from __future__ import annotations

from collections.abc import Sequence

from envy.scheduler.coordination import Coordination


class SchedulerObserver:
    """Receives every change of a node that its kind does not report itself; does nothing with it.

    Methods are called by the thread that caused the change, under none of the scheduler's locks,
    and must not wait for a node. An exception ends the worker that made the call, and with it the
    run. Times are in seconds.
    """

    def is_listening(self) -> bool:
        """Return whether reports are wanted now.

        Asked before each report. While it is False, no other method is called and nothing is
        computed for one.
        """
        return True

    def target_raised(self, node: Coordination, old: int) -> None:
        """`node.target_phase` has grown from `old`; the node has not moved yet."""

    def worker_started(self, node: Coordination) -> None:
        """A worker thread begins to carry the node, which has a slot."""

    def worker_rested(self, node: Coordination) -> None:
        """The worker no longer carries the node: it rests, is blocked, is queued, or has ended."""

    def phase_blocked(self, node: Coordination, phase: int, waiting_for: Sequence[str]) -> None:
        """The node has come to the closed gate of `phase`.

        `waiting_for` names the unfinished dependencies, in declaration order.
        """

    def phase_unblocked(
        self, node: Coordination, phase: int, waiting_for: Sequence[str], wait: float
    ) -> None:
        """The node goes through a gate that it was blocked at, `wait` seconds later.

        `waiting_for` names every dependency of the gate. Some may have failed; the node then fails
        next.
        """

    def slot_acquired(self, node: Coordination, wait: float) -> None:
        """The node has been granted a slot of `node.pool`, after `wait` seconds in its queue."""

    def slot_released(self, node: Coordination, hold: float) -> None:
        """The node is about to release the slot of `node.pool` that it held for `hold` seconds."""

    def slot_refused(self, node: Coordination, reason: str) -> None:
        """The node is first in its queue and a slot is free, but the pool's budget refuses it.

        Reported once for each refusal, not again while the same node is still refused.
        """


class SilentObserver(SchedulerObserver):
    """An observer for a run without listeners."""

    def is_listening(self) -> bool:
        """Return False: nothing is ever reported."""
        return False
