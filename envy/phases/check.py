"""check: find out whether a recipe needs work.

A cache-managed recipe is looked up in the cache; a missing entry is locked and an attempt at it
begins. The `check` of a user-managed recipe runs before any lock.
"""

from __future__ import annotations

from envy.cache.read import lookup
from envy.execution.entry_lock import begin_work
from envy.execution.products import check_found_products
from envy.execution.recipe_events import RecipeEvents
from envy.execution.recipe_lua import ensure_functions
from envy.execution.services import PhaseServices
from envy.execution.user_managed import clear_workspace, is_satisfied
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase


def run_check_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Find out whether the recipe is satisfied, and begin its work if it is not."""
    if recipe.loaded.definition.user_managed:
        recipe.work.satisfied = is_satisfied(recipe, engine, RecipePhase.CHECK)
        if recipe.work.satisfied:
            clear_workspace(recipe, engine)
        else:
            engine.require_build_dependencies(recipe)
        return
    events = RecipeEvents(recipe, engine.services.events)
    if recipe.work.cached:
        if lookup(recipe.placement.entry, recipe.entry_key).hit:
            check_found_products(recipe)
            events.cache_hit(recipe.placement, fast_path=True)
            return
        # The entry existed when the graph was resolved, and was removed since.
        ensure_functions(recipe, engine)
        engine.require_build_dependencies(recipe)
    # Otherwise the entry was missing a moment ago, and is looked up again under its lock.
    reason = begin_work(recipe, engine)
    if recipe.work.cached:
        check_found_products(recipe)
        events.cache_hit(recipe.placement, fast_path=False)
    else:
        events.cache_miss(recipe.placement, reason)
