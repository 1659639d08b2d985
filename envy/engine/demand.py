"""What is wanted: decided once after resolution, from what was asked for.

A package, its `use = "run"` closure, and, where its entry is missing or lacks its deploy, also its
direct `use = "build"` dependencies with their run closures. Entries have been looked up before, so
a cached package never makes its compilers be installed; gates bind only phases that run. What
turns out to need work later (an entry that has gone, a user-managed package whose check fails) is
wanted then.

A user-managed package has no entry that could be found: its check decides. What its check needs is
wanted at once, build dependencies of later phases only when the check fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.engine.priorities import prioritise, put_before
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def want(engine: Engine, goals: Iterable[RecipeKey]) -> list[Recipe]:
    """Mark the closure of `goals` as wanted and close its gates; returns what is newly wanted."""
    fresh: list[Recipe] = []
    pending = [engine.graph.recipes[key] for key in reversed(list(goals))]
    while pending:
        recipe = pending.pop()
        if recipe.work.wanted:
            continue
        recipe.work.wanted = True
        fresh.append(recipe)
        pending += [
            engine.graph.recipes[edge.key]
            for edge in engine.graph.edges(recipe.key)
            if _is_wanted_for(recipe, edge)
        ]
    prioritise(engine, fresh, partial(_gates, engine))
    for recipe in fresh:
        node = engine.coordination[recipe.key]
        for edge, phase in _gates(engine, recipe):
            engine.coordinator.add_gate(node, phase, [engine.coordination[edge.key]])
    return fresh


def wanted_closure(engine: Engine, goals: Iterable[RecipeKey]) -> list[RecipeKey]:
    """What is wanted of the closure of some goals; others may be wanted for another reason."""
    return dependencies_first(
        goals,
        lambda key: [
            edge.key
            for edge in engine.graph.edges(key)
            if engine.graph.recipes[edge.key].work.wanted
        ],
    )


def want_for_work(engine: Engine, recipe: Recipe) -> None:
    """A recipe in its check phase needs work after all: want what only its work needs."""
    late = [edge for edge in engine.graph.edges(recipe.key) if _is_late(engine, recipe, edge)]
    recipe.work.cached = False
    # Its check is running now, so the earliest phase that can still wait is fetch.
    gates = [(edge, max(edge.needed_by, RecipePhase.FETCH)) for edge in late]
    put_before(engine, recipe, gates, partial(_gates, engine))
    fresh = want(engine, [edge.key for edge in late])
    engine.coordinator.raise_targets(
        [engine.coordination[one.key] for one in fresh], RecipePhase.COMPLETION
    )
    node = engine.coordination[recipe.key]
    for edge, phase in gates:
        engine.coordinator.add_gate(node, phase, [engine.coordination[edge.key]])


def _is_late(engine: Engine, recipe: Recipe, edge: Edge) -> bool:
    if recipe.work.cached:
        return not engine.coordination[edge.key].complete
    return not _is_wanted_for(recipe, edge)


def _is_wanted_for(recipe: Recipe, edge: Edge) -> bool:
    """Whether an edge makes its dependency wanted, by what is known before any phase runs."""
    if edge.use is DependencyUse.RUN:
        return True
    if recipe.user_managed:
        return edge.needed_by <= RecipePhase.CHECK
    return not recipe.work.cached or recipe.work.undeployed


def _gates(engine: Engine, recipe: Recipe) -> Iterator[tuple[Edge, RecipePhase]]:
    """What a recipe waits for, and before which phase; what is cached has only its last ones."""
    earliest = RecipePhase.RECIPE_FETCH
    if recipe.work.cached:
        earliest = RecipePhase.DEPLOY if recipe.work.undeployed else RecipePhase.COMPLETION
    for edge in engine.graph.edges(recipe.key):
        if _is_wanted_for(recipe, edge):
            yield edge, max(edge.needed_by, earliest)
