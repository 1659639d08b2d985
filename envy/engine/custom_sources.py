"""Recipes whose source is a function with dependencies: they are held until those are complete.

A held recipe is in the graph, by its key, but its file is not here. Stage by stage, the custom
fetches whose closure is bound and holds no other held recipe are run, all of them, and waited for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from envy import events as ev
from envy.declarations.key import RecipeKey
from envy.declarations.spec import CustomSource, DependencyKind, DependencyUse
from envy.engine.binding import merged, missing_text, open_references
from envy.errors import EnvyError, MissingReferences, NotPlanned
from envy.execution.entry_lock import needs_deploy
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe, Reference
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase
from envy.phases.recipe_fetch import dependencies_on_platform

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def hold(engine: Engine, recipe: Recipe) -> None:
    """Declare what the source of a recipe depends on; its fetch comes in a later stage."""
    source = recipe.spec.source
    assert isinstance(source, CustomSource)
    engine.held[recipe.key] = recipe
    try:
        here = dependencies_on_platform(recipe, engine, source.dependencies)
    except EnvyError as error:
        # Its own mistake, and not that of whoever happens to be the first to need it.
        engine.fail(recipe.key, error, phase=RecipePhase.RECIPE_FETCH)
        return
    for position, dependency in here:
        if dependency.kind is not DependencyKind.STRONG:
            recipe.references.append(Reference(recipe.key, position, dependency, of_source=True))
            continue
        assert dependency.spec is not None
        edge = Edge(
            dependency.spec.key,
            RecipePhase.RECIPE_FETCH,
            DependencyUse.RUN,
            "source",
            dependency.origin,
            dependency.product,
        )
        recipe.source_edges = merged(recipe.source_edges, edge)
        engine.start_recipe(engine.ensure_recipe(dependency.spec, parent=recipe.key))
        if engine.services.events.detailed:
            engine.services.events.emit(
                ev.DependencyAdded(
                    parent=recipe.key.canonical,
                    dependency=edge.key.canonical,
                    kind=edge.kind,
                    needed_by=edge.needed_by,
                )
            )


def early_references(engine: Engine) -> list[Reference]:
    """The open references in the closures of held sources' dependencies, and only those."""
    keys = _closure(engine, list(engine.held))
    return open_references(
        recipe
        for recipe in (engine.recipes[key] for key in keys)
        # A held recipe's own references are all its source's.
        if recipe.key in engine.held or recipe.loaded_or_none is not None
    )


def run_custom_fetches(engine: Engine) -> None:
    """Run every custom fetch that can be run now, and wait for all of them.

    Raises:
        MissingReferences: none can; each held recipe is named, and what it lacks.
    """
    _drop_failed(engine)
    ready = [recipe for recipe in _in_order(engine) if _is_ready(engine, recipe)]
    if not engine.held:
        return
    if not ready:
        raise _stuck(engine)
    _exempt_from_shell(engine, ready)
    for recipe in ready:
        del engine.held[recipe.key]
    # Of all, before anything runs: what a key cannot be had for must not depend on who was first.
    engine.compute_keys(key for recipe in ready for key in _tools(recipe))
    waiting = [recipe for recipe in ready if not _is_brought(engine, recipe)]
    if not engine.installs:
        unplanned = [recipe for recipe in waiting if _set_aside(engine, recipe)]
        ready = [recipe for recipe in ready if recipe not in unplanned]
        waiting = [recipe for recipe in waiting if recipe not in unplanned]
    for recipe in waiting:
        engine.coordinator.add_gate(
            engine.coordination[recipe.key],
            RecipePhase.RECIPE_FETCH,
            [engine.coordination[key] for key in _tools(recipe)],
        )
    engine.complete(key for recipe in waiting for key in _tools(recipe))
    for recipe in ready:
        engine.coordinator.raise_target(engine.coordination[recipe.key], RecipePhase.RECIPE_FETCH)
    engine.wait_for_resolution_phase()


def _tools(recipe: Recipe) -> list[RecipeKey]:
    return [edge.key for edge in recipe.source_edges]


def _is_brought(engine: Engine, recipe: Recipe) -> bool:
    """Whether the answer of a custom fetch is in the cache, so that it needs no tools."""
    known = all(engine.recipes[key].entry_key for key in _tools(recipe))
    return known and engine.steps.is_source_fetched(recipe, engine)


def _set_aside(engine: Engine, recipe: Recipe) -> bool:
    """Leave a recipe out of a plan, if its source needs what would have to be installed first."""
    lacking = _not_there(engine, _tools(recipe))
    if lacking:
        engine.set_aside(
            recipe.key, f"its source needs {', '.join(lacking)} before it can be fetched"
        )
    return bool(lacking)


def _not_there(engine: Engine, tools: Sequence[RecipeKey]) -> list[str]:
    """What would have to be installed, or asked of the machine, for these to be complete."""
    engine.prepare(tools)
    needed = dependencies_first(
        tools, lambda key: [e.key for e in engine.recipes[key].edges if e.use is DependencyUse.RUN]
    )
    return [str(key) for key in sorted(needed) if not _is_there(engine, key)]


def _is_there(engine: Engine, key: RecipeKey) -> bool:
    recipe, failure = engine.recipes[key], engine.coordination[key].failure
    if failure is not None:
        return not isinstance(failure, NotPlanned)  # a failure is told as one, by whoever needs it
    return recipe.work.cached and not needs_deploy(recipe)


def _drop_failed(engine: Engine) -> None:
    for key in [key for key in engine.held if engine.coordination[key].failure is not None]:
        del engine.held[key]


def _in_order(engine: Engine) -> list[Recipe]:
    return [engine.held[key] for key in sorted(engine.held)]


def _is_ready(engine: Engine, recipe: Recipe) -> bool:
    """Whether the closure of a source is bound, and holds nothing that is held itself."""
    if any(reference.open for reference in recipe.references):
        return False
    keys = _closure(engine, _tools(recipe))
    return not any(
        key in engine.held or any(row.open for row in engine.recipes[key].references)
        for key in keys
    )


def _closure(engine: Engine, keys: Iterable[RecipeKey]) -> list[RecipeKey]:
    return dependencies_first(keys, lambda key: [edge.key for edge in engine.all_edges(key)])


def _exempt_from_shell(engine: Engine, ready: Sequence[Recipe]) -> None:
    """What is built while resolving uses the built-in shell, when a function chooses the other.

    That function asks for packages, and can be called only when all of them are known.
    """
    if isinstance(engine.default_shell, LuaFunction):
        for recipe in ready:
            engine.shell_exempt.update(_closure(engine, _tools(recipe)))


def _stuck(engine: Engine) -> MissingReferences:
    rows = []
    for recipe in _in_order(engine):
        keys = _closure(engine, [recipe.key])
        lacking = open_references(engine.recipes[key] for key in keys)
        waits = [key for key in keys if key in engine.held and key != recipe.key]
        rows += [
            f"{recipe.key} cannot be fetched: nothing answers to {text}"
            for text in missing_text(engine, lacking)
        ]
        if not lacking and waits:
            rows.append(f"{recipe.key} cannot be fetched: it waits for {waits[0]}")
    return MissingReferences(rows)
