"""Recipes in the state after recipe_fetch, with and without a file."""

from pathlib import Path
from types import SimpleNamespace

from envy.declarations.definition import RecipeDefinition
from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.declarations.tables import NO_EXPORTS
from envy.errors import SourceLocation
from envy.events import EventBus
from envy.graph.recipe import LoadedRecipe, Recipe
from envy.host.platform import Platform
from envy.limits import LUA_STEPS
from envy.locking.lock import NO_LOCK
from envy.lua.open_states import OpenStates
from envy.lua.sandbox import ReadLog
from envy.phases.recipe_fetch import run_recipe_fetch_phase


def loaded_recipe(definition: RecipeDefinition, **more) -> LoadedRecipe:
    """Return the record of a recipe of data only; `more` sets other fields."""
    fields = {"exports": NO_EXPORTS, "provides": {}, "function_names": (), **more}
    return LoadedRecipe(
        path=definition.path,
        recipe_dir=definition.path.parent,
        digest="",
        text="",
        definition=definition,
        reads=ReadLog(),
        **fields,
    )


def load_recipe_file(folder, text, *, limit, environment=None):
    """Write and load the recipe local.tool@r1; return it and its engine.

    At most `limit` Lua states stay open.
    """
    path = folder / "local.tool@r1.lua"
    path.write_text(text)
    spec = RecipeSpec(
        identity="local.tool@r1",
        source=SourceItem(source=path.name, base_dir=folder),
        origin=SourceLocation(Path("envy.lua"), 1),
    )
    services = SimpleNamespace(
        events=EventBus(),
        platform=Platform(os="linux", arch="x86_64"),
        environment=environment if environment is not None else {},
        open_states=OpenStates(limit),
        lock=NO_LOCK,
        bundles=(),
        lua_steps=LUA_STEPS,
    )
    engine = SimpleNamespace(services=services, stopped=lambda: False, pause=lambda _: None)
    recipe = Recipe(key=spec.key, spec=spec)
    run_recipe_fetch_phase(recipe, engine)
    return recipe, engine
