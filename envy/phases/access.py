"""What a recipe may use: which assets and products of others, from which phase on; which own files.

Nothing here waits: a dependency that may be used is complete, because the gate of the phase has
seen to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from envy import events as ev
from envy.errors import DeclarationError, EnvyError
from envy.phase import RecipePhase
from envy.phases.surface import Engine
from envy.recipe import Edge, Recipe
from envy.recipe_key import Query, RecipeKey
from envy.recipe_spec import Use


@dataclass(frozen=True, slots=True)
class Reachable:
    """A dependency, direct or reached through declared ones, and when it is there."""

    recipe: Recipe
    needed_by: RecipePhase


def reachable(recipe: Recipe, engine: Engine) -> list[Reachable]:
    """The dependencies of a recipe with their run closures, nearest first, each once.

    What a dependency needs only to be built is not among them: it may not be there.
    """
    found: dict[RecipeKey, Reachable] = {}
    level = [(edge.key, edge.needed_by) for edge in recipe.edges]
    while level:
        following: list[tuple[RecipeKey, RecipePhase]] = []
        for key, needed_by in level:
            known = found.get(key)
            if known is not None and known.needed_by <= needed_by:
                continue
            dependency = engine.recipe(key)
            found[key] = Reachable(dependency, needed_by)
            following += [(edge.key, needed_by) for edge in dependency.edges if edge.use is Use.RUN]
        level = following
    return list(found.values())


def usable(recipe: Recipe, engine: Engine, phase: RecipePhase) -> list[Recipe]:
    """The dependencies that are there in `phase`, nearest first."""
    return [row.recipe for row in reachable(recipe, engine) if row.needed_by <= phase]


def asset_of(recipe: Recipe, engine: Engine, phase: RecipePhase, query: str) -> Path:
    """The path that `ctx.asset(query)` gives.

    Raises:
        DeclarationError: not declared, declared for a later phase, user-managed, or ambiguous.
    """
    row = _find(recipe, engine, query)
    provider = row.recipe
    refusal: EnvyError | None = None
    if row.needed_by > phase:
        refusal = DeclarationError(
            f"ctx.asset({query!r}): {provider.key} is there only from {row.needed_by.label} on, "
            f"and this is {phase.label}",
            hint=f'declare it with needed_by = "{phase.label}" (or an earlier phase)',
        )
    elif provider.definition is not None and provider.definition.user_managed:
        refusal = DeclarationError(
            f"ctx.asset({query!r}): {provider.key} is user-managed: it changes the machine and has "
            "no folder in the cache",
            hint="use one of its products, with ctx.product, or run its programs by name",
        )
    if engine.services.events.listening:
        engine.services.events.emit(
            ev.LuaCtxAssetAccess(
                recipe=recipe.key.identity,
                target=query,
                provider=provider.key.canonical,
                current_phase=phase,
                needed_by=row.needed_by,
                allowed=refusal is None,
                reason=refusal.message if refusal else "declared",
            )
        )
    if refusal is not None:
        raise refusal
    assert provider.asset_dir is not None
    return provider.asset_dir


def product_of(recipe: Recipe, engine: Engine, phase: RecipePhase, name: str) -> str:
    """The value that `ctx.product(name)` gives: of the nearest dependencies that declare it.

    Raises:
        DeclarationError: no dependency has it, or several have.
    """
    there = usable(recipe, engine, phase)
    providers = [other for other in there if name in other.products]
    if len(providers) == 1:
        return providers[0].products[name]
    if not providers:
        known = sorted({product for other in there for product in other.products})
        raise DeclarationError(
            f"ctx.product({name!r}): no dependency that is there in {phase.label} provides it",
            hint=f"products there are: {', '.join(known) or 'none'}",
        )
    rows = ", ".join(sorted(other.key.canonical for other in providers))
    raise DeclarationError(
        f"ctx.product({name!r}): several dependencies provide it: {rows}",
        hint="take the one that is meant by its folder: ctx.asset(QUERY)",
    )


def _find(recipe: Recipe, engine: Engine, query: str) -> Reachable:
    asked = Query.parse(query)
    rows = reachable(recipe, engine)
    found = [
        row
        for row in rows
        if asked.matches(row.recipe.key, alias=_alias(row.recipe))
        or row.recipe.key.canonical == query
    ]
    exact = [row for row in found if row.recipe.key.canonical == query]
    if len(found) > 1 and len(exact) == 1:
        found = exact
    if len(found) == 1:
        return found[0]
    if not found:
        known = sorted(row.recipe.key.canonical for row in rows)
        raise DeclarationError(
            f"ctx.asset({query!r}): {recipe.key} declares no such dependency",
            hint=f"add it to `dependencies`; declared are: {', '.join(known) or 'none'}",
        )
    candidates = ", ".join(sorted(row.recipe.key.canonical for row in found))
    raise DeclarationError(
        f"ctx.asset({query!r}) could be any of {candidates}",
        hint="ask with the whole key, options included",
    )


def _alias(recipe: Recipe) -> str:
    return recipe.definition.alias if recipe.definition else ""


def may_read(recipe: Recipe, engine: Engine, path: Path) -> bool:
    """Whether a phase may read a file: one of the recipe's own folder only if it is in the key."""
    recipe_dir = recipe.recipe_dir
    if recipe_dir is None or not path.is_relative_to(recipe_dir):
        return True
    root = engine.services.layout.root
    if root.is_relative_to(recipe_dir) and path.is_relative_to(root):
        return True  # a cache within the project
    inputs = recipe.input_files
    loaded = recipe.lua.reads.files if recipe.lua else {}
    return path in inputs or path in loaded or any(parent in inputs for parent in path.parents)


def build_only(recipe: Recipe, engine: Engine) -> list[Recipe]:
    """Dependencies that are there to build it and need not be there afterwards."""
    if all(edge.use is Use.RUN for edge in recipe.edges):
        return []
    kept = {row.recipe.key for row in _run_closure(recipe, engine)}
    return [
        row.recipe
        for row in reachable(recipe, engine)
        if row.recipe.key not in kept and row.recipe.asset_dir is not None
    ]


def _run_closure(recipe: Recipe, engine: Engine) -> list[Reachable]:
    run_edges: tuple[Edge, ...] = tuple(edge for edge in recipe.edges if edge.use is Use.RUN)
    bare = Recipe(key=recipe.key, spec=recipe.spec, edges=run_edges)
    return reachable(bare, engine)
