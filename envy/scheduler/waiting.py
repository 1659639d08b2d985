"""What nodes do or wait for at one moment, and what is said when nothing can go on.

Every function is called under the coordinator's lock, for as long as it takes to look.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from envy.errors import InternalError
from envy.scheduler.coordination import Coordination, NodeState
from envy.scheduler.gates import behind, open_dependencies
from envy.scheduler.pool import Pool

_MOST = 20  # nodes that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What one node does, or what it waits for, at the moment of looking."""

    node: Coordination
    phase: int  # the one it is in, or that comes next
    state: NodeState
    seconds: float
    behind: list[Coordination]  # what its closed gate waits for
    waiting_for: str  # of a node that waits for a lock
    pool: Pool[Coordination] | None


def look_at(nodes: Iterable[Coordination], now: float) -> list[Waiting]:
    """Every node that is not at rest: what it does or waits for, and for how long."""
    return [
        Waiting(
            node=node,
            phase=node.current_phase + 1,
            state=node.state,
            seconds=now - node.since,
            behind=behind(node) if node.state is NodeState.BLOCKED else [],
            waiting_for=node.waiting_for,
            pool=node.pool,
        )
        for node in nodes
        if node.state is not NodeState.RESTING
    ]


def standstill(nodes: Iterable[Coordination], crash: BaseException | None) -> InternalError:
    """The error for who waits for what will never come."""
    blocked = [
        f"  {node.name} waits for {', '.join(open_dependencies(node))}"
        for node in nodes
        if node.state is NodeState.BLOCKED
    ]
    what = "nothing can run, yet not all is done"
    if crash is not None:
        what = f"a worker was ended by {type(crash).__name__}: {crash}"
    return InternalError("\n".join([what, *blocked[:_MOST]]))
