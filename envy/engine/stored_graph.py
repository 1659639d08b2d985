"""Storing what a run found: the answer that later commands use, and what unpinned sources were."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from envy.answers.evidence import Evidence
from envy.answers.products import FILE, OUTSIDE, PROGRAM, StoredProduct
from envy.answers.read import USED, StoredAnswer, load_answer
from envy.answers.write import StoredRecipe, StoredUse, save_answer
from envy.declarations.spec import DependencyUse
from envy.graph.distances import project_packages
from envy.masking import masked

if TYPE_CHECKING:
    from envy.answers.project_environment import ProjectEnvironment
    from envy.declarations.key import RecipeKey
    from envy.declarations.manifest import Manifest
    from envy.engine.engine import Engine
    from envy.graph.recipe import Edge, Recipe


def store_answer(
    engine: Engine,
    manifest: Manifest,
    environment: ProjectEnvironment | None,
) -> None:
    """Store what the manifest resolved to, so that the next command is warm.

    With the environment of the project's programs, `run` and `product` are warm too. Nothing is
    stored if the run failed or was cancelled, or if its result may change without a change in the
    evidence.
    """
    if engine.cancellation is not None or any(
        node.failure is not None for node in engine.coordination.values()
    ):
        return
    graph = engine.graph
    recipes = [graph.recipes[key] for key in sorted(graph.recipes)]
    evidence = evidence_of(manifest, recipes)
    # A key with a secret is not written to the disk.
    keys = [recipe.key.canonical for recipe in recipes]
    if not evidence.lasting or any(masked(key) != key for key in keys):
        return
    positions = {recipe.key: position for position, recipe in enumerate(recipes)}
    distances = {near.recipe.key: near.distance for near in project_packages(graph)}
    rows = [
        _stored(recipe, graph.edges(recipe.key), positions, distances.get(recipe.key))
        for recipe in recipes
    ]
    root = engine.services.layout.root
    is_part = any(not (row.entry_key or row.user_managed or row.excluded) for row in rows)
    if is_part:
        before = load_answer(str(root), str(manifest.path), engine.services.environment)
        if before is not None and _says_more(before, rows, evidence, has_use=bool(environment)):
            return
    save_answer(
        root,
        manifest.path,
        evidence,
        recipes=rows,
        roots=[positions[key] for key in graph.roots],
        aliases={alias: positions[key] for alias, key in manifest.aliases.items()},
        use=_use(environment, recipes) if environment is not None else None,
        has_launchers=bool(manifest.launchers),
    )


def store_resolutions(engine: Engine) -> None:
    """Store what unpinned sources were resolved to, for the next commands of this project."""
    failed = set(engine.coordination.failed())
    is_whole = engine.is_resolved and engine.cancellation is None and not failed
    recipes = engine.graph.recipes.values()
    settled = {
        recipe.key.canonical for recipe in recipes if recipe.entry_key and recipe.key not in failed
    }
    known = {recipe.key.canonical for recipe in recipes} if is_whole else None
    engine.services.resolutions.store(settled=settled, known=known)


def _says_more(
    before: StoredAnswer, rows: Sequence[StoredRecipe], evidence: Evidence, *, has_use: bool
) -> bool:
    """Return whether an answer that holds says what this run found, and more.

    A query computes the keys of a few packages only.
    """
    keys = [row.entry_key for row in rows]
    found = [text for told in evidence.host.values() for text in told.columns()]
    if before.keys != [row.key for row in rows] or not set(found).issubset(before.host):
        return False
    if any(key not in {"", old} for key, old in zip(keys, before.entry_keys, strict=True)):
        return False
    has_more = (USED in before.marks and not has_use) or keys != before.entry_keys
    return has_more and (USED in before.marks or not has_use)


def evidence_of(manifest: Manifest, recipes: Iterable[Recipe]) -> Evidence:
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


def _use(environment: ProjectEnvironment, recipes: Sequence[Recipe]) -> StoredUse | None:
    """Return what is stored of an environment; None if that would write a secret to the disk."""
    if any(masked(value) != value for value in environment.variables.values()):
        return None
    positions = {recipe.key.canonical: position for position, recipe in enumerate(recipes)}
    products = []
    for name, providers in environment.providers.items():
        first = providers[0]
        inside = PROGRAM if first.is_program else FILE
        products.append(
            StoredProduct(
                name,
                ",".join(str(positions[provider.package]) for provider in providers),
                first.program,
                _file_of(recipes[positions[first.package]], name),
                inside if first.usable else OUTSIDE,
            )
        )
    return StoredUse(
        variables=environment.variables,
        folders={name: os.pathsep.join(folders) for name, folders in environment.folders.items()},
        products=products,
        dotenv=environment.dotenv,
    )


def _file_of(recipe: Recipe, name: str) -> str:
    return str(recipe.asset_dir / recipe.provides[name].path) if recipe.asset_dir else ""
