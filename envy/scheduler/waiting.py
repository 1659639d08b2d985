"""The waits of threads outside the scheduler for nodes.

Guarantees
  A wait is never ended by a timeout. It ends when its nodes have completed the phase or failed,
  when nothing runs any more, or when a worker has crashed.
  A condition belongs to one node (`changed`) or to the whole run (idle). All are conditions over
  the coordinator's lock: they are created, read and notified only under it, so that no wake-up is
  lost and a node that no thread waits for needs none.
  A node that makes progress wakes its threads only if it has failed or reached the lowest phase
  that one of them waits for (`awaited`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from envy.errors import InternalError
from envy.interpreter import released
from envy.scheduler.activity import standstill
from envy.scheduler.coordination import NOT_AWAITED, Coordination
from envy.scheduler.run_state import RunState


class Waiters:
    """Every thread that waits for a node to complete a phase, or for the run to be idle.

    Changes only these fields of a node: changed, awaited.
    """

    def __init__(self, run: RunState, nodes: Iterable[Coordination]) -> None:
        self._run = run
        self._lock = run.lock
        self._nodes = nodes
        self._idle = threading.Condition(run.lock)
        self._awaited: list[threading.Condition] = []  # of the node that each thread waits for

    def wait(self, nodes: Sequence[Coordination], phase: int) -> None:
        """Block until each node has completed `phase` or failed.

        The wait begins with the node that was started last, because it usually ends last: then
        the thread need not wake for the others.

        Raises:
            InternalError: nothing runs any more and a node has not completed the phase.
        """
        # In this order: a thread that takes back the interpreter slot must not hold the lock.
        with released(), self._lock:
            for node in reversed(nodes):
                while node.failure is None and node.current_phase < phase:
                    if self._run.active == 0 or self._run.crash is not None:
                        raise self._standstill() from self._run.crash
                    self._wait_for(node, phase)

    def _wait_for(self, node: Coordination, phase: int) -> None:
        """Wait until the node may have completed the phase or nothing runs any more."""
        if node.changed is None:
            node.changed = threading.Condition(self._lock)
        node.awaited = min(node.awaited, phase)
        self._awaited.append(node.changed)
        try:
            node.changed.wait()
        finally:
            self._awaited.remove(node.changed)

    def wait_until_idle(self) -> None:
        """Block until nothing is active any more, or the run is cancelled.

        A cancellation ends only the wait that it interrupts; a later one lasts until idle.

        Raises:
            InternalError: a worker was ended by a bug.
        """
        run = self._run
        with released(), self._lock:
            cancelled = run.cancelled
            while run.active and run.crash is None and run.cancelled is cancelled:
                self._idle.wait()
            if run.crash is not None:
                raise self._standstill() from run.crash

    def give_up(self, crash: BaseException) -> None:
        """Wake every thread with the bug that ended a worker. Takes the lock."""
        with self._lock:
            self._run.crash = crash
            self._wake_everything()

    # -- under the lock ------------------------------------------------------------------------

    def progressed(self, node: Coordination) -> None:
        """Wake the threads that wait for what a node has reached."""
        if node.changed is None:
            return
        if node.failure is not None or node.current_phase >= node.awaited:
            node.awaited = NOT_AWAITED  # threads that wait for a later phase set it again
            node.changed.notify_all()

    def wake_if_idle(self) -> None:
        """Wake every thread if nothing is active any more."""
        if self._run.active == 0:
            self._wake_everything()

    def wake_idle(self) -> None:
        """Wake the threads that wait until nothing is active."""
        self._idle.notify_all()

    def _wake_everything(self) -> None:
        self._idle.notify_all()
        for changed in self._awaited:
            changed.notify_all()

    def _standstill(self) -> InternalError:
        return standstill(self._nodes, self._run.crash)
