"""Storing what a manifest resolved to, as columns that warm commands read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from envy.answers.evidence import Evidence
from envy.answers.write import StoredRecipe, save_answer
from envy.declarations.key import RecipeKey
from envy.declarations.manifest import Manifest
from envy.declarations.spec import DependencyUse
from envy.graph.distances import project_packages
from envy.graph.recipe import Edge, Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.masking import masked


def store_answer(graph: RecipeGraph, manifest: Manifest, root: Path) -> None:
    """Store a resolved graph, unless it may change without a change in the evidence."""
    recipes = [graph.recipes[key] for key in sorted(graph.recipes)]
    evidence = _evidence(manifest, recipes)
    # A key with a secret is not written to the disk.
    keys = [recipe.key.canonical for recipe in recipes]
    if not evidence.lasting or any(masked(key) != key for key in keys):
        return
    positions = {recipe.key: position for position, recipe in enumerate(recipes)}
    distances = {near.recipe.key: near.distance for near in project_packages(graph)}
    save_answer(
        root,
        manifest.path,
        evidence,
        recipes=[
            _stored(recipe, graph.edges(recipe.key), positions, distances.get(recipe.key))
            for recipe in recipes
        ],
        roots=[positions[key] for key in graph.roots],
        aliases={alias: positions[key] for alias, key in manifest.aliases.items()},
    )


def _evidence(manifest: Manifest, recipes: Iterable[Recipe]) -> Evidence:
    evidence = Evidence(files={str(manifest.path): manifest.digest})
    evidence.note_variables(manifest.reads.variables)
    evidence.files.update({str(path): digest for path, digest in manifest.reads.files.items()})
    evidence.lasting = manifest.reads.lasting and not manifest.warnings
    for recipe in recipes:
        evidence.add(recipe.evidence)
    return evidence


def _stored(
    recipe: Recipe,
    edges: Iterable[Edge],
    positions: Mapping[RecipeKey, int],
    distance: int | None,
) -> StoredRecipe:
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    has_entry = placement is not None and not recipe.user_managed
    return StoredRecipe(
        key=recipe.key.canonical,
        alias=recipe.alias,
        entry_name=placement.entry.name if placement is not None else "",
        entry_key=recipe.entry_key if has_entry else "",
        user_managed=recipe.user_managed,
        excluded=recipe.excluded,
        deploys=bool(loaded and loaded.definition.deploy),
        has_shims=any(product.needs_shim(name) for name, product in recipe.provides.items()),
        distance=distance,
        needs=tuple(positions[edge.key] for edge in edges if edge.use is DependencyUse.RUN),
    )
