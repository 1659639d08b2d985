"""Nodes for tests of the scheduler: a kind whose phases only record that they ran."""

import threading

from envy.errors import EnvyError
from envy.scheduler.coordination import Coordination
from envy.scheduler.coordinator import Coordinator


class RecordingKind:
    """A kind whose phases record when they ran; `work` may do more."""

    def __init__(self, coordinator, *, last_phase=3, jobs=2, transfers=2, work=None, skipped=()):
        self.last_phase = last_phase
        self.coordinator = coordinator
        self.work_pool = coordinator.new_pool("work", jobs)
        self.transfer_pool = coordinator.new_pool("transfer", transfers)
        self.work = work or (lambda node, phase: None)
        self.skipped = skipped
        self.log = []
        self.lock = threading.Lock()

    def pool(self, node, phase):
        return self.transfer_pool if phase == 1 else self.work_pool

    def skips(self, node, phase):
        return phase in self.skipped

    def run(self, node, phase):
        with self.lock:
            self.log.append(("start", node.name, phase))
        self.work(node, phase)
        with self.lock:
            self.log.append(("end", node.name, phase))

    def rest(self, node):
        self.log.append(("rest", node.name, node.current_phase))

    def failed(self, node, phase, error):
        return error

    def aborted(self, node, phase, dependency):
        return EnvyError(f"{node.name} aborted by {dependency.name}")


def make(count, *, observer=None, **options):
    coordinator = Coordinator(observer=observer)
    kind = RecordingKind(coordinator, **options)
    nodes = [Coordination(f"n{i}", kind, None) for i in range(count)]
    for node in nodes:
        coordinator.add(node)
    return coordinator, kind, nodes


def drive(coordinator, nodes, phase):
    with coordinator.interpreter.running():
        for node in nodes:
            coordinator.raise_target(node, phase)
        coordinator.wait(nodes, phase)
