"""Slots and threads: which node is granted a slot, and which thread carries it.

Guarantees
  A thread exists only while its node has a slot, or waits for a file lock. A thread whose node
  rests takes the next node that is granted a slot.
  A slot that is free is granted to the first node in the queue, unless the budget refuses it.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable, Iterable

from envy.errors import Cancelled
from envy.interpreter import released
from envy.scheduler.coordination import Coordination, NodeState
from envy.scheduler.pool import Budget, Pool
from envy.scheduler.run_state import RunState

Carry = Callable[[Coordination], Coordination | None]


class Workers:
    """The pools, and the threads that carry the nodes with a slot.

    Changes only these fields of a node: state (to QUEUED, RUNNING and LOCKED_OUT), since,
    waiting_for, pool, granted_at, thread, parked.
    """

    def __init__(
        self,
        run: RunState,
        *,
        carry: Carry,
        on_crash: Callable[[BaseException], None],
        make_pool: Callable[[str, int], Pool[Coordination]],
    ) -> None:
        self.peak_threads = 0
        self.pools: list[Pool[Coordination]] = []
        self._run = run
        self._lock = run.lock
        self._carry = carry  # run a node with a slot; returns the next node for the thread
        self._on_crash = on_crash
        self._make_pool = make_pool
        self._refused: list[tuple[Coordination, Budget]] = []  # refusals not yet reported
        self._threads = 0
        # With 256 kB a nested Lua callback ends the process.
        threading.stack_size(1 << 20)

    def new_pool(self, name: str, size: int, *, budget: Budget | None) -> Pool[Coordination]:
        """Create a pool of slots."""
        pool = self._make_pool(name, size)
        pool.budget = budget
        if budget is not None:
            budget.on_freed(lambda: self.give_back(pool, 0))
        self.pools.append(pool)
        return pool

    def borrow(self, pool: Pool[Coordination], *, at_most: int) -> int:
        """Take up to `at_most` free slots that no node is queued for; returns their number."""
        with self._lock:
            count = max(0, min(at_most, pool.size - pool.busy - len(pool)))
            for _ in range(count):
                pool.take()
            return count

    def give_back(self, pool: Pool[Coordination], count: int) -> None:
        """Return borrowed slots."""
        with self._lock:
            for _ in range(count):
                pool.release()
            granted = self.dispatch(pool)
        self.start(granted)

    def without_slot(self, node: Coordination, waiting_for: str, wait: Callable[[], None]) -> None:
        """Run `wait` in the node's thread without its slot, then queue for a slot again.

        Raises:
            Cancelled: the run was cancelled.
        """
        pool = node.pool
        assert pool is not None
        self.report_released(node)
        with self._lock:
            node.state = NodeState.LOCKED_OUT
            node.waiting_for = waiting_for
            node.since = time.monotonic()
            pool.release()
            granted = self.dispatch(pool)
        self.start(granted)
        try:
            with released():
                wait()
        finally:
            self._reacquire(node, pool)

    def _reacquire(self, node: Coordination, pool: Pool[Coordination]) -> None:
        node.parked = _thread.allocate_lock()
        node.parked.acquire()
        granted: list[Coordination] = []
        with self._lock:
            if self._run.cancelled is None:
                self.enqueue(node, pool)
                granted = self.dispatch(pool)
            else:
                pool.take()
                node.parked.release()
        self.start(granted)
        with released():
            node.parked.acquire()
        node.parked = None
        if self._run.cancelled is not None:
            with self._lock:
                node.state = NodeState.RUNNING
            raise Cancelled(str(self._run.cancelled))
        self.acquired(node)

    # -- under the lock ------------------------------------------------------------------------

    def enqueue(self, node: Coordination, pool: Pool[Coordination]) -> None:
        """Queue a node for a slot."""
        node.state = NodeState.QUEUED
        node.since = time.monotonic()
        node.pool = pool
        pool.enqueue(node)

    def dispatch(self, pool: Pool[Coordination]) -> list[Coordination]:
        """Grant the free slots of a pool; the caller starts the nodes outside the lock."""
        granted = []
        while (node := pool.grant()) is not None:
            granted.append(node)
        refused = pool.settle()
        if refused is not None and pool.budget is not None:
            self._refused.append((refused, pool.budget))
        return granted

    def drain(self) -> list[Coordination]:
        """Empty every queue when the run is cancelled; returns the nodes that have no thread.

        A node that has a thread gets a slot at once, to fail in that thread.
        """
        drained = []
        for pool in self.pools:
            for node in pool.drain():
                if node.parked is not None:
                    pool.take()
                    node.parked.release()
                else:
                    drained.append(node)
        return drained

    # -- threads, and what they report -----------------------------------------------------------

    def start(self, granted: Iterable[Coordination]) -> None:
        """Wake or start a thread for each node that has just been granted a slot."""
        if self._refused:
            self._report_refused()
        for node in granted:
            if node.parked is not None:
                node.parked.release()
                continue
            with self._lock:
                self._threads += 1
                self.peak_threads = max(self.peak_threads, self._threads)
            _thread.start_new_thread(self._work, (node,))

    def start_all_but_one(self, granted: list[Coordination]) -> Coordination | None:
        """Start all nodes but one that has no thread yet; returns it for the calling thread."""
        kept = next((node for node in granted if node.parked is None), None)
        if kept is not None:
            granted.remove(kept)
        self.start(granted)
        return kept

    def acquired(self, node: Coordination) -> None:
        """Note that the calling thread carries a node that has been granted a slot."""
        now = time.monotonic()
        waited = now - node.since
        with self._lock:
            node.state = NodeState.RUNNING
            node.thread = _thread.get_ident()
            node.since = node.granted_at = now
        if self._run.observer.is_listening():
            self._run.observer.slot_acquired(node, waited)

    def report_released(self, node: Coordination) -> None:
        """Report that a node is about to release its slot."""
        if self._run.observer.is_listening():
            self._run.observer.slot_released(node, time.monotonic() - node.granted_at)

    def _report_refused(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, []
        if self._run.observer.is_listening():
            for node, budget in refused:
                self._run.observer.slot_refused(node, budget.reason())

    def _work(self, first: Coordination) -> None:
        """The body of a thread: carry a node until it rests, then the next one with a slot."""
        node: Coordination | None = first
        observer = self._run.observer
        with self._run.interpreter.running():
            try:
                while node is not None:
                    if observer.is_listening():
                        observer.worker_started(node)
                    following = self._carry(node)
                    if observer.is_listening():
                        observer.worker_rested(node)
                    node = following
            except BaseException as error:  # noqa: BLE001 - a bug: no thread may wait for it forever
                self._on_crash(error)
            with self._lock:
                self._threads -= 1
