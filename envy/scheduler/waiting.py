"""Threads outside the scheduler that wait for nodes, and what wakes them."""

from __future__ import annotations

import _thread
from collections.abc import Iterable, Sequence

from envy.errors import InternalError
from envy.interpreter import released
from envy.scheduler.activity import standstill
from envy.scheduler.coordination import Coordination
from envy.scheduler.run_state import RunState


class Waiter:
    """A thread that waits for several nodes to complete a phase."""

    __slots__ = ("_woken", "unfinished", "wake")

    def __init__(self) -> None:
        self.unfinished = 0
        self._woken = False
        self.wake = _thread.allocate_lock()
        self.wake.acquire()

    def notify(self) -> None:
        """Wake the thread, once; called under the coordinator's lock."""
        if not self._woken:
            self._woken = True
            self.wake.release()


class Waiters:
    """Every thread that waits for a node to complete a phase, or for all workers to be idle."""

    def __init__(self, run: RunState, nodes: Iterable[Coordination]) -> None:
        self._run = run
        self._lock = run.lock
        self._nodes = nodes
        self._idle: Waiter | None = None
        self._waiting: list[Waiter] = []

    def wait(self, nodes: Sequence[Coordination], phase: int) -> None:
        """Block until each node has completed `phase` or failed.

        Raises:
            InternalError: nothing runs any more and a node has not completed the phase.
        """
        waiter = Waiter()
        with self._lock:
            for node in nodes:
                if node.failure is None and node.current_phase < phase:
                    waiter.unfinished += 1
                    if node.waiters is None:
                        node.waiters = []
                    node.waiters.append((phase, waiter))
            if waiter.unfinished == 0:
                return
            if self._run.active == 0 or self._run.crash:
                raise self._standstill() from self._run.crash
            self._waiting.append(waiter)
        with released():
            waiter.wake.acquire()
        with self._lock:
            self._waiting.remove(waiter)
            if waiter.unfinished:
                raise self._standstill() from self._run.crash

    def wait_until_idle(self) -> None:
        """Block until nothing is active any more, or the run is cancelled.

        Raises:
            InternalError: a worker was ended by a bug.
        """
        waiter = Waiter()
        with self._lock:
            if self._run.active == 0:
                return
            if self._run.crash is None:
                self._idle = waiter
            else:
                waiter.notify()
        with released():
            waiter.wake.acquire()
        if self._run.crash is not None:
            raise self._standstill() from self._run.crash

    def give_up(self, crash: BaseException) -> None:
        """Wake every waiting thread with the bug that ended a worker. Takes the lock."""
        with self._lock:
            self._run.crash = crash
            self._wake_everything()

    # -- under the lock ------------------------------------------------------------------------

    def progressed(self, node: Coordination) -> None:
        """Wake the threads that wait for what a node has reached."""
        if not node.waiters:
            return
        kept = []
        for phase, waiter in node.waiters:
            if node.failure is None and node.current_phase < phase:
                kept.append((phase, waiter))
                continue
            waiter.unfinished -= 1
            if waiter.unfinished == 0:
                waiter.notify()
        node.waiters = kept

    def wake_if_idle(self) -> None:
        """Wake every waiting thread if nothing is active any more."""
        if self._run.active == 0:
            self._wake_everything()

    def wake_idle(self) -> None:
        """Wake the thread that waits until nothing is active."""
        if self._idle is not None:
            self._idle.notify()
            self._idle = None

    def _wake_everything(self) -> None:
        self.wake_idle()
        for waiter in self._waiting:
            if waiter.unfinished:
                waiter.notify()

    def _standstill(self) -> InternalError:
        return standstill(self._nodes, self._run.crash)
