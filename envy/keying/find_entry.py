"""Which entry of the cache a recipe has, and whether it is there: decided before any work of it."""

from __future__ import annotations

from collections.abc import Sequence

from envy.cache.entry_key import as_json, key_of_json
from envy.cache.read import lookup
from envy.execution.access import exports_within
from envy.execution.entry_lock import needs_deploy
from envy.execution.recipe_lua import drop_lua
from envy.execution.services import Engine
from envy.graph.recipe import Recipe
from envy.keying.ingredients import ingredients_of, key_of_user_managed


def find_entry(recipe: Recipe, engine: Engine, dependency_keys: Sequence[str]) -> None:
    """Give a recipe its entry key, and look its entry up; its dependencies have theirs.

    Raises:
        EnvyError: something that the key is made of cannot be had.
    """
    definition = recipe.definition
    services = engine.services
    assert definition is not None
    recipe.exports_within = exports_within(recipe, engine)
    if definition.user_managed:
        recipe.entry_key = key_of_user_managed(recipe)
    else:
        ingredients = ingredients_of(
            recipe, engine, shell=engine.shell_for(recipe), dependency_keys=dependency_keys
        )
        recipe.ingredients = as_json(ingredients)
        recipe.entry_key = key_of_json(recipe.ingredients)
    recipe.entry = services.layout.entry(
        recipe.key.identity, services.platform.tag, recipe.entry_key
    )
    if not definition.user_managed:
        recipe.cached = lookup(recipe.entry, recipe.entry_key, explain=False).hit
        recipe.undeployed = recipe.cached and needs_deploy(recipe)
        recipe.asset_dir = recipe.entry.asset_dir
        if recipe.cached and definition.deploy is None:
            drop_lua(recipe, engine)  # loaded again, should the entry go before its turn comes
