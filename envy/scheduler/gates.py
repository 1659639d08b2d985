"""Gates: what a phase of a node still waits for, as counters.

Every function is called under the coordinator's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from envy.scheduler.coordination import Coordination, Gate, NodeState


def close_gate(node: Coordination, phase: int, dependencies: Iterable[Coordination]) -> None:
    """Let `phase` of a node wait for the end of others, in declaration order."""
    if node.gates is None:
        node.gates = {}
    gate = node.gates.setdefault(phase, Gate())
    for dependency in dependencies:
        gate.dependencies.append(dependency)
        if not dependency.ended:
            gate.count += 1
            if dependency.dependents is None:
                dependency.dependents = []
            dependency.dependents.append((node, gate))


def open_gates(node: Coordination) -> list[Coordination]:
    """Count down the gates that wait for a node that has ended; returns whose gate opened."""
    dependents, node.dependents = node.dependents, None
    opened = []
    for dependent, gate in dependents or ():
        gate.count -= 1
        # A gate that the dependent has not come to yet is just open when it does.
        if gate.count == 0 and dependent.state is NodeState.BLOCKED and gate.closed_at:
            dependent.state = NodeState.MOVING
            opened.append(dependent)
    return opened


def behind(node: Coordination) -> list[Coordination]:
    """What the gate of a node's next phase still waits for."""
    gate = (node.gates or {}).get(node.current_phase + 1)
    if gate is None:
        return []
    return [dependency for dependency in gate.dependencies if not dependency.ended]


def open_dependencies(node: Coordination) -> list[str]:
    """The names of those."""
    return [dependency.name for dependency in behind(node)]
