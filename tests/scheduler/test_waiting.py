"""Threads that wait for nodes: which progress wakes them, and that none sleeps forever."""

import random
import threading

import pytest
from scheduler.nodes import drive, make

from envy.errors import EnvyError, InternalError
from envy.interpreter import InterpreterSlot, released
from envy.scheduler.coordination import Coordination, NodeState
from envy.scheduler.observer import SchedulerObserver, SilentObserver
from envy.scheduler.run_state import RunState
from envy.scheduler.waiting import Waiters

LONG = 300  # seconds after which a thread is taken to sleep forever


class CountingCondition(threading.Condition):
    """A condition that reports when a thread begins to wait, and counts waits and notifications."""

    def __init__(self, lock):
        super().__init__(lock)
        self.waits = self.notifications = 0
        self.begun = threading.Semaphore(0)

    def wait_until_begun(self):
        assert self.begun.acquire(timeout=LONG)

    def notify_all(self):
        self.notifications += 1
        super().notify_all()

    def wait(self, timeout=None):
        self.waits += 1
        self.begun.release()
        return super().wait(timeout)


class SignallingLock:
    """A lock that reports its release, which happens when a thread begins to wait."""

    def __init__(self):
        self._lock = threading.Lock()
        self.releases = threading.Semaphore(0)
        self.holder = None

    def acquire(self, *arguments):
        acquired = self._lock.acquire(*arguments)
        if acquired:
            self.holder = threading.get_ident()
        return acquired

    def release(self):
        self.holder = None
        self._lock.release()
        self.releases.release()

    def __enter__(self):
        self.acquire()

    def __exit__(self, *_error):
        self.release()


class Board:
    """Waiters without a coordinator: the test changes the nodes itself."""

    def __init__(self, count):
        self.run = RunState(InterpreterSlot(), SilentObserver())
        self.run.lock = SignallingLock()
        self.run.active = 1
        self.nodes = [Coordination(f"n{i}", None, None) for i in range(count)]
        self.waiters = Waiters(self.run, self.nodes)

    def count_waits(self, node):
        """Give a node a condition that counts."""
        node.changed = CountingCondition(self.run.lock)
        return node.changed

    def complete(self, node, phase):
        with self.run.lock:
            node.current_phase = phase
            self.waiters.progressed(node)

    def fail(self, node):
        with self.run.lock:
            node.failure = EnvyError("broken")
            self.waiters.progressed(node)

    def end(self):
        """Make the run idle: nothing is active any more."""
        with self.run.lock:
            self.run.active = 0
            self.waiters.wake_if_idle()


class Waiting(threading.Thread):
    """A thread that calls a function, and keeps the error that ended it."""

    def __init__(self, call, *arguments):
        super().__init__(daemon=True)
        self.call, self.arguments, self.error = call, arguments, None
        self.start()

    def run(self):
        try:
            self.call(*self.arguments)
        except InternalError as error:
            self.error = error

    def ended(self):
        self.join(LONG)
        assert not self.is_alive(), "a wake-up was lost"
        return self.error


def test_a_thread_is_woken_only_by_the_phase_that_it_waits_for():
    """Phases before the awaited one notify no thread, and neither do later ones."""
    board = Board(1)
    [node] = board.nodes
    changed = board.count_waits(node)
    thread = Waiting(board.waiters.wait, [node], 3)
    changed.wait_until_begun()
    for phase in range(8):
        board.complete(node, phase)
    assert thread.ended() is None
    assert (changed.waits, changed.notifications) == (1, 1)


@pytest.mark.parametrize("first", [2, 5])
def test_two_threads_that_wait_for_different_phases_of_a_node_are_both_woken(first):
    """The lower phase wakes both threads; the one that needs more waits again."""
    board = Board(1)
    [node] = board.nodes
    changed = board.count_waits(node)
    threads = {}
    for phase in (first, 7 - first):
        threads[phase] = Waiting(board.waiters.wait, [node], phase)
        changed.wait_until_begun()
    assert node.awaited == 2
    board.complete(node, 2)
    assert threads[2].ended() is None
    changed.wait_until_begun()  # the other one waits again
    assert node.awaited == 5
    board.complete(node, 4)
    assert threads[5].is_alive()
    board.complete(node, 5)
    assert threads[5].ended() is None
    assert (changed.waits, changed.notifications) == (3, 2)


def test_the_node_that_was_started_last_is_waited_for_first():
    """When the last of many nodes ends last, a thread wakes once for all of them."""
    board = Board(100)
    changed = board.count_waits(board.nodes[-1])
    thread = Waiting(board.waiters.wait, board.nodes, 0)
    changed.wait_until_begun()
    for node in board.nodes:
        board.complete(node, 0)
    assert thread.ended() is None
    assert [node.name for node in board.nodes if node.changed] == ["n99"]


def test_a_node_that_is_not_waited_for_has_no_condition():
    """Conditions are created by the first thread that has to wait."""
    coordinator, _kind, nodes = make(5)
    drive(coordinator, nodes, 3)
    coordinator.wait(nodes, 3)
    coordinator.wait_until_idle()
    assert sum(node.changed is not None for node in nodes) <= 5
    board = Board(1)
    board.complete(board.nodes[0], 3)
    board.waiters.wait(board.nodes, 3)
    assert board.nodes[0].changed is None


def test_a_failure_wakes_threads_that_wait_for_any_phase():
    """A node that fails in its first phase ends a wait for its last."""
    board = Board(1)
    [node] = board.nodes
    changed = board.count_waits(node)
    threads = [Waiting(board.waiters.wait, [node], phase) for phase in (1, 7)]
    for _ in threads:
        changed.wait_until_begun()
    board.fail(node)
    assert [thread.ended() for thread in threads] == [None, None]


def test_a_standstill_wakes_threads_that_already_wait():
    """When the last active node rests, the thread that waits for more gets the reasons."""
    board = Board(2)
    waiting, other = board.nodes
    waiting.state = NodeState.BLOCKED
    changed = [board.count_waits(node) for node in board.nodes]
    threads = [Waiting(board.waiters.wait, [node], 3) for node in (waiting, other)]
    for condition in changed:
        condition.wait_until_begun()
    board.end()
    for thread in threads:
        assert "no node can run" in str(thread.ended())


@pytest.mark.parametrize("same", [True, False])
def test_a_standstill_wakes_a_thread_after_another_has_ended_its_wait(same):
    """Each waiting thread is accounted for by itself, also when two wait for one node."""
    board = Board(2)
    first, second = board.nodes[0], board.nodes[0 if same else 1]
    changed = [board.count_waits(first)]
    changed.append(changed[0] if same else board.count_waits(second))
    early = Waiting(board.waiters.wait, [first], 1)
    changed[0].wait_until_begun()
    late = Waiting(board.waiters.wait, [second], 3)
    changed[1].wait_until_begun()
    board.complete(first, 1)
    assert early.ended() is None
    if same:
        changed[1].wait_until_begun()  # the other one waits again
    board.end()
    assert "no node can run" in str(late.ended())


def test_an_idle_moment_that_has_passed_is_no_standstill():
    """A thread that wakes after work has begun again continues to wait."""
    board = Board(1)
    [node] = board.nodes
    changed = board.count_waits(node)
    thread = Waiting(board.waiters.wait, [node], 0)
    changed.wait_until_begun()
    with board.run.lock:
        board.run.active = 0
        board.waiters.wake_if_idle()
        board.run.active = 1
    changed.wait_until_begun()
    board.complete(node, 0)
    assert thread.ended() is None


class InnermostLock:
    """The lock of an interpreter slot; records which locks a thread holds when it is taken."""

    def __init__(self, other):
        self._lock = threading.Lock()
        self._other = other
        self.taken_under_other = []

    def acquire(self):
        self.taken_under_other.append(self._other.holder == threading.get_ident())
        return self._lock.acquire()

    def release(self):
        self._lock.release()


def test_the_interpreter_slot_is_never_taken_under_the_lock():
    """A worker with the slot may need the lock: a waiting thread takes back the slot without it."""
    board = Board(1)
    [node] = board.nodes
    changed = board.count_waits(node)
    innermost = InnermostLock(board.run.lock)
    slot = InterpreterSlot(innermost)

    def wait():
        with slot.running():
            board.waiters.wait([node], 0)
            board.waiters.wait_until_idle()

    thread = Waiting(wait)
    changed.wait_until_begun()
    board.complete(node, 0)
    board.end()
    assert thread.ended() is None
    assert innermost.taken_under_other == [False] * 3


def test_a_crash_wakes_every_thread():
    """Waits for nodes and for an idle run all end with the bug that ended a worker."""
    board = Board(2)
    changed = [board.count_waits(node) for node in board.nodes]
    threads = [Waiting(board.waiters.wait, [node], 3) for node in board.nodes]
    threads.append(Waiting(board.waiters.wait_until_idle))
    for condition in changed:
        condition.wait_until_begun()
    board.waiters.give_up(AssertionError("a bug"))
    for thread in threads:
        assert "a worker was ended by AssertionError: a bug" in str(thread.ended())


def test_a_crash_of_a_worker_wakes_threads_with_the_interpreter_slot():
    """With a coordinator: two threads that wait for different nodes both get the error."""
    reached = threading.Event()

    class Broken(SchedulerObserver):
        def slot_released(self, node, hold):
            raise AssertionError("a bug")

    def work(node, phase):
        with released():
            reached.wait(LONG)

    coordinator, _kind, nodes = make(2, jobs=1, observer=Broken(), work=work)

    def wait_for(node):
        with coordinator.interpreter.running():
            coordinator.wait([node], 3)

    coordinator.raise_targets(nodes, 3)
    threads = [Waiting(wait_for, node) for node in nodes]
    reached.set()
    for thread in threads:
        assert "a bug" in str(thread.ended())


def test_a_cancellation_ends_waits_for_every_node():
    """Blocked, queued and running nodes fail, and with each the wait for it ends."""
    running, may_end = threading.Event(), threading.Event()

    def work(node, phase):
        running.set()
        with released():
            may_end.wait(LONG)

    coordinator, _kind, nodes = make(3, jobs=1, work=work)
    coordinator.add_gate(nodes[2], 0, nodes[:1])
    coordinator.raise_targets(nodes, 3)
    assert running.wait(LONG)
    threads = [Waiting(coordinator.wait, [node], 3) for node in nodes]
    coordinator.cancel(EnvyError("stop"))
    assert [threads[1].ended(), threads[2].ended()] == [None, None]
    may_end.set()
    assert threads[0].ended() is None
    assert [str(node.failure) for node in nodes] == ["stop"] * 3


def test_a_cancellation_ends_only_the_wait_for_idleness_that_it_interrupts():
    """A wait that begins after the cancellation lasts until nothing is active."""
    board = Board(0)
    lock = board.run.lock
    first = Waiting(board.waiters.wait_until_idle)
    assert lock.releases.acquire(timeout=LONG)
    with lock:
        board.run.cancelled = EnvyError("stop")
        board.waiters.wake_idle()
    assert first.ended() is None
    lock.releases = threading.Semaphore(0)
    second = Waiting(board.waiters.wait_until_idle)
    assert lock.releases.acquire(timeout=LONG)
    assert second.is_alive()
    board.end()
    assert second.ended() is None


@pytest.mark.parametrize("seed", range(5))
def test_no_wake_up_is_lost(seed):
    """Many threads wait for random nodes and phases of a run that is as fast as it can be."""
    dice = random.Random(seed)
    started = threading.Event()

    def work(node, phase):
        if node is nodes[0]:
            with released():
                started.wait(LONG)

    coordinator, _kind, nodes = make(60, jobs=4, work=work)
    for number, node in enumerate(nodes[1:], 1):
        coordinator.add_gate(node, dice.randrange(4), dice.sample(nodes[:number], 1))

    def wait_often(dice):
        with coordinator.interpreter.running():
            for _ in range(30):
                coordinator.wait(dice.sample(nodes, dice.randint(1, 5)), dice.randrange(4))

    coordinator.raise_targets(nodes, 3)
    threads = [Waiting(wait_often, random.Random(seed * 100 + i)) for i in range(8)]
    started.set()
    assert [thread.ended() for thread in threads] == [None] * 8
    assert all(node.complete for node in nodes)
