"""User-managed packages: they change the machine, and their own `check` decides.

The check runs before the lock, again under the lock, and once more after the install. The workspace
is always removed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from envy.answers.machine_programs import SHELL, VERDICT
from envy.cache.lock import FileLock
from envy.cache.write import discard
from envy.declarations import fields
from envy.errors import DeclarationError, EnvyError, ScriptFailed
from envy.execution.entry_lock import acquire_entry, acquire_lock, release_lock
from envy.execution.log import log_key, report
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Outcome, Recipe
from envy.host.shell import BASH, Shell
from envy.phase import RecipePhase

_QUESTION = Shell(name=BASH.name, inline=SHELL, epilogue=VERDICT)


def is_satisfied(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> bool:
    """Run the recipe's `check`, and return whether its script exits 0 or its function agrees.

    Raises:
        DeclarationError: the function returned neither a boolean nor a script.
    """
    return _check(recipe, engine, phase)[0]


def _check(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> tuple[bool, str]:
    """Return whether the check holds, and the end of the output of its last command."""
    definition = recipe.loaded.definition
    run_dir = engine.services.project_dir
    with PhaseRun(recipe, engine, RecipePhase.CHECK, run_dir=run_dir) as run:
        if phase is not RecipePhase.CHECK:
            run.log.say("debug", f"checking again, in {phase.label}")
        if isinstance(definition.check, str):
            return _script_succeeds(run, definition.check), run.log.recent_output()
        answer = run_verb(run, "check")
        if isinstance(answer, bool):
            return answer, run.log.recent_output()
        if isinstance(answer, str):
            return _script_succeeds(run, answer), run.log.recent_output()
        raise DeclarationError(
            f"`check` must return true, false, or a script, not {fields.describe_returned(answer)}",
            hint='for example return ctx.run("dpkg -s zlib1g-dev").exit_code == 0',
        )


def _script_succeeds(run: PhaseRun, script: str) -> bool:
    # A longer one is a program, which bash runs as its author wrote it.
    asks = "\n" not in script.strip() and run.engine.shell_for(run.recipe) == BASH
    shell = _QUESTION if asks else None
    try:
        return run.run_script(script, RunOptions(check=False, shell=shell)).exit_code == 0
    except ScriptFailed as error:
        raise EnvyError(f"`check` could not be run: {error}") from error


def install_user_managed(recipe: Recipe, engine: PhaseServices) -> None:
    """Install a package on the machine, unless its check succeeds in the meantime.

    Raises:
        EnvyError: the user refused, or the check fails after the install and another package
            needs this one.
    """
    entry = recipe.placement.entry
    asked = time.monotonic()
    engine.services.terminal.consent(engine.unsatisfied)
    recipe.work.away += time.monotonic() - asked
    acquire_entry(recipe, engine)
    with _exclusive_lock(recipe, engine):
        if is_satisfied(recipe, engine, RecipePhase.INSTALL):
            discard(entry)
            recipe.work.satisfied = True
            recipe.work.outcome = Outcome.SATISFIED
            return
        discard(entry)  # left by an install that was killed
        try:
            entry.tmp_dir.mkdir(parents=True, exist_ok=True)
            run_dir = engine.services.project_dir
            with PhaseRun(recipe, engine, RecipePhase.INSTALL, run_dir=run_dir) as run:
                run_verb(run, "install")
        finally:
            discard(entry)
        holds, output = _check(recipe, engine, RecipePhase.INSTALL)
    recipe.work.outcome = Outcome.CHANGED
    if not holds:
        _report_unconfirmed(recipe, engine, output)
        recipe.work.outcome = Outcome.UNCONFIRMED
    recipe.work.satisfied = True


def _report_unconfirmed(recipe: Recipe, engine: PhaseServices, output: str) -> None:
    """Warn that the check does not hold after the install; raise if another package needs it.

    That package would be built without it, and be kept.
    """
    problem = "install succeeded, but check still reports that the package is not satisfied"
    quoted = "".join(f"\n  | {line}" for line in output.splitlines())
    waiting = engine.awaited_by(recipe)
    if waiting and recipe.loaded.definition.recheck:
        more = f" and {len(waiting) - 1} more" if len(waiting) > 1 else ""
        raise DeclarationError(
            f"{problem}, and {waiting[0]}{more} needs it{quoted}",
            hint="make check test exactly what install does, or write recheck = false: then it is "
            "only a warning",
        )
    report(
        recipe,
        engine.services,
        "warn",
        f"{problem}: it is unconfirmed, and the next sync installs it again{quoted}",
    )


def clear_workspace(recipe: Recipe, engine: PhaseServices) -> None:
    """Remove what a killed install has left behind for a package that is satisfied now.

    A workspace whose lock is taken is in use, and its owner will remove it.
    """
    entry = recipe.placement.entry
    if not os.path.lexists(entry.location):
        return
    lock = FileLock(engine.services.layout.lock_path(recipe.key.identity, log_key(recipe)))
    if lock.try_acquire():
        try:
            discard(entry)
        finally:
            lock.release()


@contextlib.contextmanager
def _exclusive_lock(recipe: Recipe, engine: PhaseServices) -> Iterator[None]:
    """Hold the lock of the recipe's `exclusive` name, across processes."""
    definition = recipe.loaded.definition
    if not definition.exclusive:
        yield
        return
    path = engine.services.layout.exclusive_lock_path(definition.exclusive)
    lock = acquire_lock(recipe, engine, path)
    since = time.monotonic()
    try:
        yield
    finally:
        release_lock(recipe, engine, lock, since)
