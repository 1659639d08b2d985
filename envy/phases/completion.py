"""completion: set the outcome and the products, which dependents and the user rely on."""

from __future__ import annotations

from envy.cache.shims import restore_shims
from envy.declarations.locations import location_of_function
from envy.declarations.products import parse_products
from envy.execution.phase_run import PhaseRun
from envy.execution.products import product_paths, shims_of
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Outcome, Recipe
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def run_completion_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Set the outcome and the products of the recipe."""
    definition = recipe.loaded.definition
    restore_shims_of(recipe, engine)
    recipe.work.products = products_of(recipe, engine)
    if recipe.work.outcome is None:
        recipe.work.outcome = _outcome_without_work(recipe)
    events = RecipeEvents(recipe, engine.services.events)
    asset_dir = None if definition.user_managed else recipe.placement.asset_dir
    events.complete(recipe.work.outcome.value, asset_dir)


def _outcome_without_work(recipe: Recipe) -> Outcome:
    if recipe.user_managed:
        return Outcome.SATISFIED
    return Outcome.TAKEN if recipe.work.taken else Outcome.CACHED


def restore_shims_of(recipe: Recipe, engine: PhaseServices) -> None:
    """Write the shims of a package that was published without them, or under another root."""
    if not recipe.user_managed and recipe.work.outcome is not Outcome.INSTALLED:
        restore_shims(recipe.placement.entry, shims_of(recipe, engine))


def products_of(recipe: Recipe, engine: PhaseServices) -> dict[str, str]:
    """Return the products by name: absolute paths; for a user-managed recipe, unchanged values."""
    definition = recipe.loaded.definition
    if not definition.user_managed:
        return product_paths(recipe)
    if not isinstance(definition.products, LuaFunction):
        return {name: product.path for name, product in definition.products.items()}
    run_dir = engine.services.project_dir
    with PhaseRun(recipe, engine, RecipePhase.COMPLETION, run_dir=run_dir) as run:
        answer = run_verb(run, "products")
    products = parse_products(
        answer,
        platform=engine.services.platform,
        user_managed=True,
        origin=location_of_function(definition.products),
    )
    return {name: product.path for name, product in products.items()}
