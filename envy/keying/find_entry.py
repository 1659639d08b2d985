"""Compute the entry key of a recipe and look its entry up, before any phase works on it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from envy.cache.entry_key import key_of_json
from envy.cache.padding import padded_entry
from envy.cache.read import lookup
from envy.errors import Cancelled
from envy.execution.access import exports_within
from envy.execution.entry_lock import needs_deploy
from envy.execution.recipe_lua import release_lua_state
from envy.execution.secrets import secrets_in_key
from envy.execution.services import PhaseServices
from envy.graph.recipe import Placement, Recipe
from envy.keying.declared_sources import declared_sources
from envy.keying.ingredients import ingredients_of, key_text, pinned_source, user_managed_key
from envy.keying.inputs import input_digests, inputs_of
from envy.locking.releases import locked_pin


class SourcesFailed(Exception):
    """The sources of a recipe cannot be resolved, because of `cause`: its fetch fails early."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


@contextlib.contextmanager
def _about_sources() -> Iterator[None]:
    try:
        yield
    except Cancelled:
        raise
    except Exception as error:
        raise SourcesFailed(error) from error


def find_entry(recipe: Recipe, engine: PhaseServices, dependency_keys: Sequence[str]) -> None:
    """Compute a recipe's entry key from those of its dependencies, and look its entry up.

    Raises:
        SourcesFailed: what `fetch` declares cannot be resolved.
        EnvyError: another ingredient of the key cannot be read or resolved.
    """
    if recipe.loaded.definition.user_managed:
        recipe.placement = _user_managed_placement(recipe, engine)
        return
    recipe.placement = _cache_managed_placement(recipe, engine, dependency_keys)
    look_up(recipe, engine)


def look_up(recipe: Recipe, engine: PhaseServices) -> None:
    """Look the entry of a recipe up, whose key is known.

    Raises:
        CacheError: the entry cannot be read.
    """
    placement = recipe.placement
    found = lookup(placement.entry, placement.entry_key, explain=False)
    recipe.work.cached = found.hit
    if found.spelling:
        engine.services.spellings.add(found.spelling)
    recipe.work.undeployed = recipe.work.cached and needs_deploy(recipe)
    if recipe.work.cached and recipe.loaded.definition.deploy is None:
        # Opened again if the entry is removed before the recipe runs.
        release_lua_state(recipe, engine)


def _user_managed_placement(recipe: Recipe, engine: PhaseServices) -> Placement:
    """Return the placement of a user-managed recipe: a workspace for its install."""
    services = engine.services
    key = user_managed_key(recipe, services)
    entry = services.layout.entry(recipe.key.identity, services.platform.tag, key)
    return Placement(
        entry_key=key,
        entry=entry,
        asset_dir=entry.asset_dir,
        exports_within=exports_within(recipe, engine),
    )


def _cache_managed_placement(
    recipe: Recipe, engine: PhaseServices, dependency_keys: Sequence[str]
) -> Placement:
    services = engine.services
    inputs = inputs_of(recipe)
    with _about_sources():
        sources = declared_sources(recipe, engine)
        pinned = tuple(pinned_source(item, recipe, engine) for item in sources or ())
        pinned += locked_pin(services.lock, recipe.key, recipe.loaded.definition.requirements)
    found = ingredients_of(
        recipe,
        engine,
        inputs=input_digests(recipe, inputs),
        sources=pinned,
        shell=engine.shell_for(recipe),
        dependency_keys=dependency_keys,
    )
    ingredients = key_text(found, secrets_in_key(recipe, services))
    key = key_of_json(ingredients)
    entry = services.layout.entry(recipe.key.identity, services.platform.tag, key)
    return Placement(
        entry_key=key,
        entry=entry,
        ingredients=ingredients,
        sources=sources,
        inputs=inputs,
        exports_within=exports_within(recipe, engine),
        asset_dir=entry.asset_dir,
        padded=padded_entry(entry) if recipe.loaded.definition.padded else None,
    )
