"""Run the verbs of a recipe, which are scripts or functions."""

from __future__ import annotations

from pathlib import Path

from envy.execution.ctx import make_ctx
from envy.execution.own_paths import package_path
from envy.execution.phase_run import Elsewhere, PhaseRun, RunOptions
from envy.execution.recipe_lua import live_function
from envy.lua.sandbox import PhaseAccess
from envy.lua.values import LuaFunction, LuaValue


def run_verb(run: PhaseRun, verb: str) -> LuaValue:
    """Run the script or call the function that a recipe declares for a verb, such as `build`.

    Returns the value of the function; None for a script.
    """
    definition = run.recipe.loaded.definition
    declared = getattr(definition, verb)
    if isinstance(declared, str):
        run.run_script(declared, RunOptions(), _elsewhere(run, declared))
        return None
    if definition.remote:
        _elsewhere(run, "")
    return call_function(run, live_function(run.recipe, verb))


def _elsewhere(run: PhaseRun, script: str) -> Elsewhere | None:
    """Return what runs the script of a verb on a server; None, which is told, if it runs here."""
    if not run.recipe.loaded.definition.remote or run.engine.services.remote_scripts is None:
        return None
    from envy.execution.remote_phase import on_server

    return on_server(run, script)


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
