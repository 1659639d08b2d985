"""The coordination core: nodes that go through numbered phases, gates, slots and workers.

It knows nothing of recipes. A NodeKind says what the phases of a sort of node are; recipes are one
kind, and test packages can be another.

Guarantees
  One worker per node at any time. A thread exists only while its node has a slot, or waits for a
  file lock; a thread whose node rests takes the next node that is granted a slot of its pool.
  `current_phase` (last one completed) and `target_phase` (run until here, inclusive) only grow.
  A gate is a counter with one wake, when it reaches zero. A completed or failed node counts down
  the gates that wait for it, once each.
  A failed node stays failed. Its dependents look at failures only at their gate, when everything
  the gate waits for has ended, and name the first in declaration order.
  `phase_complete` and `slot_released` are emitted before the change is visible to others;
  `phase_start` and `slot_acquired` after.
  When nothing runs and nothing is queued, whoever waits is told so; nobody waits for ever.

Lock order: an entry lock, then a slot, then the interpreter slot, then the coordinator's lock. The
last is held for moments only, never while a phase runs and never while an event is emitted. One
lock for all nodes, and not one each, because workers compute one at a time (envy.interpreter):
there is nobody to contend with, and one lock cannot be taken in two orders.
"""

from __future__ import annotations

import _thread
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from envy.errors import Cancelled, InternalError
from envy.interpreter import InterpreterSlot, released
from envy.scheduler.coordination import Coordination, Gate, NodeState, Waiter, tell_waiters
from envy.scheduler.gates import close_gate, open_dependencies, open_gates
from envy.scheduler.observer import SchedulerObserver, SilentObserver
from envy.scheduler.pool import Budget, Pool
from envy.scheduler.waiting import Waiting, look_at, standstill

# A thread that waits for a lock cannot be woken; its node ends all the same, without it.
_WAITING = frozenset({NodeState.BLOCKED, NodeState.LOCKED_OUT})


class Coordinator:
    """Schedules the workers of all nodes."""

    def __init__(
        self,
        *,
        interpreter: InterpreterSlot | None = None,
        make_pool: Callable[[str, int], Pool[Coordination]] = Pool,
        observer: SchedulerObserver | None = None,
    ) -> None:
        self.interpreter = interpreter or InterpreterSlot()
        self.observer = observer or SilentObserver()
        self._make_pool = make_pool
        self._lock = threading.Lock()
        self._nodes: list[Coordination] = []
        self._active = 0  # nodes that are queued, running or waiting for a lock
        self._idle_waiter: Waiter | None = None
        self._waiting: list[Waiter] = []
        self._pools: list[Pool[Coordination]] = []
        self._refused: list[tuple[Coordination, Budget]] = []  # of which nobody was told yet
        self._threads = 0
        self.peak_threads = 0
        self.cancelled: Exception | None = None
        self._crash: BaseException | None = None  # a bug that ended a worker
        # With 256 kB a nested Lua callback ends the process.
        threading.stack_size(1 << 20)

    # -- what an engine calls ------------------------------------------------------------------

    def new_pool(self, name: str, size: int, *, budget: Budget | None = None) -> Pool[Coordination]:
        """Make a pool of slots."""
        pool = self._make_pool(name, size)
        pool.budget = budget
        if budget is not None:
            budget.on_freed(lambda: self.give_back(pool, 0))
        self._pools.append(pool)
        return pool

    def add(self, node: Coordination) -> None:
        """Take charge of a new node; it rests until its target is raised."""
        with self._lock:
            self._nodes.append(node)

    def add_gate(
        self, node: Coordination, phase: int, dependencies: Iterable[Coordination]
    ) -> None:
        """Let `phase` of a node wait for the completion of others.

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
            if self.observer.is_listening():
                self.observer.target_raised(node, old)
        if moved:
            self._advance(moved)

    def fail(self, node: Coordination, error: Exception) -> None:
        """Fail a resting node from outside, before its next phase."""
        self._advance(self._end(node, error))

    def wait(self, nodes: Sequence[Coordination], phase: int) -> None:
        """Block until each node has completed `phase` or failed.

        Raises:
            InternalError: nothing runs any more and a node is still short of the phase.
        """
        waiter = Waiter()
        with self._lock:
            for node in nodes:
                if node.failure is None and node.current_phase < phase:
                    waiter.count += 1
                    if node.waiters is None:
                        node.waiters = []
                    node.waiters.append((phase, waiter))
            if waiter.count == 0:
                return
            if self._active == 0 or self._crash:
                raise self._stuck() from self._crash
            self._waiting.append(waiter)
        with released():
            waiter.wake.acquire()
        with self._lock:
            self._waiting.remove(waiter)
            if waiter.count:
                raise self._stuck() from self._crash

    def wait_until_idle(self) -> None:
        """Block until every node rests at its target, is blocked, or has failed.

        Raises:
            InternalError: a worker was ended by a bug.
        """
        waiter = Waiter()
        with self._lock:
            if self._active == 0:
                return
            if self._crash is None:
                self._idle_waiter = waiter
            else:
                waiter.tell()
        with released():
            waiter.wake.acquire()
        if self._crash is not None:
            raise self._stuck() from self._crash

    def cancel(self, reason: Exception) -> None:
        """Start nothing more; what is not running ends now, with `reason` as its failure."""
        with self._lock:
            if self.cancelled is not None:
                return
            self.cancelled = reason
            self._active += 1  # until all that waits has ended, nothing is stuck
            nodes = [
                node for node in self._nodes if node.state in _WAITING and node.failure is None
            ]
            if self._idle_waiter is not None:
                self._idle_waiter.tell()
                self._idle_waiter = None
            for pool in self._pools:
                for node in pool.drain():
                    if node.parked is not None:
                        pool.take()
                        node.parked.release()
                    else:
                        nodes.append(node)
                        node.state = NodeState.RESTING
                        self._active -= 1
        for node in nodes:
            self._advance(self._end(node, reason))
        with self._lock:
            self._active -= 1
            self._wake_if_idle()

    def borrow(self, pool: Pool[Coordination], *, at_most: int) -> int:
        """Take up to so many free slots for helpers of a running phase; give them back after."""
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
            started = self._dispatch(pool)
        self._start(started)

    def without_slot(self, node: Coordination, waiting_for: str, wait: Callable[[], None]) -> None:
        """Run `wait` in the node's thread without its slot, then queue for a slot again.

        Nobody waits for an entry lock while holding a slot: two processes with one slot each
        could otherwise hold what the other needs.
        """
        pool = node.pool
        assert pool is not None
        self._note_released(node)
        with self._lock:
            node.state = NodeState.LOCKED_OUT
            node.waiting_for = waiting_for
            node.since = time.monotonic()
            pool.release()
            started = self._dispatch(pool)
        self._start(started)
        try:
            with released():
                wait()
        finally:
            self._reacquire(node, pool)

    def waits(self) -> list[Waiting]:
        """Every node that is not at rest: what it does or waits for, and for how long."""
        with self._lock:
            return look_at(self._nodes, time.monotonic())

    # -- how nodes move ------------------------------------------------------------------------

    def _advance(self, nodes: Iterable[Coordination]) -> None:
        """Move nodes that nobody works on, and start threads for those that may work."""
        self._start(self._move(nodes))

    def _move(self, nodes: Iterable[Coordination]) -> list[Coordination]:
        """Block nodes that nobody works on, queue them, or let them rest; returns who was granted
        a slot, maybe others: the caller starts these, or goes on with one itself.

        A loop and not a recursion: a chain of thousands may fall through to its end at once. All
        are in the queues before the first slot is granted, which goes to the first among them.
        """
        pending = deque(nodes)
        while pending:
            node = pending.popleft()
            following = self._next_step(node, pending)
            if following is not None:
                with self._lock:
                    self._active += 1
                    self._enqueue(node, following)
        with self._lock:
            return [node for pool in self._pools for node in self._dispatch(pool)]

    def _next_step(
        self, node: Coordination, opened: deque[Coordination]
    ) -> Pool[Coordination] | None:
        """The pool of the node's next phase, or None when it rests, is blocked or has ended.

        Called for a node that nobody else moves: by its worker, or while it rests. Nodes whose
        gate opened on the way are added to `opened`.
        """
        kind = node.kind
        while True:
            phase = node.current_phase + 1
            with self._lock:
                if node.failure is not None or phase > node.target_phase:
                    node.state = NodeState.RESTING
                    return None
                gate = node.gates.get(phase) if node.gates else None
                blocked = gate is not None and gate.count > 0 and self.cancelled is None
                if blocked:
                    assert gate is not None
                    node.state = NodeState.BLOCKED
                    node.since = gate.closed_at = time.monotonic()
                    waiting_for = open_dependencies(node) if self.observer.is_listening() else []
            if self.cancelled is not None:
                opened += self._end(node, self.cancelled)
                return None
            if blocked:
                if self.observer.is_listening():
                    self.observer.phase_blocked(node, phase, waiting_for)
                return None
            if gate is not None and not self._pass(node, phase, gate, opened):
                return None
            try:
                if not kind.skips(node, phase):
                    return kind.pool(node, phase)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is this node's
                opened += self._end(node, kind.failed(node, phase, error))
                return None
            opened += self._publish(node, phase)

    def _pass(
        self, node: Coordination, phase: int, gate: Gate, opened: deque[Coordination]
    ) -> bool:
        """Go through an open gate: False, and a failure, if a dependency behind it failed."""
        assert node.gates is not None
        del node.gates[phase]
        if gate.closed_at and self.observer.is_listening():
            names = [dependency.name for dependency in gate.dependencies]
            waited = time.monotonic() - gate.closed_at
            self.observer.phase_unblocked(node, phase, names, waited)
        for dependency in gate.dependencies:
            if dependency.failure is not None:
                opened += self._end(node, node.kind.aborted(node, phase, dependency))
                return False
        return True

    def _work(self, node: Coordination | None) -> None:
        """A thread: carries a node until it rests, then the next one that gets a slot."""
        with self.interpreter.held():
            try:
                while node is not None:
                    if self.observer.is_listening():
                        self.observer.worker_started(node)
                    following = self._carry(node)
                    if self.observer.is_listening():
                        self.observer.worker_rested(node)
                    node = following
            except BaseException as error:  # noqa: BLE001 - a bug; nobody may wait for ever for it
                self._give_up(error)
            with self._lock:
                self._threads -= 1

    def _carry(self, node: Coordination) -> Coordination | None:
        """Run a node that has just been granted a slot; returns the next node for this thread."""
        self._note_granted(node)
        while True:
            pool = node.pool
            assert pool is not None
            opened = self._run_phase(node)
            if not self._may_go_on(node):
                opened += self._let_go(node)
            following = self._next_step(node, opened)
            if following is None and node.failure is not None:
                opened += self._let_go(node)  # it ended between two phases
            if following is not None and following is not pool and not following.has_room():
                # Hundreds may queue for a slot; each would keep a lock, and its file, open.
                opened += self._let_go(node)
                following = None if node.failure else following
            granted = self._move(opened) if opened else []
            if following is pool:
                self._start(granted)
                continue
            self._note_released(node)
            with self._lock:
                node.thread = None
                pool.release()
                if following is None:
                    node.pool = None
                    self._active -= 1
                    self._wake_if_idle()
                else:
                    self._enqueue(node, following)
                    granted += self._dispatch(following)
                granted += self._dispatch(pool)
            if node in granted:  # its new slot was free at once: this thread goes on with it
                granted.remove(node)
                self._start(granted)
                self._note_granted(node)
                continue
            ours = next((other for other in granted if other.parked is None), None)
            if ours is not None:
                granted.remove(ours)
            self._start(granted)
            return ours

    def _run_phase(self, node: Coordination) -> deque[Coordination]:
        phase = node.current_phase + 1
        if self.cancelled is not None:
            return deque(self._end(node, self.cancelled))
        try:
            node.kind.run(node, phase)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this node's
            return deque(self._end(node, node.kind.failed(node, phase, error)))
        return deque(self._publish(node, phase))

    def _may_go_on(self, node: Coordination) -> bool:
        """Whether nothing keeps the node from its next phase, past those that it skips."""
        phase = node.current_phase + 1
        while True:
            with self._lock:
                if node.failure is not None or phase > node.target_phase:
                    return False
                gate = node.gates.get(phase) if node.gates else None
                if gate is not None and gate.count > 0:
                    return False
            try:
                if not node.kind.skips(node, phase):
                    return True
            except Exception:  # noqa: BLE001 - it is met again, and told, at that phase
                return False
            phase += 1

    def _let_go(self, node: Coordination) -> list[Coordination]:
        """Release what the node holds, while it still counts as running: nobody else moves it."""
        try:
            node.kind.rest(node)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this node's
            return self._end(node, node.kind.failed(node, node.current_phase + 1, error))
        return []

    def _publish(self, node: Coordination, phase: int) -> list[Coordination]:
        """Make a completed phase visible, wake who waited for it; returns whose gate opened."""
        with self._lock:
            node.current_phase = phase
            tell_waiters(node)
            return open_gates(node) if phase >= node.kind.last_phase else []

    def _end(self, node: Coordination, error: Exception) -> list[Coordination]:
        """Keep a failure, wake who waited for the node; returns whose gate opened."""
        with self._lock:
            if node.failure is not None:
                return []
            node.failure = error
            if node.state is not NodeState.LOCKED_OUT:  # its thread is still there
                node.state = NodeState.RESTING
            tell_waiters(node)
            return open_gates(node)

    # -- under the lock ------------------------------------------------------------------------

    def _give_up(self, error: BaseException) -> None:
        with self._lock:
            self._crash = error
            self._wake_everybody()

    def _wake_if_idle(self) -> None:
        if self._active == 0:
            self._wake_everybody()

    def _wake_everybody(self) -> None:
        if self._idle_waiter is not None:
            self._idle_waiter.tell()
            self._idle_waiter = None
        for waiter in self._waiting:
            if waiter.count:
                waiter.tell()

    def _enqueue(self, node: Coordination, pool: Pool[Coordination]) -> None:
        node.state = NodeState.QUEUED
        node.since = time.monotonic()
        node.pool = pool
        pool.enqueue(node)

    def _dispatch(self, pool: Pool[Coordination]) -> list[Coordination]:
        """Grant what can be granted; the caller starts these, outside the lock."""
        granted = []
        while (node := pool.grant()) is not None:
            granted.append(node)
        refused = pool.settle()
        if refused is not None and pool.budget is not None:
            self._refused.append((refused, pool.budget))
        return granted

    def _stuck(self) -> InternalError:
        return standstill(self._nodes, self._crash)

    # -- threads -------------------------------------------------------------------------------

    def _start(self, granted: Iterable[Coordination]) -> None:
        if self._refused:
            self._tell_refused()
        for node in granted:
            if node.parked is not None:
                node.parked.release()
                continue
            with self._lock:
                self._threads += 1
                self.peak_threads = max(self.peak_threads, self._threads)
            _thread.start_new_thread(self._work, (node,))

    def _tell_refused(self) -> None:
        with self._lock:
            refused, self._refused = self._refused, []
        if self.observer.is_listening():
            for node, budget in refused:
                self.observer.slot_refused(node, budget.reason())

    def _reacquire(self, node: Coordination, pool: Pool[Coordination]) -> None:
        node.parked = _thread.allocate_lock()
        node.parked.acquire()
        with self._lock:
            if self.cancelled is None:
                self._enqueue(node, pool)
                started = self._dispatch(pool)
            else:
                pool.take()
                node.parked.release()
                started = []
        self._start(started)
        with released():
            node.parked.acquire()
        node.parked = None
        if self.cancelled is not None:
            with self._lock:
                node.state = NodeState.RUNNING
            raise Cancelled(str(self.cancelled))
        self._note_granted(node)

    def _note_granted(self, node: Coordination) -> None:
        now = time.monotonic()
        waited = now - node.since
        with self._lock:
            node.state = NodeState.RUNNING
            node.thread = _thread.get_ident()
            node.since = node.granted_at = now
        if self.observer.is_listening():
            self.observer.slot_acquired(node, waited)

    def _note_released(self, node: Coordination) -> None:
        if self.observer.is_listening():
            held = time.monotonic() - node.granted_at
            self.observer.slot_released(node, held)
