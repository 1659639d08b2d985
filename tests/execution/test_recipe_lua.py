"""A recipe whose Lua state was closed gets its functions back in a phase that needs them."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.errors import DeclarationError, SourceLocation
from envy.events import EventBus
from envy.execution.recipe_lua import (
    ensure_functions,
    live_function,
    needs_functions,
    release_lua_state,
)
from envy.graph.recipe import Recipe
from envy.host.platform import Platform
from envy.lua.open_states import OpenStates
from envy.phase import RecipePhase
from envy.phases.recipe_fetch import run_recipe_fetch_phase

FUNCTIONS = """
identity = "local.tool@r1"
options = { size = { type = "integer", default = 3 } }
install = function(ctx, opts) return opts.size end
"""
SOMETIMES = """
identity = "local.tool@r1"
build = "true"
install = os.getenv("FIRST") and function() end or "true"
"""


def loaded(folder, text, *, limit, environment=None):
    """A recipe after its recipe_fetch, and the engine that it is of."""
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
    )
    engine = SimpleNamespace(services=services, stopped=lambda: False)
    recipe = Recipe(key=spec.key, spec=spec)
    run_recipe_fetch_phase(recipe, engine)
    return recipe, engine


def test_a_function_is_had_again(tmp_path):
    """Beyond the limit, the state is closed after loading and opened for its phases."""
    recipe, engine = loaded(tmp_path, FUNCTIONS, limit=0)
    assert recipe.functions.state is None
    assert needs_functions(recipe, RecipePhase.INSTALL)
    ensure_functions(recipe, engine)
    install = live_function(recipe, "install")
    assert install.state.call(install, {}, dict(recipe.loaded.definition.options)) == 3
    assert engine.services.open_states.is_exceeded
    release_lua_state(recipe, engine)
    assert not engine.services.open_states.is_exceeded


def test_within_the_limit_nothing_is_loaded_twice(tmp_path):
    """A state that could stay open is the one whose functions are called."""
    recipe, engine = loaded(tmp_path, FUNCTIONS, limit=1)
    state = recipe.functions.state
    ensure_functions(recipe, engine)
    assert recipe.functions.state is state
    assert engine.services.open_states.reopened == 0


def test_a_cached_package_needs_no_functions(tmp_path):
    """What is in the cache calls nothing but its deploy."""
    recipe, _engine = loaded(tmp_path, FUNCTIONS, limit=0)
    recipe.work.cached = True
    assert not any(needs_functions(recipe, phase) for phase in RecipePhase if phase != 6)


def test_the_file_must_define_the_same_again(tmp_path):
    """A function that is missing when the file is loaded again is an error that says so."""
    environment = {"FIRST": "yes"}
    recipe, engine = loaded(tmp_path, SOMETIMES, limit=0, environment=environment)
    environment.clear()
    with pytest.raises(DeclarationError) as caught:
        ensure_functions(recipe, engine)
    assert "`install` was a function when the recipe was loaded" in str(caught.value)
    assert caught.value.origin.line == 4
