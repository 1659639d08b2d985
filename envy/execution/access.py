"""Access of a recipe to its own files, and by phase to assets and products of dependencies.

Nothing here waits: a dependency that may be used is complete, because the gate of the phase waited
for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.content.folder_walk import covering
from envy.declarations import fields
from envy.declarations.key import Query, RecipeKey
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import CustomSource, Dependency, DependencyKind, DependencyUse
from envy.declarations.tables import NO_EXPORTS
from envy.errors import DeclarationError, InternalError
from envy.execution.bundle_roots import own_folder
from envy.execution.ctx_arguments import require_text
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.graph.distances import Near, nearest_first
from envy.graph.recipe import Edge, Recipe, one_of_each
from envy.phase import RecipePhase


@dataclass(frozen=True, slots=True)
class Reachable:
    """A direct or indirect dependency, and the phase from which it is available."""

    recipe: Recipe
    needed_by: RecipePhase


def edges_for(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> tuple[Edge, ...]:
    """Return the edges that a phase may use; in recipe_fetch, those of the custom source."""
    graph, key = engine.graph, recipe.key
    return graph.source_edges(key) if phase is RecipePhase.RECIPE_FETCH else graph.edges(key)


def reachable(edges: Iterable[Edge], engine: PhaseServices) -> list[Reachable]:
    """Return the dependencies behind some edges with their run closures, nearest first, each once.

    The build dependencies of a dependency are left out, since they may be missing.
    """
    found: dict[RecipeKey, Reachable] = {}
    level = [(edge.key, edge.needed_by) for edge in edges]
    while level:
        following: list[tuple[RecipeKey, RecipePhase]] = []
        for key, needed_by in level:
            known = found.get(key)
            if known is not None and known.needed_by <= needed_by:
                continue
            found[key] = Reachable(engine.graph.recipes[key], needed_by)
            following += [
                (edge.key, needed_by)
                for edge in engine.graph.edges(key)
                if edge.use is DependencyUse.RUN
            ]
        level = following
    return list(found.values())


def exporting(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> list[Near]:
    """Return the dependencies available in `phase` that may export something, nearest first.

    They are the declared dependencies that the gate of the phase waited for, and what those need
    to run.

    The closure is walked only where something is exported; otherwise each script in a chain of
    thousands of recipes would cost a walk of the whole chain.
    """
    edges = edges_for(recipe, engine, phase)
    starts = [edge.key for edge in edges if edge.exports and edge.needed_by <= phase]
    return nearest_first(engine.graph, starts, include=_exports_within)


def searched_by_compilers(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, providers: Iterable[Near]
) -> list[Recipe]:
    """Return the packages whose `cmake_prefix` and `pkg_config` apply in `phase`, nearest first.

    They are among `providers`, all that export something. The run closure of a dependency that
    exports neither is left out: it is a tool, and what it runs with is not linked to.

    Raises:
        DeclarationError: two variants of one package are among them.
    """
    if not any(is_searched(provider.recipe) for provider in providers):
        return []
    edges = [edge for edge in edges_for(recipe, engine, phase) if edge.exports]
    rows = nearest_first(
        engine.graph,
        [edge.key for edge in edges if edge.needed_by <= phase],
        include=_exports_within,
        follow=is_searched,
    )
    found = [row.recipe for row in rows if is_searched(row.recipe)]
    if recipe.loaded_or_none is None or recipe.loaded.definition.variants != "both":
        _check_variants(recipe, engine, edges, found)
    return found


def is_searched(recipe: Recipe) -> bool:
    """Return whether a package exports folders for compilers to search."""
    try:
        exports = recipe.loaded.exports
    except InternalError:
        return False
    return bool(exports.cmake_prefix or exports.pkg_config)


def _check_variants(
    recipe: Recipe, engine: PhaseServices, edges: Sequence[Edge], found: Iterable[Recipe]
) -> None:
    """Check that a compiler finds one variant of each package, or all are declared on purpose."""
    declared = {edge.key for edge in edges}
    first: dict[tuple[str, str], RecipeKey] = {}
    for provider in one_of_each(found):
        key = provider.key
        other = first.setdefault((key.namespace, key.name), key)
        if other != key and not {other, key} <= declared:
            chains = "\n".join(
                f"    {' → '.join(map(str, _chain(recipe.key, engine, edges, each)))}"
                for each in (other, key)
            )
            raise DeclarationError(
                f"two variants of {key.namespace}.{key.name} meet in the `cmake_prefix` or "
                f"`pkg_config` of {recipe.key}:\n{chains}",
                origin=recipe.spec.origin,
                hint="let all of them need the same variant; or declare both in its "
                '`dependencies`, or write variants = "both", if the build tells them apart',
            )


def _chain(
    start: RecipeKey, engine: PhaseServices, edges: Sequence[Edge], goal: RecipeKey
) -> list[RecipeKey]:
    """Return the shortest way from a recipe to one that `searched_by_compilers` has found."""
    chains = [[start, edge.key] for edge in edges]
    for chain in chains:
        key = chain[-1]
        if key == goal:
            return chain
        if len(set(chain)) == len(chain) and is_searched(engine.graph.recipes[key]):
            chains += [
                [*chain, edge.key]
                for edge in engine.graph.edges(key)
                if edge.use is DependencyUse.RUN and edge.exports
            ]
    return [start, goal]


def _exports_within(recipe: Recipe) -> bool:
    try:
        return recipe.placement.exports_within
    except InternalError:
        return False  # its entry key is not computed


def exports_within(recipe: Recipe, engine: PhaseServices) -> bool:
    """Return whether a recipe, or anything that it needs to run, exports something."""
    if recipe.loaded.exports is not NO_EXPORTS and recipe.loaded.exports != NO_EXPORTS:
        return True
    return any(
        edge.use is DependencyUse.RUN and _exports_within(engine.graph.recipes[edge.key])
        for edge in engine.graph.edges(recipe.key)
    )


def asset_of(recipe: Recipe, engine: PhaseServices, phase: RecipePhase, asked: object) -> Path:
    """Return the path that `ctx.asset(query)` gives.

    Raises:
        DeclarationError: not a text, not declared, declared for a later phase,
            user-managed, or ambiguous.
    """
    events = RecipeEvents(recipe, engine.services.events)
    query = asked if isinstance(asked, str) else fields.describe(asked)
    try:
        row = _find_dependency(recipe, engine, phase, require_text("ctx.asset", asked))
    except DeclarationError as error:
        events.asset_access(query, None, (phase, RecipePhase.NONE), error)
        raise
    provider = row.recipe
    refusal = _too_early(row, phase, f"ctx.asset({query!r})")
    if refusal is None and provider.user_managed:
        refusal = DeclarationError(
            f"ctx.asset({query!r}): {provider.key} is user-managed: it changes the machine and has "
            "no folder in the cache",
            hint="use one of its products, with ctx.product, or run its programs by name",
        )
    events.asset_access(query, provider, (phase, row.needed_by), refusal)
    if refusal is not None:
        raise refusal
    return provider.placement.entry.asset_dir


def product_of(recipe: Recipe, engine: PhaseServices, phase: RecipePhase, asked: object) -> str:
    """Return the value that `ctx.product(name)` gives.

    The provider is the recipe that a dependency on the product was bound to, or else the only
    dependency that provides it.

    Raises:
        DeclarationError: not a text, no dependency provides it, several do, or it is available
            only later.
    """
    events = RecipeEvents(recipe, engine.services.events)
    name = asked if isinstance(asked, str) else fields.describe(asked)
    try:
        row = _find_provider(recipe, engine, phase, require_text("ctx.product", asked))
    except DeclarationError as error:
        events.product_access(name, None, (phase, RecipePhase.NONE), error)
        raise
    refusal = _too_early(row, phase, f"ctx.product({name!r})")
    events.product_access(name, row.recipe, (phase, row.needed_by), refusal)
    if refusal is not None:
        raise refusal
    return row.recipe.work.products[name]


def _find_provider(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, name: str
) -> Reachable:
    edges = edges_for(recipe, engine, phase)
    for edge in edges:
        if edge.product == name:
            return Reachable(engine.graph.recipes[edge.key], edge.needed_by)
    rows = reachable(edges, engine)
    providers = [
        row for row in rows if name in row.recipe.work.products or name in row.recipe.provides
    ]
    providers = _one_of_each(providers)
    if len(providers) == 1:
        return providers[0]
    if not providers:
        known = sorted({product for row in rows for product in row.recipe.provides})
        raise DeclarationError(
            f"ctx.product({name!r}): no dependency of {recipe.key} provides it",
            hint=f'declare it: {{ product = "{name}" }}; provided products: '
            f"{', '.join(known) or 'none'}",
        )
    names = ", ".join(sorted(row.recipe.key.canonical for row in providers))
    raise DeclarationError(
        f"ctx.product({name!r}): several dependencies provide it: {names}",
        hint=f'say which: {{ product = "{name}", recipe = "…" }} in `dependencies`',
    )


def _one_of_each(rows: Iterable[Reachable]) -> list[Reachable]:
    """Return the dependencies, of each variant only the one that is available first."""
    found: dict[tuple[str, str], Reachable] = {}
    for row in sorted(rows, key=lambda row: row.needed_by):
        found.setdefault(row.recipe.variant, row)
    return list(found.values())


def _too_early(row: Reachable, phase: RecipePhase, call: str) -> DeclarationError | None:
    if row.needed_by <= phase:
        return None
    return DeclarationError(
        f"{call}: {row.recipe.key} is available only from {row.needed_by.label} on, and this "
        f"is {phase.label}",
        hint=f'declare it with needed_by = "{phase.label}" (or an earlier phase)',
    )


def _find_dependency(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, query: str
) -> Reachable:
    parsed = Query.parse(query)
    rows = reachable(edges_for(recipe, engine, phase), engine)
    named = _locally_named(recipe, engine, phase, query)
    if named is not None:
        for row in rows:
            if row.recipe.key == named:
                return row
    found = [row for row in rows if parsed.matches(row.recipe.key, alias=_alias(row.recipe))]
    found = prefer_exact(query, found, lambda row: row.recipe.key.canonical)
    found = _one_of_each(found)
    if len(found) == 1:
        return found[0]
    if not found:
        known = sorted(row.recipe.key.canonical for row in rows)
        raise DeclarationError(
            f"ctx.asset({query!r}): {recipe.key} declares no such dependency",
            hint=f'add {{ recipe = "{query}" }} to its `dependencies`; declared: '
            f"{', '.join(known) or 'none'}",
        )
    keys = sorted(row.recipe.key.canonical for row in found)
    candidates = "\n".join(f"    {key}" for key in keys)
    raise DeclarationError(
        f"ctx.asset({query!r}) matches several dependencies:\n{candidates}",
        hint=f"use the full key, with its options: ctx.asset([[{keys[0]}]])",
    )


def _locally_named(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, query: str
) -> RecipeKey | None:
    """Return the dependency that the recipe itself gave this name, by an alias or a reference.

    A reference may have been bound through an alias of the manifest, which the recipe does not
    know: its text means whatever it was bound to.
    """
    of_source = phase is RecipePhase.RECIPE_FETCH
    for dependency in _declared(recipe, of_source=of_source):
        if (
            dependency.kind is DependencyKind.STRONG
            and dependency.spec
            and dependency.spec.alias == query
        ):
            return dependency.spec.key
    for reference in engine.graph.references(recipe.key):
        if reference.dependency.query == query and reference.of_source == of_source:
            return reference.provider
    return None


def _declared(recipe: Recipe, *, of_source: bool) -> Sequence[Dependency]:
    source = recipe.spec.source
    if of_source:
        return source.dependencies if isinstance(source, CustomSource) else ()
    return recipe.loaded.definition.dependencies if recipe.loaded_or_none is not None else ()


def _alias(recipe: Recipe) -> str:
    return recipe.alias


def may_read(recipe: Recipe, engine: PhaseServices, path: Path) -> bool:
    """Return whether a phase may read a file; in the recipe's folder, only what is in the key."""
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    if loaded is None:
        return True
    recipe_dir = own_folder(loaded.recipe_dir, engine.services)
    if not path.is_relative_to(recipe_dir):
        return True
    root = engine.services.layout.root
    return (
        path in loaded.reads.files
        or (placement is not None and covering(placement.inputs, str(path)) is not None)
        or _is_in_cache_inside(recipe_dir, root, path)
    )


def _is_in_cache_inside(recipe_dir: Path, root: Path, path: Path) -> bool:
    """Return whether the cache is inside the project, and a path in it, in any spelling."""
    if root.is_relative_to(recipe_dir) and path.is_relative_to(root):
        return True
    real = os.path.realpath(root) + "/"
    return real.startswith(os.path.realpath(recipe_dir) + "/") and (
        os.path.realpath(path) + "/"
    ).startswith(real)


def build_only(recipe: Recipe, engine: PhaseServices) -> list[Recipe]:
    """Return the dependencies that are needed only for the build, and may be missing afterwards."""
    edges = engine.graph.edges(recipe.key)
    if all(edge.use is DependencyUse.RUN for edge in edges):
        return []
    run_edges = [edge for edge in edges if edge.use is DependencyUse.RUN]
    kept = {row.recipe.key for row in reachable(run_edges, engine)}
    return [
        row.recipe
        for row in reachable(edges, engine)
        if row.recipe.key not in kept and row.recipe.asset_dir is not None
    ]
