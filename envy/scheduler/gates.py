"""Gates: counters of what a phase of a node still waits for.

Every function is called under the coordinator's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from envy.scheduler.coordination import Coordination, Gate, NodeState


def close_gate(node: Coordination, phase: int, dependencies: Iterable[Coordination]) -> None:
    """Make `phase` of a node wait until all dependencies, in declaration order, have ended."""
    if node.gates is None:
        node.gates = {}
    gate = node.gates.setdefault(phase, Gate())
    for dependency in dependencies:
        gate.dependencies.append(dependency)
        if not dependency.ended:
            gate.unfinished += 1
            if dependency.dependents is None:
                dependency.dependents = []
            dependency.dependents.append((node, gate))


def open_gates(node: Coordination) -> list[Coordination]:
    """Count down the gates that wait for a node that has ended.

    Returns the nodes that were blocked at a gate that is open now; they are MOVING.
    """
    dependents, node.dependents = node.dependents, None
    opened = []
    for dependent, gate in dependents or ():
        gate.unfinished -= 1
        # A gate that the dependent has not reached yet needs no wake-up.
        if gate.unfinished == 0 and dependent.state is NodeState.BLOCKED and gate.reached_at:
            dependent.state = NodeState.MOVING
            opened.append(dependent)
    return opened


def unfinished_dependencies(node: Coordination) -> list[Coordination]:
    """Return what the gate of the node's next phase still waits for, in declaration order."""
    gate = (node.gates or {}).get(node.current_phase + 1)
    if gate is None:
        return []
    return [dependency for dependency in gate.dependencies if not dependency.ended]
