"""Verbs: a recipe's script is run, its function is called with ctx and options."""

from types import SimpleNamespace

import pytest
from loaded import load_recipe_file

from envy.cache.layout import CacheLayout
from envy.errors import InternalError, LuaScriptError
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.recipe_lua import release_lua_state
from envy.execution.verbs import run_verb
from envy.graph.recipe import Placement
from envy.phase import RecipePhase

RECIPE = """
identity = "local.tool@r1"
options = { size = { type = "integer", default = 3 } }
install = "true"
deploy = function(ctx, opts) %s end
"""


class ScriptRecorder:
    """What run_verb uses of a PhaseRun when a verb is a script."""

    def __init__(self, **verbs):
        definition = SimpleNamespace(remote=False, **verbs)
        self.recipe = SimpleNamespace(loaded=SimpleNamespace(definition=definition))
        self.scripts = []

    def run_script(self, script, options, elsewhere):
        assert elsewhere is None
        self.scripts.append((script, options))


def deploying(folder, body):
    """A recipe whose deploy function has this body, its engine, and a run of its deploy phase."""
    recipe, engine = load_recipe_file(folder, RECIPE % body, limit=1)
    entry = CacheLayout(folder / "cache").entry("local.tool@r1", "linux-x86_64", "0" * 64)
    recipe.placement = Placement(entry_key="0" * 64, entry=entry, asset_dir=entry.asset_dir)
    return recipe, engine, PhaseRun(recipe, engine, RecipePhase.DEPLOY, run_dir=folder)


def test_a_script_is_run():
    """A verb that is a string runs as a script with the default options, and returns nothing."""
    run = ScriptRecorder(build="make")
    assert run_verb(run, "build") is None
    assert run.scripts == [("make", RunOptions())]


def test_a_function_is_called_with_ctx_and_options(tmp_path):
    """A function gets the ctx of its phase and the effective options; its value is returned."""
    _, _, run = deploying(tmp_path, 'return ctx.identity .. " " .. opts.size')
    assert run_verb(run, "deploy") == "local.tool@r1 3"


def test_ctx_is_that_of_the_phase(tmp_path):
    """A function of ctx that the phase lacks is an error that names the phases with it."""
    _, _, run = deploying(tmp_path, 'ctx.copy("a", "b")')
    with pytest.raises(LuaScriptError, match=r"ctx\.copy is not available in deploy, but in "):
        run_verb(run, "deploy")


def test_a_function_of_a_closed_state_is_a_bug(tmp_path):
    """Calling a function after its Lua state was closed is an internal error."""
    recipe, engine, run = deploying(tmp_path, "return 1")
    release_lua_state(recipe, engine)
    with pytest.raises(InternalError, match="`deploy` was called while its Lua state was closed"):
        run_verb(run, "deploy")
