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

from collections.abc import Iterable
from typing import TYPE_CHECKING

from envy.engine.graph import dependencies_first
from envy.phase import RecipePhase
from envy.recipe import Edge, Recipe
from envy.recipe_key import RecipeKey
from envy.recipe_spec import Use

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def want(engine: Engine, goals: Iterable[RecipeKey]) -> list[Recipe]:
    """Mark the closure of `goals` as wanted and close its gates; returns what is newly wanted."""
    fresh: list[Recipe] = []
    pending = [engine.recipes[key] for key in reversed(list(goals))]
    while pending:
        recipe = pending.pop()
        if recipe.wanted:
            continue
        recipe.wanted = True
        fresh.append(recipe)
        pending += [
            engine.recipes[edge.key] for edge in recipe.edges if _is_wanted_for(recipe, edge)
        ]
    _prioritise(engine, fresh)
    for recipe in fresh:
        _close_gates(engine, recipe)
    return fresh


def wanted_closure(engine: Engine, goals: Iterable[RecipeKey]) -> list[RecipeKey]:
    """What is wanted of the closure of some goals; others may be wanted for another reason."""
    return dependencies_first(
        goals,
        lambda key: [
            edge.key for edge in engine.recipes[key].edges if engine.recipes[edge.key].wanted
        ],
    )


def want_for_work(engine: Engine, recipe: Recipe) -> None:
    """A recipe in its check phase needs work after all: want what only its work needs."""
    late = [edge for edge in recipe.edges if _is_late(engine, recipe, edge)]
    recipe.cached = False
    for fresh in want(engine, [edge.key for edge in late]):
        engine.coordinator.raise_target(engine.coordination[fresh.key], RecipePhase.COMPLETION)
    node = engine.coordination[recipe.key]
    for edge in late:
        # Its check is running now, so the earliest phase that can still wait is fetch.
        phase = max(edge.needed_by, RecipePhase.FETCH)
        engine.coordinator.add_gate(node, phase, [engine.coordination[edge.key]])


def _is_late(engine: Engine, recipe: Recipe, edge: Edge) -> bool:
    if recipe.cached:
        return not engine.coordination[edge.key].complete
    return not _is_wanted_for(recipe, edge)


def _is_wanted_for(recipe: Recipe, edge: Edge) -> bool:
    """Whether an edge makes its dependency wanted, by what is known before any phase runs."""
    if edge.use is Use.RUN:
        return True
    if recipe.definition is not None and recipe.definition.user_managed:
        return edge.needed_by <= RecipePhase.CHECK
    return not recipe.cached or recipe.undeployed


def _close_gates(engine: Engine, recipe: Recipe) -> None:
    """Let each phase wait for what it needs; what is cached has only its last ones to wait."""
    node = engine.coordination[recipe.key]
    for edge in recipe.edges:
        if not _is_wanted_for(recipe, edge):
            continue
        phase = edge.needed_by
        if recipe.cached:
            earliest = RecipePhase.DEPLOY if recipe.undeployed else RecipePhase.COMPLETION
            phase = max(phase, earliest)
        engine.coordinator.add_gate(node, phase, [engine.coordination[edge.key]])


def _prioritise(engine: Engine, fresh: list[Recipe]) -> None:
    """Longest remaining path first: how many recipes wait above, one after another."""
    keys = {recipe.key for recipe in fresh}
    order = dependencies_first(
        sorted(keys), lambda key: [edge.key for edge in engine.recipes[key].edges]
    )
    for key in reversed(order):
        above = engine.coordination[key].priority
        for edge in engine.recipes[key].edges:
            node = engine.coordination[edge.key]
            node.priority = max(node.priority, above + 1)
