"""A closed Lua state of a recipe is opened again for a phase that calls its functions."""

import pytest
from loaded import load_recipe_file

from envy.errors import DeclarationError
from envy.execution.recipe_lua import (
    ensure_functions,
    live_function,
    needs_functions,
    release_lua_state,
)
from envy.phase import RecipePhase

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


def test_a_closed_state_is_opened_for_its_functions(tmp_path):
    """Beyond the limit, the state is closed after loading and opened for its phases."""
    recipe, engine = load_recipe_file(tmp_path, FUNCTIONS, limit=0)
    assert recipe.functions.state is None
    assert needs_functions(recipe, RecipePhase.INSTALL)
    ensure_functions(recipe, engine)
    install = live_function(recipe, "install")
    assert install.state.call(install, {}, dict(recipe.loaded.definition.options)) == 3
    assert engine.services.open_states.is_exceeded
    release_lua_state(recipe, engine)
    assert not engine.services.open_states.is_exceeded


def test_within_the_limit_nothing_is_loaded_twice(tmp_path):
    """A state that stayed open provides the functions."""
    recipe, engine = load_recipe_file(tmp_path, FUNCTIONS, limit=1)
    state = recipe.functions.state
    ensure_functions(recipe, engine)
    assert recipe.functions.state is state
    assert engine.services.open_states.reopened == 0


def test_a_cached_package_needs_no_functions(tmp_path):
    """A package in the cache calls no function except its deploy."""
    recipe, _engine = load_recipe_file(tmp_path, FUNCTIONS, limit=0)
    recipe.work.cached = True
    assert not any(needs_functions(recipe, phase) for phase in RecipePhase if phase != 6)


def test_the_file_must_define_the_same_again(tmp_path):
    """A function that is missing when the file is loaded again is an error that says so."""
    environment = {"FIRST": "yes"}
    recipe, engine = load_recipe_file(tmp_path, SOMETIMES, limit=0, environment=environment)
    environment.clear()
    with pytest.raises(DeclarationError) as caught:
        ensure_functions(recipe, engine)
    assert "`install` was a function when the recipe was loaded" in str(caught.value)
    assert caught.value.origin.line == 4
