"""The steps of a graph that is resolved to be locked, for a platform that is not this machine.

Nothing is built there, so no package has an entry, and no tool is ever installed. What a custom
source fetches was fetched on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

from envy.execution.services import PhaseServices
from envy.graph.recipe import Placement, Recipe

_NO_KEY = "0" * 64


def place_without_entry(recipe: Recipe, engine: PhaseServices, _needed: Sequence[str]) -> None:
    """Give a recipe a placement that no package of the cache has."""
    services = engine.services
    entry = services.layout.entry(recipe.key.identity, services.platform.tag, _NO_KEY)
    recipe.placement = Placement(entry_key=_NO_KEY, entry=entry, asset_dir=entry.asset_dir)


def is_source_known(recipe: Recipe, engine: PhaseServices) -> bool:
    """Return whether a custom source's recipe was fetched on this machine."""
    return recipe.key.canonical in engine.services.custom_recipes
