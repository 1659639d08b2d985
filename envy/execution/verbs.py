"""Run the verbs of a recipe, which are scripts or functions."""

from __future__ import annotations

from pathlib import Path

from envy.execution.ctx import make_ctx
from envy.execution.own_paths import package_path
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.recipe_lua import live_function
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import LuaFunction, LuaValue


def run_verb(run: PhaseRun, verb: str) -> LuaValue:
    """Run the script or call the function that a recipe declares for a verb, such as `build`.

    Returns the value of the function; None for a script.
    """
    declared = getattr(run.recipe.loaded.definition, verb)
    if isinstance(declared, str):
        run.run_script(declared, RunOptions())
        return None
    return call_function(run, live_function(run.recipe, verb))


def call_function(run: PhaseRun, function: LuaFunction) -> LuaValue:
    """Call a recipe's function with `(ctx, opts)`, where ctx is that of the phase."""
    state = function.state
    access = PhaseAccess(
        run_dir=run.run_dir,
        environment=run.variables,
        recipe_dir=run.guarded_dir,
        may_read=run.may_read,
        on_read=lambda path: _check(run, path, reading=True),
        on_write=lambda path: _check(run, path, reading=False),
        on_clock=run.note_clock,
    )
    with state.phase(access):
        return state.call_with_ctx(function, make_ctx(run), run.options)


def _check(run: PhaseRun, path: str, *, reading: bool) -> None:
    """Raise if Lua's own functions would go through a fetched link that leads outside."""
    package_path(run, Path(path), follow=True, reading=reading)
