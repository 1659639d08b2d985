"""From roots to a graph that is complete and judged: no cycle, no key from two sources.

The outcome depends on the manifest and the recipes alone. Everything that is reported about the
graph as a whole is decided when no recipe is being fetched, and in key order.

A stage fetches and closes strongly all that is not held; binds, in rounds, the references in the
closures of held sources' dependencies, and only those; and runs every custom fetch that can be run.
When nothing is held, the remaining references are bound in the same rounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.declarations.spec import RecipeSpec, are_written_alike, source_text
from envy.engine import custom_sources
from envy.engine.binding import bind_round, missing_text
from envy.errors import CycleError, DeclarationError, GraphError, MissingReferences, SourceLocation
from envy.graph.algorithms import path_from_roots, shortest_cycle
from envy.graph.recipe import Edge, Recipe
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def resolve_graph(engine: Engine, roots: Sequence[RecipeSpec]) -> None:
    """Fetch every recipe that the roots lead to, and judge the graph as a whole.

    Raises:
        GraphError: a cycle, or references that are ambiguous or that nothing answers.
        DeclarationError: one key from two sources.
    """
    for spec in roots:
        recipe = engine.ensure_recipe(spec)
        engine.graph.roots.append(recipe.key)
    for key in engine.graph.roots:
        engine.start_recipe(engine.graph.recipes[key])
    _settle(engine)
    while True:
        if engine.held:
            if not bind_round(engine, custom_sources.early_references(engine)):
                custom_sources.run_custom_fetches(engine)
        else:
            references = engine.graph.open_references()
            if not references:
                break
            if not bind_round(engine, references):
                rows = missing_text(engine, references)
                raise MissingReferences([f"nothing answers to {row}" for row in rows])
        _settle(engine)


def _settle(engine: Engine) -> None:
    """Wait until everything that can be fetched has been, and judge what is there."""
    engine.wait_for_resolution_phase()
    _check_sources(engine)
    _check_cycles(engine)
    _check_platforms(engine)
    _check_products(engine)


def _check_sources(engine: Engine) -> None:
    """One key must come from one source, whoever names it."""
    for key in sorted(engine.graph.recipes):
        recipe = engine.graph.recipes[key]
        if len(recipe.declarations) == 1:
            continue
        # Lines are looked for only when there is something to say: that reads the file again.
        first = recipe.spec.source
        places = {source_text(first): recipe.spec}
        for _parent, spec in recipe.declarations:
            if spec.source is not first and not are_written_alike(spec.source, first):
                places.setdefault(source_text(spec.source), spec)
        if len(places) > 1:
            said = sorted(f"{spec.origin}: {where}" for where, spec in places.items())
            rows = "\n".join(f"    {row}" for row in said)
            raise DeclarationError(
                f"{key} is declared from {len(places)} different sources\n{rows}",
                hint="one key is one recipe: give both the same source, or another revision",
            )


def _check_cycles(engine: Engine) -> None:
    graph = engine.graph
    cycle = shortest_cycle({key: graph.needs(key) for key in graph.recipes})
    if cycle is None:
        return
    steps = []
    for key, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        edge = next(edge for edge in engine.graph.all_edges(key) if edge.key == following)
        steps.append((key.canonical, edge.needed_by.label, str(edge.origin)))
    raise CycleError(steps)


def _check_platforms(engine: Engine) -> None:
    """A strong edge to a recipe that is left out on this platform fails whoever has it."""
    for key in sorted(engine.graph.recipes):
        for edge in engine.graph.all_edges(key):
            if engine.graph.recipes[edge.key].excluded:
                error = DeclarationError(
                    f"{edge.key} is not for {engine.services.platform.tag}",
                    origin=edge.origin,
                    hint="give the dependency the same `platforms`, so that it is left out too",
                )
                engine.fail(key, error, phase=_phase_of(engine, key))


def _check_products(engine: Engine) -> None:
    """A dependency on a product must be met by the recipe it was bound to."""
    for key in sorted(engine.graph.recipes):
        for edge in engine.graph.all_edges(key):
            provider = engine.graph.recipes[edge.key]
            if (
                not edge.product
                or edge.product in provider.provides
                or provider.loaded_or_none is None
            ):
                continue
            known = ", ".join(sorted(provider.provides)) or "nothing"
            error = DeclarationError(
                f"{edge.key} was to provide the product {edge.product!r}, and provides {known}",
                origin=edge.origin,
                hint=f"add it to the products of {edge.key.identity}, or name another recipe",
            )
            engine.fail(key, error, phase=_phase_of(engine, key))


def _phase_of(engine: Engine, key: RecipeKey) -> RecipePhase:
    """The phase that a mistake in the edges of a recipe keeps from running."""
    fetched = engine.coordination[key].current_phase >= RecipePhase.RECIPE_FETCH
    return RecipePhase.CHECK if fetched else RecipePhase.RECIPE_FETCH


def declared_by(engine: Engine, key: RecipeKey) -> tuple[str, ...]:
    """Who declared a recipe and who needed it: the shortest way from the manifest."""
    recipe = engine.graph.recipes[key]
    path = path_from_roots(
        key,
        sorted(engine.graph.roots),
        engine.graph.needs,
    )
    origin = _origin_of(engine, recipe, path[-2] if len(path) > 1 else None)
    line = f"declared in {origin}"
    if len(path) > 1:
        line += f", needed by {' → '.join(parent.canonical for parent in path[:-1])}"
    return (line,)


def _origin_of(engine: Engine, recipe: Recipe, parent: RecipeKey | None) -> SourceLocation:
    if parent is not None:
        edge: Edge | None = next(
            (edge for edge in engine.graph.all_edges(parent) if edge.key == recipe.key), None
        )
        if edge is not None:
            return edge.origin
    return recipe.spec.origin


def checked_goals(engine: Engine, queries: Sequence[str]) -> list[RecipeKey]:
    """The keys that queries on the command line mean; all roots when there is no query.

    Raises:
        GraphError: a query means no package, or several.
    """
    if not queries:
        return [key for key in engine.graph.roots if not engine.graph.recipes[key].excluded]
    goals = [engine.find_one(query).key for query in queries]
    for key in goals:
        if engine.graph.recipes[key].excluded:
            raise GraphError(f"{key} is not for {engine.services.platform.tag}")
    return goals
