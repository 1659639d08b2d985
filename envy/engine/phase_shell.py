"""An interactive shell in the place of one phase of one package, for `envy shell`.

Guarantees
  The shell runs as the phase's script would: in its folder, with its variables, with everything
  complete that the phase waits for, and under the lock of the entry.
  In a kept attempt no phase runs again, and nothing is removed. A fresh attempt is made as a sync
  makes it, up to the phase. Neither is published.
"""

from __future__ import annotations

import functools
import shlex
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from envy.cache.failure import entered_phase, last_failure, note_entered
from envy.cache.filesystem import explained
from envy.cache.names import ATTEMPT
from envy.cache.read import lookup
from envy.declarations.key import RecipeKey
from envy.declarations.locations import location_in_file
from envy.errors import EnvyError, GraphError
from envy.execution.entry_lock import acquire_entry
from envy.execution.phase_run import PhaseRun, RunOptions
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase
from envy.phases.stage import stage_destination
from envy.phases.table import STEPS, Steps

# The phases that have a folder in the entry; those first that are most often looked into.
SHELL_PHASES = (RecipePhase.BUILD, RecipePhase.INSTALL, RecipePhase.STAGE)
# Start-up files of the user would change the variables of the phase.
_PLAIN = {
    "bash": ("--norc", "--noprofile", "-i"),
    "zsh": ("-f", "-i"),
    "fish": ("--no-config", "-i"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShellPlace:
    """The package and the phase; `kept`: in the attempt that ended in this phase."""

    key: RecipeKey
    phase: RecipePhase
    kept: bool


class PhaseShell:
    """Takes the place of a phase once `place` is set; all other recipes have their usual phases."""

    def __init__(self) -> None:
        self.place: ShellPlace | None = None
        self.argv: tuple[str, ...] = ()
        self.opened = False

    def steps(self) -> Steps:
        """Return the steps of an engine in which the shell can be opened."""
        phases = {
            phase: functools.partial(self._run, RecipePhase(phase), usual)
            for phase, usual in STEPS.phases.items()
        }
        return replace(STEPS, phases=phases)

    def _run(
        self,
        phase: RecipePhase,
        usual: Callable[[Recipe, PhaseServices], None],
        recipe: Recipe,
        engine: PhaseServices,
    ) -> None:
        place = self.place
        if place is None or recipe.key != place.key:
            usual(recipe, engine)
        elif phase == place.phase:
            if place.kept:
                _take_kept(recipe, engine)
            self.opened = True
            _open(recipe, engine, phase, self.argv)
        elif not place.kept:
            usual(recipe, engine)


def find_place(recipe: Recipe, asked: RecipePhase | None, *, fresh: bool) -> ShellPlace:
    """Return where a shell for a package opens: where its attempt ended, unless told otherwise.

    Raises:
        GraphError: the package is installed, is user-managed, or has no such phase.
    """
    if recipe.user_managed:
        raise GraphError(
            f"{recipe.key} is user-managed: its scripts run on this machine as they are, in no "
            "folder of the cache",
            hint="run the commands of its `install` yourself",
        )
    if recipe.work.cached:
        raise GraphError(
            f"{recipe.key} is installed, so no attempt at it is left, and a new one would replace "
            "it for every project",
            hint=f"remove it first: envy cache rm {shlex.quote(str(recipe.key))}",
        )
    definition = recipe.loaded.definition
    declared = [one for one in SHELL_PHASES if _is_code(getattr(definition, one.label))]
    ended = None if fresh else _kept_phase(recipe)
    phase = asked or (ended if ended in declared else next(iter(declared), None))
    if phase is None or phase not in declared:
        what = f"no `{phase.label}`" if phase else "no `stage`, `build` or `install`"
        others = ", ".join(one.label for one in sorted(declared))
        raise GraphError(
            f"{recipe.key} has {what} that is a script or a function",
            hint=f"its phases with one are: {others}"
            if others
            else "there is nothing to look into",
        )
    return ShellPlace(key=recipe.key, phase=phase, kept=ended == phase)


def _is_code(declared: object) -> bool:
    return isinstance(declared, str | LuaFunction)


def _kept_phase(recipe: Recipe) -> RecipePhase | None:
    """Return the phase in which the last attempt failed or was left, if that attempt is kept."""
    entry = recipe.placement.entry
    label = entered_phase(entry) or last_failure(entry).partition(" failed: ")[0]
    return next((one for one in SHELL_PHASES if one.label == label), None)


def interactive_shell(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the command of the user's shell, or else of bash or sh, without start-up files.

    Raises:
        EnvyError: none of them exists.
    """
    for name in filter(None, (environment.get("SHELL"), "bash", "sh")):
        found = shutil.which(name, path=environment.get("PATH", ""))
        if found:
            return (found, *_PLAIN.get(Path(found).name, ("-i",)))
    raise EnvyError(
        "no shell was found: SHELL does not name one, and neither bash nor sh is on PATH",
        hint="set SHELL to the path of a shell",
    )


def _take_kept(recipe: Recipe, engine: PhaseServices) -> None:
    """Lock the entry, and check that the attempt is still there."""
    acquire_entry(recipe, engine)
    entry = recipe.placement.entry
    if lookup(entry, recipe.entry_key, explain=False).hit or _kept_phase(recipe) is None:
        raise EnvyError(
            "the last attempt is gone: another command has worked on the package since",
            hint="run envy shell again",
        )
    if not Path(entry.at(ATTEMPT)).exists():
        raise EnvyError("the last attempt is not complete", hint="begin a new one: add --fresh")
    entry.tmp_dir.mkdir(exist_ok=True)


def _open(recipe: Recipe, engine: PhaseServices, phase: RecipePhase, argv: tuple[str, ...]) -> None:
    entry = recipe.placement.entry
    folder = {
        RecipePhase.STAGE: stage_destination(recipe),
        RecipePhase.BUILD: entry.stage_dir,
        RecipePhase.INSTALL: recipe.placement.asset_dir,
    }[phase]
    note_entered(entry, phase.label)
    with PhaseRun(recipe, engine, phase, run_dir=folder) as run:
        run.log.say("info", f"a shell in the place of {phase.label}; leaving it publishes nothing")
        run.log.say("info", f"folder: {folder}")
        run.log.say("info", _written_script(recipe, engine, phase))
        run.run_program(argv, RunOptions(interactive=True, check=False))


def _written_script(recipe: Recipe, engine: PhaseServices, phase: RecipePhase) -> str:
    """Write the phase's script beside its folders; return what to tell about it."""
    definition = recipe.loaded.definition
    declared = getattr(definition, phase.label)
    if not isinstance(declared, str):
        where = location_in_file(definition.path, phase.label)
        return f"script: none, {phase.label} is a function: {where}"
    shell = engine.shell_for(recipe)
    path = recipe.placement.entry.work_dir / f"{phase.label}{shell.extension}"
    try:
        path.unlink(missing_ok=True)
        with path.open("xb") as file:
            file.write((shell.prologue + declared).encode("utf-8", "surrogateescape"))
    except OSError as error:
        raise explained(error, doing="write the script of the phase", path=str(path)) from error
    return f"script: {shlex.join([*shell.file, str(path)])}"
