"""What a recipe may use: which assets and products of others, from which phase on; which own files.

Nothing here waits: a dependency that may be used is complete, because the gate of the phase has
seen to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.declarations.key import Query, RecipeKey
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import CustomSource, Dependency, DependencyKind, DependencyUse
from envy.declarations.tables import NO_EXPORTS
from envy.errors import DeclarationError
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.graph.recipe import Edge, Recipe
from envy.phase import RecipePhase


@dataclass(frozen=True, slots=True)
class Reachable:
    """A dependency, direct or reached through declared ones, and when it is there."""

    recipe: Recipe
    needed_by: RecipePhase


def edges_for(recipe: Recipe, phase: RecipePhase) -> tuple[Edge, ...]:
    """What a phase may use: in recipe_fetch, a custom source has dependencies of its own."""
    return recipe.source_edges if phase is RecipePhase.RECIPE_FETCH else recipe.edges


def reachable(
    edges: Iterable[Edge],
    engine: PhaseServices,
    *,
    include: Callable[[Recipe], bool] = lambda _recipe: True,
) -> list[Reachable]:
    """The dependencies behind some edges with their run closures, nearest first, each once.

    What a dependency needs only to be built is not among them: it may not be there. Nor is what
    lies behind a recipe that is not `include` looking at.
    """
    found: dict[RecipeKey, Reachable] = {}
    level = [(edge.key, edge.needed_by) for edge in edges]
    while level:
        following: list[tuple[RecipeKey, RecipePhase]] = []
        for key, needed_by in level:
            known = found.get(key)
            if known is not None and known.needed_by <= needed_by:
                continue
            dependency = engine.recipe(key)
            if not include(dependency):
                continue
            found[key] = Reachable(dependency, needed_by)
            following += [
                (edge.key, needed_by) for edge in dependency.edges if edge.use is DependencyUse.RUN
            ]
        level = following
    return list(found.values())


def exporting(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> list[Recipe]:
    """The dependencies that are there in `phase` and may export something, nearest first.

    The closure is walked only where something is exported: a script in a chain of thousands would
    else cost as much as the chain is long.
    """
    rows = reachable(edges_for(recipe, phase), engine, include=_exports_within)
    return [row.recipe for row in rows if row.needed_by <= phase]


def _exports_within(recipe: Recipe) -> bool:
    return recipe.placement_or_none is not None and recipe.placement_or_none.exports_within


def exports_within(recipe: Recipe, engine: PhaseServices) -> bool:
    """Whether a recipe, or anything that it needs to run, exports something; those know."""
    if recipe.loaded.exports is not NO_EXPORTS and recipe.loaded.exports != NO_EXPORTS:
        return True
    return any(
        edge.use is DependencyUse.RUN and _exports_within(engine.recipe(edge.key))
        for edge in recipe.edges
    )


def asset_of(recipe: Recipe, engine: PhaseServices, phase: RecipePhase, query: str) -> Path:
    """The path that `ctx.asset(query)` gives.

    Raises:
        DeclarationError: not declared, declared for a later phase, user-managed, or ambiguous.
    """
    row = _find_dependency(recipe, engine, phase, query)
    provider = row.recipe
    refusal = _too_early(row, phase, f"ctx.asset({query!r})")
    if refusal is None and provider.user_managed:
        refusal = DeclarationError(
            f"ctx.asset({query!r}): {provider.key} is user-managed: it changes the machine and has "
            "no folder in the cache",
            hint="use one of its products, with ctx.product, or run its programs by name",
        )
    events = RecipeEvents(recipe, engine.services.events)
    events.asset_access(query, provider, (phase, row.needed_by), refusal)
    if refusal is not None:
        raise refusal
    return provider.placement.entry.asset_dir


def product_of(recipe: Recipe, engine: PhaseServices, phase: RecipePhase, name: str) -> str:
    """The value that `ctx.product(name)` gives.

    The provider is the one that a dependency on the product was bound to, or else the only
    dependency that has it.

    Raises:
        DeclarationError: no dependency has it, several have, or it is there only later.
    """
    row = _find_provider(recipe, engine, phase, name)
    refusal = _too_early(row, phase, f"ctx.product({name!r})")
    events = RecipeEvents(recipe, engine.services.events)
    events.product_access(name, row.recipe, (phase, row.needed_by), refusal)
    if refusal is not None:
        raise refusal
    return row.recipe.work.products[name]


def _find_provider(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, name: str
) -> Reachable:
    edges = edges_for(recipe, phase)
    for edge in edges:
        if edge.product == name:
            return Reachable(engine.recipe(edge.key), edge.needed_by)
    rows = reachable(edges, engine)
    providers = [
        row for row in rows if name in row.recipe.work.products or name in row.recipe.provides
    ]
    if len(providers) == 1:
        return providers[0]
    if not providers:
        known = sorted({product for row in rows for product in row.recipe.provides})
        raise DeclarationError(
            f"ctx.product({name!r}): no dependency of {recipe.key} provides it",
            hint=f'declare it: {{ product = "{name}" }}; provided are: '
            f"{', '.join(known) or 'none'}",
        )
    names = ", ".join(sorted(row.recipe.key.canonical for row in providers))
    raise DeclarationError(
        f"ctx.product({name!r}): several dependencies provide it: {names}",
        hint=f'say which: {{ product = "{name}", recipe = "…" }} among the dependencies',
    )


def _too_early(row: Reachable, phase: RecipePhase, call: str) -> DeclarationError | None:
    if row.needed_by <= phase:
        return None
    return DeclarationError(
        f"{call}: {row.recipe.key} is there only from {row.needed_by.label} on, and this is "
        f"{phase.label}",
        hint=f'declare it with needed_by = "{phase.label}" (or an earlier phase)',
    )


def _find_dependency(
    recipe: Recipe, engine: PhaseServices, phase: RecipePhase, query: str
) -> Reachable:
    parsed = Query.parse(query)
    rows = reachable(edges_for(recipe, phase), engine)
    named = _locally_named(recipe, phase, query)
    if named is not None:
        for row in rows:
            if row.recipe.key == named:
                return row
    found = [row for row in rows if parsed.matches(row.recipe.key, alias=_alias(row.recipe))]
    found = prefer_exact(query, found, lambda row: row.recipe.key.canonical)
    if len(found) == 1:
        return found[0]
    if not found:
        known = sorted(row.recipe.key.canonical for row in rows)
        raise DeclarationError(
            f"ctx.asset({query!r}): {recipe.key} declares no such dependency",
            hint=f'add {{ recipe = "{query}" }} to its `dependencies`; declared are: '
            f"{', '.join(known) or 'none'}",
        )
    keys = sorted(row.recipe.key.canonical for row in found)
    candidates = "\n".join(f"    {key}" for key in keys)
    raise DeclarationError(
        f"ctx.asset({query!r}) could be any of\n{candidates}",
        hint=f"ask with the whole key, options included: ctx.asset([[{keys[0]}]])",
    )


def _locally_named(recipe: Recipe, phase: RecipePhase, query: str) -> RecipeKey | None:
    """What the recipe itself calls by that name: by an alias of an entry, or by a reference.

    A reference may have been bound by an alias of the manifest, which is none of the recipe's
    business: in the words that it is written in, it means what it was bound to.
    """
    of_source = phase is RecipePhase.RECIPE_FETCH
    for dependency in _declared(recipe, of_source=of_source):
        if (
            dependency.kind is DependencyKind.STRONG
            and dependency.spec
            and dependency.spec.alias == query
        ):
            return dependency.spec.key
    for reference in recipe.references:
        if reference.dependency.query == query and reference.of_source == of_source:
            return reference.provider
    return None


def _declared(recipe: Recipe, *, of_source: bool) -> Sequence[Dependency]:
    source = recipe.spec.source
    if of_source:
        return source.dependencies if isinstance(source, CustomSource) else ()
    return (
        recipe.loaded_or_none.definition.dependencies if recipe.loaded_or_none is not None else ()
    )


def _alias(recipe: Recipe) -> str:
    return recipe.alias


def may_read(recipe: Recipe, engine: PhaseServices, path: Path) -> bool:
    """Whether a phase may read a file: one of the recipe's own folder only if it is in the key."""
    loaded, placement = recipe.loaded_or_none, recipe.placement_or_none
    if loaded is None:
        return True
    recipe_dir = loaded.recipe_dir
    if not path.is_relative_to(recipe_dir):
        return True
    root = engine.services.layout.root
    if root.is_relative_to(recipe_dir) and path.is_relative_to(root):
        return True  # a cache within the project
    inputs = placement.input_files if placement is not None else frozenset()
    return (
        path in inputs
        or path in loaded.reads.files
        or any(parent in inputs for parent in path.parents)
    )


def build_only(recipe: Recipe, engine: PhaseServices) -> list[Recipe]:
    """Dependencies that are there to build it and need not be there afterwards."""
    if all(edge.use is DependencyUse.RUN for edge in recipe.edges):
        return []
    run_edges = [edge for edge in recipe.edges if edge.use is DependencyUse.RUN]
    kept = {row.recipe.key for row in reachable(run_edges, engine)}
    return [
        row.recipe
        for row in reachable(recipe.edges, engine)
        if row.recipe.key not in kept and row.recipe.asset_dir is not None
    ]
