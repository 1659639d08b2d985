"""From roots to a graph that is complete and judged: no cycle, no key from two sources.

The outcome depends on the manifest and the recipes alone. Everything that is reported about the
graph as a whole is decided when no recipe is being fetched any more, and in key order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from envy.engine.graph import path_from_roots, shortest_cycle
from envy.errors import CycleError, DeclarationError, GraphError, Origin
from envy.phase import RecipePhase
from envy.recipe import Edge, Recipe
from envy.recipe_key import RecipeKey
from envy.recipe_spec import RecipeSpec
from envy.sources import location

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def resolve_graph(engine: Engine, roots: Sequence[RecipeSpec]) -> None:
    """Fetch every recipe that the roots lead to, and judge the graph as a whole."""
    for spec in roots:
        recipe = engine.ensure_recipe(spec)
        engine.roots.append(recipe.key)
    for key in engine.roots:
        engine.start_recipe(engine.recipes[key])
    engine.wait_for_resolution_phase()
    _check_sources(engine)
    _check_cycles(engine)
    _check_platforms(engine)


def _check_sources(engine: Engine) -> None:
    """One key must come from one source, whoever names it."""
    for key in sorted(engine.recipes):
        recipe = engine.recipes[key]
        if len(recipe.declarations) == 1:
            continue
        places: dict[str, str] = {}
        for _parent, spec in recipe.declarations:
            if spec is not recipe.spec and spec.source != recipe.spec.source:
                where = location(spec.source) if spec.source else ""
                places.setdefault(where, f"{spec.origin}: {where}")
        if not places:
            continue
        own = location(recipe.spec.source) if recipe.spec.source else ""
        places.setdefault(own, f"{recipe.spec.origin}: {own}")
        if len(places) > 1:
            rows = "\n".join(f"    {row}" for row in sorted(places.values()))
            raise DeclarationError(
                f"{key} is declared from {len(places)} different sources\n{rows}",
                hint="one key is one recipe: give both the same source, or another revision",
            )


def _check_cycles(engine: Engine) -> None:
    graph = {key: [edge.key for edge in recipe.edges] for key, recipe in engine.recipes.items()}
    cycle = shortest_cycle(graph)
    if cycle is None:
        return
    steps = []
    for key, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
        edge = next(edge for edge in engine.recipes[key].edges if edge.key == following)
        steps.append((key.canonical, edge.needed_by.label, str(edge.origin)))
    raise CycleError(steps)


def _check_platforms(engine: Engine) -> None:
    """A strong edge to a recipe that is left out on this platform fails whoever has it."""
    for key in sorted(engine.recipes):
        for edge in engine.recipes[key].edges:
            if engine.recipes[edge.key].excluded:
                error = DeclarationError(
                    f"{edge.key} is not for {engine.services.platform.tag}",
                    origin=edge.origin,
                    hint="give the dependency the same `platforms`, so that it is left out too",
                )
                engine.fail(key, error, phase=RecipePhase.CHECK)


def declared_by(engine: Engine, key: RecipeKey) -> tuple[str, ...]:
    """Who declared a recipe and who needed it: the shortest way from the manifest."""
    recipe = engine.recipes[key]
    # Edges of a recipe whose fetch failed are not there, so who declared it counts as well.
    path = path_from_roots(
        key, sorted(engine.roots), lambda parent: _declared_children(engine, parent)
    )
    origin = _origin_of(engine, recipe, path[-2] if len(path) > 1 else None)
    line = f"declared in {origin}"
    if len(path) > 1:
        line += f", needed by {' → '.join(parent.canonical for parent in path[:-1])}"
    return (line,)


def _declared_children(engine: Engine, parent: RecipeKey) -> list[RecipeKey]:
    return [edge.key for edge in engine.recipes[parent].edges]


def _origin_of(engine: Engine, recipe: Recipe, parent: RecipeKey | None) -> Origin:
    if parent is not None:
        edge: Edge | None = next(
            (edge for edge in engine.recipes[parent].edges if edge.key == recipe.key), None
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
        return [key for key in engine.roots if not engine.recipes[key].excluded]
    goals = [engine.find_one(query).key for query in queries]
    for key in goals:
        if engine.recipes[key].excluded:
            raise GraphError(f"{key} is not for {engine.services.platform.tag}")
    return goals
