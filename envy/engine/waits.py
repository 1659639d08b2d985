"""Describes what each active recipe is doing or waiting for, for a run that seems stuck.

May be called from any thread, at any moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from envy.graph.recipe import Edge, Recipe
from envy.phase import RecipePhase
from envy.scheduler.activity import NodeActivity
from envy.scheduler.coordination import Coordination, NodeState

if TYPE_CHECKING:
    from envy.graph.recipe_graph import RecipeGraph
    from envy.host.children import RunningChild

_MOST = 5  # dependencies, or holders of slots, that are named


def describe_waits(
    graph: RecipeGraph, rows: Sequence[NodeActivity], children: Sequence[RunningChild]
) -> list[str]:
    """Return a line for each active recipe: first those that work, then those that wait."""
    rows = sorted(rows, key=lambda row: (row.state is not NodeState.RUNNING, row.node.name))
    lines = [f"{row.node.name}: {_sentence(graph, row, rows, children)}" for row in rows]
    busy = {row.node.name for row in rows if row.state is NodeState.RUNNING}
    # Programs that run outside any phase, for example to print their version.
    return lines + [
        f"{child.label}: pid {child.pid}: {child.command}"
        for child in children
        if _recipe_of(child) not in busy
    ]


def _sentence(
    graph: RecipeGraph,
    row: NodeActivity,
    rows: Sequence[NodeActivity],
    children: Sequence[RunningChild],
) -> str:
    phase = RecipePhase(row.phase).label
    took = f"for {row.seconds:.0f} s"
    match row.state:
        case NodeState.RUNNING:
            return f"runs {phase} {took}" + "".join(_child(row.node, children))
        case NodeState.QUEUED:
            return f"waits before {phase} for a slot {took}: {_slots(row, rows)}"
        case NodeState.LOCKED_OUT:
            return f"waits in {phase} {took} for {row.waiting_for}"
        case NodeState.BLOCKED:
            return f"waits before {phase} {took} for {_dependencies(graph, row, rows)}"
    return f"is about to go on with {phase}"


def _child(node: Coordination, children: Sequence[RunningChild]) -> Iterator[str]:
    for child in children:
        if _recipe_of(child) == node.name:
            yield f"; pid {child.pid}: {child.command}"


def _recipe_of(child: RunningChild) -> str:
    return child.label.rpartition(": ")[0]


def _slots(row: NodeActivity, rows: Sequence[NodeActivity]) -> str:
    """Return which recipes have the slots of the pool that a recipe waits for."""
    pool = row.pool
    if pool is None:
        return "it is next"
    if pool.busy < pool.size and pool.budget is not None:
        return pool.budget.reason()
    holders = [r.node.name for r in rows if r.state is NodeState.RUNNING and r.pool is pool]
    option = "--jobs" if pool.name == "work" else "--fetch-jobs"
    taken = f"{pool.busy} of {pool.size} {pool.name} slots ({option}) are taken"
    return f"{taken}, by {_listed(holders)}" if holders else taken


def _dependencies(graph: RecipeGraph, row: NodeActivity, rows: Sequence[NodeActivity]) -> str:
    """Return the dependencies that a closed gate waits for, where declared, and what they do."""
    doing = {other.node.name: other for other in rows}
    return _listed(
        [
            node.name + _declared(graph, row.node, node) + _doing(node, doing.get(node.name))
            for node in row.blocked_by
        ]
    )


def _declared(graph: RecipeGraph, owner: Coordination, node: Coordination) -> str:
    recipe, needed = owner.subject, node.subject
    if not isinstance(recipe, Recipe) or not isinstance(needed, Recipe):
        return ""
    edge: Edge | None = next(
        (edge for edge in graph.all_edges(recipe.key) if edge.key == needed.key), None
    )
    return f" ({edge.kind}, {edge.origin})" if edge else ""


def _doing(node: Coordination, row: NodeActivity | None) -> str:
    if row is None:
        done = RecipePhase(node.current_phase).label
        return f", which rests after {done}" if node.current_phase >= 0 else ", which has not begun"
    phase = RecipePhase(row.phase).label
    if row.state is NodeState.RUNNING:
        return f", which runs {phase}"
    what = {
        NodeState.BLOCKED: "waits for others",
        NodeState.QUEUED: "waits for a slot",
        NodeState.LOCKED_OUT: "waits for a lock",
    }.get(row.state, "goes on")
    return f", which {what} before {phase}"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
