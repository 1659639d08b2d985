"""The reports of the scheduler to its observer, which are omitted if it does not listen."""

import pytest
from scheduler.nodes import drive, make

from envy.errors import EnvyError
from envy.scheduler.observer import SchedulerObserver, SilentObserver


class Journal(SchedulerObserver):
    """Records every report: its name, the node's name and other data except times."""

    def __init__(self, *, deaf=False):
        self.rows = []
        self.deaf = deaf

    def is_listening(self):
        return not self.deaf

    def target_raised(self, node, old):
        self.rows.append(("target_raised", node.name, old, node.target_phase))

    def worker_started(self, node):
        self.rows.append(("worker_started", node.name))

    def worker_rested(self, node):
        self.rows.append(("worker_rested", node.name))

    def phase_blocked(self, node, phase, waiting_for):
        self.rows.append(("phase_blocked", node.name, phase, list(waiting_for)))

    def phase_unblocked(self, node, phase, waiting_for, wait):
        assert wait >= 0
        self.rows.append(("phase_unblocked", node.name, phase, list(waiting_for)))

    def slot_acquired(self, node, wait):
        assert wait >= 0
        self.rows.append(("slot_acquired", node.name, node.pool.name))

    def slot_released(self, node, hold):
        assert hold >= 0
        self.rows.append(("slot_released", node.name, node.pool.name))

    def slot_refused(self, node, reason):
        self.rows.append(("slot_refused", node.name, reason))

    def of(self, node):
        return [(what, *facts) for what, name, *facts in self.rows if name == node.name]


class Stingy:
    """A budget for one slot, which counts how often its reason is requested."""

    reasons = 0

    def cover(self, running):
        return running == 1

    could_cover = cover

    def settle(self, running):
        pass

    def reason(self):
        self.reasons += 1
        return "one is enough"

    def on_freed(self, ask_again):
        pass


def test_every_change_of_a_node_is_reported_in_order():
    """A node behind a gate causes each report in order: target, block, unblock, worker, slot."""
    journal = Journal()
    coordinator, _kind, [below, above] = make(2, last_phase=0, observer=journal)
    coordinator.add_gate(above, 0, [below])
    drive(coordinator, [above, below], 0)
    coordinator.wait_until_idle()
    assert journal.of(above) == [
        ("target_raised", -1, 0),
        ("phase_blocked", 0, ["n0"]),
        ("phase_unblocked", 0, ["n0"]),
        ("worker_started",),
        ("slot_acquired", "work"),
        ("slot_released", "work"),
        ("worker_rested",),
    ]


def test_a_change_of_pool_is_reported_as_two_slots():
    """A phase under another pool releases one slot and acquires the other."""
    journal = Journal()
    coordinator, _kind, [node] = make(1, last_phase=1, observer=journal)
    drive(coordinator, [node], 1)
    coordinator.wait_until_idle()
    assert [row for row in journal.of(node) if row[0].startswith("slot")] == [
        ("slot_acquired", "work"),
        ("slot_released", "work"),
        ("slot_acquired", "transfer"),
        ("slot_released", "transfer"),
    ]


def test_an_unblocked_node_may_fail_next():
    """A gate whose dependency failed is reported as open before the dependent is aborted."""

    def work(node, phase):
        raise EnvyError("broken")

    journal = Journal()
    coordinator, _kind, [below, above] = make(2, observer=journal, work=work)
    coordinator.add_gate(above, 0, [below])
    drive(coordinator, [above, below], 3)
    assert ("phase_unblocked", 0, ["n0"]) in journal.of(above)
    assert str(above.failure) == "n1 aborted by n0"


def test_a_refused_slot_is_reported_once_with_its_reason():
    """Two nodes, two slots and a budget for one: the second node is refused once."""
    journal, budget = Journal(), Stingy()
    coordinator, kind, nodes = make(2, last_phase=0, observer=journal)
    kind.work_pool.budget = budget
    with coordinator.interpreter.running():
        coordinator.raise_targets(nodes, 0)
        coordinator.wait(nodes, 0)
    assert [row for row in journal.rows if row[0] == "slot_refused"] == [
        ("slot_refused", "n1", "one is enough")
    ]


@pytest.mark.parametrize("observer", [Journal(deaf=True), SilentObserver(), None])
def test_nothing_is_reported_to_an_observer_that_does_not_listen(observer):
    """Without a listener nothing is computed either: a budget's reason is not requested."""
    budget = Stingy()
    coordinator, kind, nodes = make(3, last_phase=0, observer=observer)
    kind.work_pool.budget = budget
    coordinator.add_gate(nodes[2], 0, nodes[:2])
    drive(coordinator, nodes, 0)
    assert budget.reasons == 0
    assert getattr(observer, "rows", []) == []


def test_the_base_class_accepts_every_report():
    """The base class has a method for every report, so that an observer overrides only some."""
    coordinator, _kind, nodes = make(3, observer=SchedulerObserver())
    coordinator.add_gate(nodes[1], 1, [nodes[0]])
    drive(coordinator, nodes, 3)
    assert all(node.complete for node in nodes)
