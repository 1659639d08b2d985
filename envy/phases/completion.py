"""completion: what dependents and the user may now rely on."""

from __future__ import annotations

from envy import events as ev
from envy.declarations.locations import location_of_function
from envy.declarations.tables import parse_products
from envy.execution.phase_run import setting
from envy.execution.services import Engine
from envy.execution.verbs import call_verb
from envy.graph.recipe import Outcome, Recipe
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def run_completion_phase(recipe: Recipe, engine: Engine) -> None:
    """Fix the outcome and the products."""
    definition = recipe.definition
    assert definition is not None
    recipe.products = products_of(recipe, engine)
    if recipe.outcome is None:
        recipe.outcome = Outcome.SATISFIED if definition.user_managed else Outcome.CACHED
    if engine.services.events.listening:
        engine.services.events.emit(
            ev.RecipeComplete(
                recipe=recipe.key.identity,
                key=recipe.key.canonical,
                outcome=recipe.outcome.value,
                asset_path=str(recipe.asset_dir or ""),
            )
        )


def products_of(recipe: Recipe, engine: Engine) -> dict[str, str]:
    """The products by name: absolute paths in the asset; of a user-managed one, as they are."""
    definition = recipe.definition
    assert definition is not None
    if not definition.user_managed:
        asset = recipe.asset_dir
        assert asset is not None
        return {name: str(asset / path) for name, path in recipe.provides.items()}
    if not isinstance(definition.products, LuaFunction):
        return dict(definition.products)
    run_dir = engine.services.project_dir
    with setting(recipe, engine, RecipePhase.COMPLETION, run_dir=run_dir) as place:
        answer = call_verb(place, definition.products)
    return dict(
        parse_products(
            answer,
            platform=engine.services.platform,
            user_managed=True,
            origin=location_of_function(definition.products),
        )
    )
