"""The coordination core: nodes that go through numbered phases, gates, slots and workers.

It knows nothing of recipes. A NodeKind defines the phases of a kind of node; recipes are one kind,
and test packages are another.

Guarantees
  One worker carries a node at any time.
  `current_phase` (last one completed) and `target_phase` (run until here, inclusive) only grow.
  A gate is a counter with one wake-up, when it reaches zero. A completed or failed node counts down
  each gate that waits for it, once.
  A failed node stays failed. Its dependents look at failures only at their gate, when everything
  that the gate waits for has ended, and name the first in declaration order.
  `phase_complete` and `slot_released` are emitted before the change is visible to others;
  `phase_start` and `slot_acquired` after.
  When nothing runs and nothing is queued, every waiting thread is woken; no thread waits forever.

Lock order: an entry lock, then a slot, then the interpreter slot, then the coordinator's lock. The
last is held for moments only, never while a phase runs and never while an event is emitted. One
lock serves all nodes, because workers compute one at a time (envy.interpreter): a lock for each
node would gain nothing, and a single lock cannot be taken in two orders.

The coordinator moves nodes. Its Workers own slots and threads, its Waiters own the threads that
wait for nodes; each documents the fields that it changes.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from envy.interpreter import InterpreterSlot
from envy.scheduler.activity import NodeActivity, snapshot
from envy.scheduler.coordination import Coordination, Gate, NodeState
from envy.scheduler.gates import close_gate, open_gates, unfinished_dependencies
from envy.scheduler.observer import SchedulerObserver, SilentObserver
from envy.scheduler.pool import Budget, Pool
from envy.scheduler.run_state import RunState
from envy.scheduler.waiting import Waiters
from envy.scheduler.workers import Workers

# A cancellation ends these states. A thread that waits for a lock cannot be woken: its node fails
# now, and the thread notices that when it has the lock.
_ENDED_BY_CANCEL = frozenset({NodeState.BLOCKED, NodeState.LOCKED_OUT})


class Coordinator:
    """Schedules the workers of all nodes. Methods may be called from any thread."""

    def __init__(
        self,
        *,
        interpreter: InterpreterSlot | None = None,
        make_pool: Callable[[str, int], Pool[Coordination]] = Pool,
        observer: SchedulerObserver | None = None,
    ) -> None:
        self.interpreter = interpreter or InterpreterSlot()
        self._nodes: list[Coordination] = []
        self._run = RunState(self.interpreter, observer or SilentObserver())
        self._lock = self._run.lock
        self._waiters = Waiters(self._run, self._nodes)
        self._workers = Workers(
            self._run, carry=self._carry, on_crash=self._waiters.give_up, make_pool=make_pool
        )

    # -- what an engine calls ------------------------------------------------------------------

    @property
    def cancelled(self) -> Exception | None:
        """Why the run was cancelled, if it was."""
        return self._run.cancelled

    @property
    def peak_threads(self) -> int:
        """The largest number of worker threads at any one time."""
        return self._workers.peak_threads

    def observe(self, observer: SchedulerObserver) -> None:
        """Report to this observer from now on; called before any target is raised."""
        self._run.observer = observer

    def new_pool(self, name: str, size: int, *, budget: Budget | None = None) -> Pool[Coordination]:
        """Create a pool of slots."""
        return self._workers.new_pool(name, size, budget=budget)

    def add(self, node: Coordination) -> None:
        """Add a new node; it rests until its target is raised."""
        with self._lock:
            self._nodes.append(node)

    def add_gate(
        self, node: Coordination, phase: int, dependencies: Iterable[Coordination]
    ) -> None:
        """Make `phase` of a node wait until all dependencies have completed.

        Called before the target is raised past `phase`; dependencies are in declaration order.
        """
        with self._lock:
            close_gate(node, phase, dependencies)

    def raise_target(self, node: Coordination, phase: int) -> None:
        """Run the node until `phase`, inclusive; never lowers a target."""
        self.raise_targets([node], phase)

    def raise_targets(self, nodes: Iterable[Coordination], phase: int) -> None:
        """Run the nodes until `phase`: all are queued before the first slot is granted."""
        moved = []
        for node in nodes:
            with self._lock:
                if phase <= node.target_phase:
                    continue
                old, node.target_phase = node.target_phase, phase
                if node.state is NodeState.RESTING and node.failure is None:
                    node.state = NodeState.MOVING
                    moved.append(node)
            if self._run.observer.is_listening():
                self._run.observer.target_raised(node, old)
        if moved:
            self._advance(moved)

    def fail(self, node: Coordination, error: Exception) -> None:
        """Fail a resting node from outside, before its next phase."""
        self._advance(self._end(node, error))

    def wait(self, nodes: Sequence[Coordination], phase: int) -> None:
        """Block until each node has completed `phase` or failed.

        Raises:
            InternalError: nothing runs any more and a node has not completed the phase.
        """
        self._waiters.wait(nodes, phase)

    def wait_until_idle(self) -> None:
        """Block until every node rests at its target, is blocked, or has failed.

        Raises:
            InternalError: a worker was ended by a bug.
        """
        self._waiters.wait_until_idle()

    def cancel(self, reason: Exception) -> None:
        """Start nothing more; fail nodes with `reason`, running ones when their phase returns."""
        run = self._run
        with self._lock:
            if run.cancelled is not None:
                return
            run.cancelled = reason
            run.active += 1  # not a standstill until every waiting node has failed
            nodes = [
                node
                for node in self._nodes
                if node.state in _ENDED_BY_CANCEL and node.failure is None
            ]
            self._waiters.wake_idle()
            for node in self._workers.drain():
                node.state = NodeState.RESTING
                run.active -= 1
                nodes.append(node)
        for node in nodes:
            self._advance(self._end(node, reason))
        with self._lock:
            run.active -= 1
            self._waiters.wake_if_idle()

    def borrow(self, pool: Pool[Coordination], *, at_most: int) -> int:
        """Take up to `at_most` free slots for helpers of a running phase; returns their number."""
        return self._workers.borrow(pool, at_most=at_most)

    def give_back(self, pool: Pool[Coordination], count: int) -> None:
        """Return borrowed slots."""
        self._workers.give_back(pool, count)

    def without_slot(self, node: Coordination, waiting_for: str, wait: Callable[[], None]) -> None:
        """Run `wait` in the node's thread without its slot, then queue for a slot again.

        No thread waits for an entry lock while it has a slot: two processes with one slot each
        could otherwise hold what the other needs.

        Raises:
            Cancelled: the run was cancelled.
        """
        self._workers.without_slot(node, waiting_for, wait)

    def activity(self) -> list[NodeActivity]:
        """Return what every node that does not rest does or waits for, and for how long."""
        with self._lock:
            return snapshot(self._nodes, time.monotonic())

    # -- how nodes move ------------------------------------------------------------------------

    def _advance(self, nodes: Iterable[Coordination]) -> None:
        """Move nodes that no thread carries, and start threads for those that may run."""
        self._workers.start(self._move(nodes))

    def _move(self, nodes: Iterable[Coordination]) -> list[Coordination]:
        """Block, queue or rest each of some MOVING nodes, then grant free slots.

        Returns the nodes that were granted a slot, which may be others: the caller starts them,
        or carries one of them itself.

        A loop and not a recursion: a chain of thousands may fall through to its end at once. All
        nodes are queued before the first slot is granted, which goes to the first of the queue.
        """
        pending = deque(nodes)
        while pending:
            node = pending.popleft()
            following = self._next_pool(node, pending)
            if following is not None:
                with self._lock:
                    self._run.active += 1
                    self._workers.enqueue(node, following)
        with self._lock:
            return [n for pool in self._workers.pools for n in self._workers.dispatch(pool)]

    def _next_pool(
        self, node: Coordination, opened: deque[Coordination]
    ) -> Pool[Coordination] | None:
        """Return the pool of the node's next phase, or None when it rests, is blocked or has ended.

        Called for a node that no other thread moves: by its worker, or while it rests. Nodes whose
        gate opened on the way are added to `opened`.
        """
        kind, run = node.kind, self._run
        while True:
            phase = node.current_phase + 1
            with self._lock:
                if node.failure is not None or phase > node.target_phase:
                    node.state = NodeState.RESTING
                    return None
                gate = node.gates.get(phase) if node.gates else None
                blocked = gate is not None and gate.unfinished > 0 and run.cancelled is None
                if blocked:
                    assert gate is not None
                    node.state = NodeState.BLOCKED
                    node.since = gate.reached_at = time.monotonic()
                    listening = run.observer.is_listening()
                    waiting_for = _names(unfinished_dependencies(node)) if listening else []
            if run.cancelled is not None:
                opened += self._end(node, run.cancelled)
                return None
            if blocked:
                if run.observer.is_listening():
                    run.observer.phase_blocked(node, phase, waiting_for)
                return None
            if gate is not None and not self._pass_gate(node, phase, gate, opened):
                return None
            try:
                if not kind.skips(node, phase):
                    return kind.pool(node, phase)
            except Exception as error:  # noqa: BLE001 - any error is the node's failure
                opened += self._end(node, kind.failed(node, phase, error))
                return None
            opened += self._complete_phase(node, phase)

    def _pass_gate(
        self, node: Coordination, phase: int, gate: Gate, opened: deque[Coordination]
    ) -> bool:
        """Go through an open gate; returns False, and fails the node, if a dependency failed."""
        assert node.gates is not None
        del node.gates[phase]
        if gate.reached_at and self._run.observer.is_listening():
            waited = time.monotonic() - gate.reached_at
            self._run.observer.phase_unblocked(node, phase, _names(gate.dependencies), waited)
        for dependency in gate.dependencies:
            if dependency.failure is not None:
                opened += self._end(node, node.kind.aborted(node, phase, dependency))
                return False
        return True

    # The states of a node, and the events that lead from one to the next:
    #
    #              target raised                gate closed
    #   RESTING ───────────────────▶ MOVING ─────────────────▶ BLOCKED
    #     ▲ ▲                         │ │ ▲                      │ ▲
    #     │ └─ target reached, failed ┘ │ └─ dependencies ended ─┘ │
    #     │                             │ slot needed              │
    #     │                             ▼                          │
    #     │                           QUEUED ◀─────────────────────┼──┐
    #     │                             │ ▲                        │  │
    #     │                slot granted │ │ next phase: other pool │  │ lock obtained
    #     │                             ▼ │                        │  │
    #     └── target reached, failed ── RUNNING ── gate closed ────┘  │
    #                                     │                           │
    #                                     └── entry lock taken ──▶ LOCKED_OUT
    #
    # RUNNING covers further phases under the same pool. A cancellation fails BLOCKED and QUEUED
    # nodes at once (to RESTING), RUNNING and LOCKED_OUT ones in their threads.

    def _carry(self, node: Coordination) -> Coordination | None:
        """Run a node that has just been granted a slot; returns the next node for this thread."""
        workers = self._workers
        workers.acquired(node)
        while True:
            pool = node.pool
            assert pool is not None
            opened = self._run_phase(node)
            if not self._can_continue(node):
                opened += self._release_locks(node)
            following = self._next_pool(node, opened)
            if following is None and node.failure is not None:
                opened += self._release_locks(node)  # it ended between two phases
            if following is not None and following is not pool and not following.has_room():
                # Hundreds may queue for a slot; each would keep a lock, and its file, open.
                opened += self._release_locks(node)
                following = None if node.failure else following
            granted = self._move(opened) if opened else []
            if following is pool:
                workers.start(granted)
                continue
            granted += self._leave(node, pool, following)
            if node in granted:  # its new slot was free at once: this thread goes on with it
                granted.remove(node)
                workers.start(granted)
                workers.acquired(node)
                continue
            return workers.start_all_but_one(granted)

    def _leave(
        self, node: Coordination, pool: Pool[Coordination], following: Pool[Coordination] | None
    ) -> list[Coordination]:
        """Release the node's slot and queue it for one of `following`, if it has more to do.

        Returns the nodes that were granted a slot.
        """
        granted: list[Coordination] = []
        self._workers.report_released(node)
        with self._lock:
            node.thread = None
            pool.release()
            if following is None:
                node.pool = None
                self._run.active -= 1
                self._waiters.wake_if_idle()
            else:
                self._workers.enqueue(node, following)
                granted += self._workers.dispatch(following)
            granted += self._workers.dispatch(pool)
        return granted

    def _run_phase(self, node: Coordination) -> deque[Coordination]:
        """Run the node's next phase; returns the nodes whose gate opened."""
        phase = node.current_phase + 1
        if self._run.cancelled is not None:
            return deque(self._end(node, self._run.cancelled))
        try:
            node.kind.run(node, phase)
        except Exception as error:  # noqa: BLE001 - any error is the node's failure
            return deque(self._end(node, node.kind.failed(node, phase, error)))
        return deque(self._complete_phase(node, phase))

    def _can_continue(self, node: Coordination) -> bool:
        """Return whether no gate or target stops the node before its next phase with work."""
        phase = node.current_phase + 1
        while True:
            with self._lock:
                if node.failure is not None or phase > node.target_phase:
                    return False
                gate = node.gates.get(phase) if node.gates else None
                if gate is not None and gate.unfinished > 0:
                    return False
            try:
                if not node.kind.skips(node, phase):
                    return True
            except Exception:  # noqa: BLE001 - raised again, and reported, at that phase
                return False
            phase += 1

    def _release_locks(self, node: Coordination) -> list[Coordination]:
        """Release the node's locks while it is still RUNNING, so that no other thread moves it.

        Returns the nodes whose gate opened, if that failed.
        """
        try:
            node.kind.rest(node)
        except Exception as error:  # noqa: BLE001 - any error is the node's failure
            return self._end(node, node.kind.failed(node, node.current_phase + 1, error))
        return []

    def _complete_phase(self, node: Coordination, phase: int) -> list[Coordination]:
        """Publish a completed phase and wake its waiters; returns the nodes whose gate opened."""
        with self._lock:
            node.current_phase = phase
            self._waiters.progressed(node)
            return open_gates(node) if phase >= node.kind.last_phase else []

    def _end(self, node: Coordination, error: Exception) -> list[Coordination]:
        """Keep a failure and wake the node's waiters; returns the nodes whose gate opened."""
        with self._lock:
            if node.failure is not None:
                return []
            node.failure = error
            if node.state is not NodeState.LOCKED_OUT:  # its thread still waits
                node.state = NodeState.RESTING
            self._waiters.progressed(node)
            return open_gates(node)


def _names(nodes: Iterable[Coordination]) -> list[str]:
    return [node.name for node in nodes]
