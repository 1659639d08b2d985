"""A verb of a recipe, a script or a function, carried out in its phase."""

from __future__ import annotations

from envy.execution.ctx import make_ctx
from envy.execution.phase_run import RunOptions, Setting
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import LuaFunction, LuaValue


def carry_out(place: Setting, verb: str | LuaFunction, *, check: bool = True) -> LuaValue:
    """Run a script, or call a function with `(ctx, opts)`; returns what the function returned."""
    if isinstance(verb, str):
        place.run_script(verb, RunOptions(check=check))
        return None
    return call_verb(place, verb)


def call_verb(place: Setting, function: LuaFunction) -> LuaValue:
    """Call a recipe's function with the ctx of its phase."""
    state = function.state
    access = PhaseAccess(
        run_dir=place.run_dir,
        environment=place.variables,
        recipe_dir=place.base_dir,
        may_read=place.may_read,
    )
    with state.phase(access):
        return state.call_with_ctx(function, make_ctx(place), place.options)
