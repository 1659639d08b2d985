"""User-managed packages: they change the machine, and their own `check` decides.

Checked before the lock, again under it, and once more after the install. The workspace is thrown
away, whatever happens.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator

from envy.cache.lock import FileLock
from envy.cache.write import discard
from envy.errors import DeclarationError, EnvyError, ScriptFailed
from envy.execution.entry_lock import acquire_entry, acquire_lock, release_lock
from envy.execution.log import log_key
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Outcome, Recipe
from envy.phase import RecipePhase


def is_user_managed(recipe: Recipe) -> bool:
    """Whether the recipe has a check of its own; decided when it was parsed."""
    return recipe.user_managed


def is_satisfied(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> bool:
    """Ask the recipe's `check`: a script that exits 0, or a function that says so.

    Raises:
        DeclarationError: the function returned something else.
    """
    definition = recipe.loaded.definition
    run_dir = engine.services.project_dir
    with PhaseRun(recipe, engine, RecipePhase.CHECK, run_dir=run_dir) as run:
        if phase is not RecipePhase.CHECK:
            run.log.say("debug", f"checking again, in {phase.label}")
        if isinstance(definition.check, str):
            return _script_succeeds(run, definition.check)
        answer = run_verb(run, "check")
        if isinstance(answer, bool):
            return answer
        if isinstance(answer, str):
            return _script_succeeds(run, answer)
        raise DeclarationError(
            f"`check` must return true, false, or a script, not {answer!r}",
            hint='for example return ctx.run("dpkg -s zlib1g-dev").exit_code == 0',
        )


def _script_succeeds(run: PhaseRun, script: str) -> bool:
    try:
        return run.run_script(script, RunOptions(check=False)).exit_code == 0
    except ScriptFailed as error:
        raise EnvyError(f"`check` could not be run: {error}") from error


def install_user_managed(recipe: Recipe, engine: PhaseServices) -> None:
    """Bring the machine to where the check holds, unless somebody else just did.

    Raises:
        EnvyError: the user does not want it, or the check does not hold after the install.
    """
    entry = recipe.placement.entry
    engine.services.terminal.consent(engine.unsatisfied)
    acquire_entry(recipe, engine)
    with _exclusive_lock(recipe, engine):
        if is_satisfied(recipe, engine, RecipePhase.INSTALL):
            discard(entry)
            recipe.work.satisfied = True
            recipe.work.outcome = Outcome.SATISFIED
            return
        discard(entry)  # what an install that was killed has left
        try:
            entry.tmp_dir.mkdir(parents=True, exist_ok=True)
            run_dir = engine.services.project_dir
            with PhaseRun(recipe, engine, RecipePhase.INSTALL, run_dir=run_dir) as run:
                run_verb(run, "install")
        finally:
            discard(entry)
        if not is_satisfied(recipe, engine, RecipePhase.INSTALL):
            raise DeclarationError(
                "install ended well, but check still says that it is not satisfied",
                hint="let check ask for just what install brings about",
            )
    recipe.work.satisfied = True
    recipe.work.outcome = Outcome.CHANGED


def clear_workspace(recipe: Recipe, engine: PhaseServices) -> None:
    """Remove what an install that was killed has left, though its package turned out to be there.

    Whoever has the lock is at work in it, and will remove it.
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
    """One at a time for each name of `exclusive`, across processes."""
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
