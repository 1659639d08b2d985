"""A verb of a recipe, a script or a function, carried out in its phase."""

from __future__ import annotations

from envy.execution.ctx import make_ctx
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.recipe_lua import live_function
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import LuaFunction, LuaValue


def run_verb(run: PhaseRun, verb: str) -> LuaValue:
    """Run the script, or call the function, that a recipe has for `verb` (`build`, say).

    Returns what the function returned.
    """
    declared = getattr(run.recipe.loaded.definition, verb)
    if isinstance(declared, str):
        run.run_script(declared, RunOptions())
        return None
    return call_function(run, live_function(run.recipe, verb))


def call_function(run: PhaseRun, function: LuaFunction) -> LuaValue:
    """Call a recipe's function with `(ctx, opts)`, the ctx being that of its phase."""
    state = function.state
    access = PhaseAccess(
        run_dir=run.run_dir,
        environment=run.variables,
        recipe_dir=run.base_dir,
        may_read=run.may_read,
    )
    with state.phase(access):
        return state.call_with_ctx(function, make_ctx(run), run.options)
