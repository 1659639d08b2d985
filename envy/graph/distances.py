"""Distances: how far packages are from the manifest, or from the recipe that depends on them.

The distance counts dependencies that are needed to run and whose exports are used. The manifest's
own packages have distance 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from envy.declarations.key import RecipeKey
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import DependencyUse
from envy.errors import AmbiguousQuery
from envy.graph.recipe import Recipe, one_of_each
from envy.graph.recipe_graph import RecipeGraph


@dataclass(frozen=True, slots=True)
class Near:
    """A package and its distance."""

    recipe: Recipe
    distance: int


def nearest_first(
    graph: RecipeGraph,
    starts: Iterable[RecipeKey],
    *,
    include: Callable[[Recipe], bool] = lambda _recipe: True,
    follow: Callable[[Recipe], bool] = lambda _recipe: True,
) -> list[Near]:
    """Return some packages and what they need to run, nearest first, each once.

    Packages of one distance have the order of their declarations. A package for which `include` is
    false is left out, with what only it leads to. So is what only packages lead to for which
    `follow` is false.
    """
    found: list[Near] = []
    seen: set[RecipeKey] = set()
    level, distance = list(starts), 0
    while level:
        following: list[RecipeKey] = []
        for key in level:
            if key in seen:
                continue
            seen.add(key)
            recipe = graph.recipes[key]
            if not include(recipe):
                continue
            found.append(Near(recipe, distance))
            if not follow(recipe):
                continue
            following += [
                edge.key
                for edge in graph.edges(key)
                if edge.use is DependencyUse.RUN and edge.exports
            ]
        level, distance = following, distance + 1
    return found


def project_packages(graph: RecipeGraph) -> list[Near]:
    """Return the packages that are used in the project: the manifest's and what they run with."""
    starts = [key for key in graph.roots if key not in graph.left_out]
    return nearest_first(graph, starts, include=lambda recipe: not recipe.excluded)


def nearest_of(graph: RecipeGraph, recipes: Iterable[Recipe]) -> list[Recipe]:
    """Return the recipes that are nearest to the manifest; the order is unchanged.

    Packages that are not used in the project, such as those that are needed only to build, are
    farther than all others.
    """
    recipes = list(recipes)
    if len(recipes) < 2:
        return recipes
    distances = {near.recipe.key: near.distance for near in project_packages(graph)}
    farthest = len(graph.recipes)
    least = min(distances.get(recipe.key, farthest) for recipe in recipes)
    return [recipe for recipe in recipes if distances.get(recipe.key, farthest) == least]


def find_nearest(
    graph: RecipeGraph, query: str, *, failed: Callable[[], Iterable[RecipeKey]] = tuple
) -> Recipe:
    """Return the package nearest to the manifest that a query of the user matches.

    `failed` returns the recipes that could not be read; it is called only to explain why nothing
    matches.

    Raises:
        AmbiguousQuery: several are equally near; QueryNotFound: none matches.
    """
    found = prefer_exact(query, graph.find_matches(query), lambda recipe: recipe.key.canonical)
    nearest = one_of_each(nearest_of(graph, found))
    if len(nearest) > 1:
        raise AmbiguousQuery(query, candidates=[recipe.key.canonical for recipe in nearest])
    return nearest[0] if nearest else graph.find_one(query, failed=failed)
