"""The coordination core, driven by a kind of node that only records what it runs."""

import itertools
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler.nodes import drive, make

from envy.errors import EnvyError, InternalError
from envy.interpreter import released
from envy.scheduler.observer import SchedulerObserver


def test_a_node_rests_at_its_target_and_continues_when_it_is_raised():
    """A target stops the worker after that phase; raising it resumes where it stopped."""
    coordinator, kind, [node] = make(1)
    drive(coordinator, [node], 1)
    assert node.current_phase == 1
    drive(coordinator, [node], 3)
    assert [row[2] for row in kind.log if row[0] == "start"] == [0, 1, 2, 3]
    assert node.complete


def test_a_lower_target_changes_nothing():
    """Targets only grow."""
    coordinator, _kind, [node] = make(1)
    drive(coordinator, [node], 3)
    coordinator.raise_target(node, 0)
    assert (node.target_phase, node.current_phase) == (3, 3)


@pytest.mark.parametrize("phase", [0, 1, 2, 3])
def test_a_gate_holds_its_phase_until_the_dependency_is_complete(phase):
    """Whatever the phase, it starts after the dependency's last phase has ended."""
    coordinator, kind, [below, above] = make(2)
    coordinator.add_gate(above, phase, [below])
    drive(coordinator, [above, below], 3)
    assert kind.log.index(("end", "n0", 3)) < kind.log.index(("start", "n1", phase))


def test_a_chain_is_carried_by_the_thread_that_it_began_with():
    """A node that a completed one unblocks runs in the same thread; none is started for it."""
    seen, threads = threading.local(), []

    def work(node, phase):
        if not hasattr(seen, "known"):
            seen.known = True
            threads.append(node.name)

    coordinator, _kind, nodes = make(50, work=work, jobs=4)
    for below, above in itertools.pairwise(nodes):
        coordinator.add_gate(above, 0, [below])
    drive(coordinator, nodes, 3)
    # One for the work, and maybe one for each time that the other pool's slot is taken.
    assert len(threads) <= 2, threads


def test_a_node_knows_the_thread_that_carries_it():
    """While a phase runs, the node names its worker's thread; at rest, none."""
    carried = []

    def work(node, phase):
        carried.append(node.thread == threading.get_ident() != main)

    main = threading.get_ident()
    coordinator, _kind, nodes = make(5, work=work)
    drive(coordinator, nodes, 3)
    coordinator.wait_until_idle()
    assert carried == [True] * 20
    assert [node.thread for node in nodes] == [None] * 5


def test_a_failed_dependency_aborts_its_dependents_at_their_gate():
    """A dependent ends with a failure of its own; the phases before the gate have run."""

    def work(node, phase):
        if node.name == "n0" and phase == 1:
            raise EnvyError("broken")

    coordinator, kind, [below, above] = make(2, work=work)
    coordinator.add_gate(above, 2, [below])
    drive(coordinator, [above, below], 3)
    assert str(below.failure) == "broken"
    assert str(above.failure) == "n1 aborted by n0"
    assert ("start", "n1", 2) not in kind.log
    assert ("end", "n1", 1) in kind.log


def test_the_first_failure_in_declaration_order_is_named():
    """Which dependency failed first in time does not matter."""

    def work(node, phase):
        if node.name in {"n0", "n1"}:
            raise EnvyError(node.name)

    coordinator, _kind, [a, b, top] = make(3, work=work)
    coordinator.add_gate(top, 0, [b, a])
    drive(coordinator, [a, b, top], 3)
    assert str(top.failure) == "n2 aborted by n1"


def test_no_more_nodes_work_than_there_are_slots():
    """Three hundred nodes that meet by fours, four slots: never more than four at once."""
    running, most, lock = 0, 0, threading.Lock()
    four = threading.Barrier(4, timeout=300)

    def work(node, phase):
        nonlocal running, most
        with released():
            with lock:
                running += 1
                most = max(most, running)
            four.wait()
            with lock:
                running -= 1

    coordinator, _kind, nodes = make(300, last_phase=0, jobs=4, work=work)
    drive(coordinator, nodes, 0)
    assert most == 4
    assert coordinator.peak_threads <= 6


@pytest.mark.parametrize("skipped", [(), (0, 1, 2, 3)])
def test_a_chain_of_five_thousand_needs_no_deep_stack(skipped):
    """Success, skipping and failure fall through a long chain without recursion."""

    def work(node, phase):
        if node.name == "n0" and phase == 3:
            raise EnvyError("broken")

    coordinator, _kind, nodes = make(5000, work=work, skipped=skipped)
    for below, above in itertools.pairwise(nodes):
        coordinator.add_gate(above, 0, [below])
    drive(coordinator, list(reversed(nodes)), 3)
    assert all(node.ended for node in nodes)
    assert bool(nodes[-1].failure) == (not skipped)
    assert coordinator.peak_threads <= 5


def test_waiting_for_a_phase_that_cannot_come_is_an_error():
    """Two nodes that wait for each other: the waiting thread gets an error with the reasons."""
    coordinator, _kind, [a, b] = make(2)
    coordinator.add_gate(a, 1, [b])
    coordinator.add_gate(b, 1, [a])
    with pytest.raises(InternalError, match=r"n0 waits for n1"):
        drive(coordinator, [a, b], 3)


def test_cancelling_ends_the_blocked_the_queued_and_the_running():
    """After a cancellation every node has ended and no thread waits any more."""
    gate = threading.Event()

    def work(node, phase):
        with released():
            gate.wait(300)

    coordinator, _kind, nodes = make(20, jobs=2, work=work)
    coordinator.add_gate(nodes[19], 0, nodes[:3])

    def cancel():
        coordinator.cancel(EnvyError("stop"))
        gate.set()

    timer = threading.Timer(0.05, cancel)
    timer.start()
    drive(coordinator, nodes, 3)
    timer.join()
    assert all(str(node.failure) == "stop" for node in nodes)


def test_a_worker_that_waits_for_a_lock_releases_its_slot():
    """With one slot, a node that waits for a lock lets the others run, and then continues."""
    others_done = threading.Semaphore(0)

    def work(node, phase):
        if node.name == "n0":
            coordinator.without_slot(
                node, "the entry lock", lambda: [others_done.acquire() for _ in range(5)]
            )
        else:
            others_done.release()

    coordinator, kind, nodes = make(6, last_phase=0, jobs=1, work=work)
    drive(coordinator, nodes, 0)
    assert all(node.complete for node in nodes)
    assert kind.log[-2:-1] == [("end", "n0", 0)] or ("end", "n0", 0) in kind.log
    assert kind.work_pool.busy == 0


def test_a_node_that_ends_between_two_phases_releases_its_locks():
    """A node that a failed dependency ends at an open gate keeps no lock."""

    def work(node, phase):
        if node.name == "n0":
            raise EnvyError("broken")

    coordinator, kind, [below, above] = make(2, jobs=1, work=work)
    coordinator.add_gate(above, 2, [below])
    drive(coordinator, [below, above], 3)
    assert ("end", "n1", 1) in kind.log
    assert kind.log[-1] == ("rest", "n1", 1)


def test_a_node_releases_its_locks_before_a_gate_behind_phases_that_it_skips():
    """No lock is held at a closed gate, whichever way the node reaches it."""
    coordinator, kind, [below, above] = make(2, jobs=1, transfers=1, skipped=(1, 2))
    coordinator.add_gate(above, 3, [below])
    drive(coordinator, [above, below], 3)
    assert kind.log.index(("rest", "n1", 0)) < kind.log.index(("start", "n0", 0))


@pytest.mark.parametrize("method", ["skips", "pool"])
def test_an_error_of_the_kind_between_phases_fails_the_node(method):
    """An error outside a phase becomes the node's failure, and does not end the worker."""
    coordinator, kind, [node] = make(1)
    answer = getattr(kind, method)

    def broken(node, phase):
        if phase == 2:
            raise OSError("unreadable")
        return answer(node, phase)

    setattr(kind, method, broken)
    drive(coordinator, [node], 3)
    assert str(node.failure) == "unreadable"
    assert kind.work_pool.busy == kind.transfer_pool.busy == 0


def test_a_bug_that_ends_a_worker_is_raised_in_waiting_threads():
    """No thread waits forever for a worker that has crashed."""

    class Broken(SchedulerObserver):
        def slot_released(self, node, hold):
            raise AssertionError("a listener is broken")

    coordinator, _kind, nodes = make(3, observer=Broken())
    with pytest.raises(InternalError, match="a listener is broken"):
        drive(coordinator, nodes, 3)
    with pytest.raises(InternalError, match="a listener is broken"):
        coordinator.wait_until_idle()


def test_the_activity_of_nodes_can_be_listed():
    """The activity of each node that does not rest names what it waits for."""
    coordinator, _kind, [a, b, c] = make(3, jobs=1, work=lambda node, phase: None)
    coordinator.add_gate(b, 0, [a])
    with coordinator.interpreter.running():
        coordinator.raise_target(b, 0)
        [row] = coordinator.activity()
        assert (row.node, row.phase, row.blocked_by) == (b, 0, [a])
        coordinator.raise_target(a, 3)
        coordinator.wait([a, b], 0)
    assert coordinator.activity() == []
    assert c.current_phase == -1


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_acyclic_graph_runs_to_its_end_in_order(data):
    """Random graphs, gates, failures, skips and pools: everything ends, nothing starts early."""
    count = data.draw(st.integers(1, 25))
    edges = [
        (a, b, data.draw(st.integers(1, 3)))
        for a in range(count)
        for b in range(a)
        if data.draw(st.integers(0, 4)) == 0
    ]
    failing = data.draw(st.sets(st.integers(0, count - 1), max_size=3))
    fail_phase = data.draw(st.integers(0, 3))

    def work(node, phase):
        if int(node.name[1:]) in failing and phase == fail_phase:
            raise EnvyError("broken")
        if phase == 2:
            with released():
                pass

    coordinator, kind, nodes = make(
        count,
        jobs=data.draw(st.integers(1, 4)),
        transfers=data.draw(st.integers(1, 2)),
        work=work,
        skipped=data.draw(st.sampled_from([(), (1,), (2, 3)])),
    )
    for a, b, phase in edges:
        coordinator.add_gate(nodes[a], phase, [nodes[b]])
    drive(coordinator, nodes, 0)
    drive(coordinator, nodes, 3)
    assert all(node.ended for node in nodes)
    for a, b, phase in edges:
        if not nodes[a].failure and ("start", f"n{a}", phase) in kind.log and not kind.skipped:
            assert kind.log.index(("end", f"n{b}", 3)) < kind.log.index(("start", f"n{a}", phase))
        if nodes[b].failure:
            assert nodes[a].failure
    assert kind.work_pool.busy == kind.transfer_pool.busy == 0
