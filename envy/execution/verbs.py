"""A verb of a recipe, a script or a function, carried out in its phase."""

from __future__ import annotations

from envy.execution.ctx import make_ctx
from envy.execution.phase_run import RunOptions, Setting
from envy.execution.recipe_lua import live_function
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import LuaFunction, LuaValue


def carry_out(place: Setting, verb: str) -> LuaValue:
    """Run the script, or call the function, that a recipe has for `verb` (`build`, say).

    Returns what the function returned.
    """
    said = getattr(place.recipe.loaded.definition, verb)
    if isinstance(said, str):
        place.run_script(said, RunOptions())
        return None
    return call_verb(place, live_function(place.recipe, verb))


def call_verb(place: Setting, function: LuaFunction) -> LuaValue:
    """Call a recipe's function with `(ctx, opts)`, the ctx being that of its phase."""
    state = function.state
    access = PhaseAccess(
        run_dir=place.run_dir,
        environment=place.variables,
        recipe_dir=place.base_dir,
        may_read=place.may_read,
    )
    with state.phase(access):
        return state.call_with_ctx(function, make_ctx(place), place.options)
