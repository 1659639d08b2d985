"""Snapshots of what nodes do or wait for, and the error for a run that cannot continue.

Every function is called under the coordinator's lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from envy.errors import InternalError
from envy.scheduler.coordination import Coordination, NodeState
from envy.scheduler.gates import unfinished_dependencies
from envy.scheduler.pool import Pool

_MOST_NAMED = 20  # blocked nodes in the error


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeActivity:
    """What one node does, or waits for, at the moment of the snapshot."""

    node: Coordination
    phase: int  # the phase that runs, or that comes next
    state: NodeState
    seconds: float  # in this state
    blocked_by: list[Coordination]  # the unfinished dependencies of its closed gate
    waiting_for: str  # what a node in LOCKED_OUT waits for
    pool: Pool[Coordination] | None


def snapshot(nodes: Iterable[Coordination], now: float) -> list[NodeActivity]:
    """Return the activity of every node that does not rest."""
    return [
        NodeActivity(
            node=node,
            phase=node.current_phase + 1,
            state=node.state,
            seconds=now - node.since,
            blocked_by=unfinished_dependencies(node) if node.state is NodeState.BLOCKED else [],
            waiting_for=node.waiting_for,
            pool=node.pool,
        )
        for node in nodes
        if node.state is not NodeState.RESTING
    ]


def standstill(nodes: Iterable[Coordination], crash: BaseException | None) -> InternalError:
    """Return the error for a thread that waits for a phase that no worker will complete."""
    blocked = [
        f"  {node.name} waits for {', '.join(d.name for d in unfinished_dependencies(node))}"
        for node in nodes
        if node.state is NodeState.BLOCKED
    ]
    reason = "no node can run, but some are not finished"
    if crash is not None:
        reason = f"a worker was ended by {type(crash).__name__}: {crash}"
    return InternalError("\n".join([reason, *blocked[:_MOST_NAMED]]))
