"""A script of a recipe with `remote = true` on a server, in the place of this machine.

The folders of the entry are replaced by what the script has left in them, all at once, when
everything has arrived and was checked; otherwise they are as before, and the script runs here.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping

from envy.cache.filesystem import REAL, explained
from envy.cache.origin import Origin, write_origin
from envy.errors import Cancelled
from envy.execution.phase_run import Elsewhere, PhaseRun
from envy.execution.recipe_events import RecipeEvents
from envy.execution.remote_action import (
    BEGAN,
    FAILED_LINE,
    RunsHere,
    ScriptAction,
    needed_by,
    new_folders,
    script_action,
    script_file,
)
from envy.graph.remote_verbs import REMOTE_PHASES, why_here
from envy.host.process import Completed, OnOutput
from envy.host.shell import Shell
from envy.masking import masked
from envy.sharing.actions import Executed, NotExecuted, RemoteAction
from envy.sharing.remote_scripts import RemoteScripts, ScriptExecutor

_SIGNALS = range(129, 193)


def on_server(run: PhaseRun, script: str) -> Elsewhere | None:
    """Return what runs the script of a verb on the server of the command.

    Returns None, and says why, if the verb is a function or runs here for another reason.
    """
    remote = run.engine.services.remote_scripts
    if remote is None or not remote.is_used or run.phase not in REMOTE_PHASES:
        return None
    reason = _why_here(run)
    if reason:
        _keep_here(run, reason)
        return None

    hint = f"it ran on {remote.shown}, with what comes from `dependencies` and `host` only"
    return Elsewhere(_RemoteRun(run, script, remote).complete, hint)


def _why_here(run: PhaseRun) -> str:
    services = run.engine.services
    return why_here(
        run.recipe,
        run.phase,
        needed_by(run.recipe, run.engine, run.phase),
        system=services.platform.os,
        root=str(services.layout.root),
    )


def _keep_here(run: PhaseRun, reason: str) -> None:
    if reason:
        events = RecipeEvents(run.recipe, run.engine.services.events)
        events.script_kept_here(run.phase, reason)
        run.log.say("info", f"{run.phase.label} runs here: {reason}")


class _RemoteRun:
    """One script on its way to the server and back."""

    def __init__(self, run: PhaseRun, script: str, remote: RemoteScripts) -> None:
        self._run = run
        self._script = script
        self._remote = remote
        self._answer: Executed | str = ""
        self._seconds = 0.0

    def complete(self, on_output: OnOutput) -> Completed | None:
        """Run the script on the server; return None if it has to run here.

        Raises:
            Cancelled: the run is ending; CacheError: the entry cannot be written.
        """
        run = self._run
        shell = run.engine.shell_for(run.recipe)
        try:
            return self._complete(on_output, shell)
        finally:  # the next phase sends all that is there
            with contextlib.suppress(OSError):
                REAL.remove(script_file(run.recipe.placement.entry, shell))

    def _complete(self, on_output: OnOutput, shell: Shell) -> Completed | None:
        run, shown = self._run, self._remote.shown
        recipe, engine = run.recipe, run.engine
        try:
            made = script_action(run, self._script, shell)
        except RunsHere as error:
            _keep_here(run, str(error))
            return None
        waits_for = f"{shown}, which runs {run.phase.label}"
        engine.wait_without_slot(recipe, waits_for, lambda: self._execute(made.action))
        answer = self._answer
        if isinstance(answer, str):
            _keep_here(run, answer)
            return None
        recipe.work.away -= self._seconds  # it was work, although not of this machine
        for stream, data in (("stdout", answer.stdout), ("stderr", answer.stderr)):
            if data:
                on_output(stream, data)
        run.log.end_of_output()
        run.log.say("debug", f"{run.phase.label} ran on {shown}")
        events = RecipeEvents(recipe, engine.services.events)
        code, is_cached = answer.exit_code, answer.is_cached
        events.script_executed(run.phase, shown, code, self._seconds, cached=is_cached)
        return _completed(answer, made)

    def _execute(self, action: RemoteAction) -> None:
        """Execute the action, and put what a success has left in place; without a slot."""
        entry, folders = self._run.recipe.placement.entry, new_folders(action)
        started = time.monotonic()
        try:
            self._answer = self._remote.run(action, self._take, self._check)
            if isinstance(self._answer, Executed) and self._answer.exit_code == 0:
                write_origin(entry, Origin(self._remote.shown))
                for name, new in folders.items():
                    REAL.remove_tree(entry.at(name))
                    REAL.rename(new, entry.at(name))
        except OSError as error:
            doing = "take the result of a script"
            raise explained(error, doing=doing, path=entry.location) from error
        finally:
            with contextlib.suppress(OSError):  # they are removed with the entry's other work
                _remove(folders)
        self._seconds = time.monotonic() - started

    def _take(self, action: RemoteAction, executed: Executed, executor: ScriptExecutor) -> None:
        """Bring what a script has left, unless it has failed.

        Raises:
            NotExecuted: it did not begin, or did not end by itself, or its result is not used.
        """
        if BEGAN not in executed.outputs:
            told = executed.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
            why = f" ({masked(told)[:200]})" if told else ""
            raise NotExecuted(f"{executor.shown} {_DID_NOT_BEGIN}{why}", uri=executor.shown)
        if executed.timed_out:
            text = f"{executor.shown} ended a script at its own time limit"
            raise NotExecuted(text, uri=executor.shown)
        if executed.exit_code == 0:
            folders = new_folders(action)
            _remove(folders)
            executor.bring(action, executed, folders, self._check)

    def _check(self) -> None:
        if self._run.engine.stopped():
            raise Cancelled("stopped, because the run is ending")


_DID_NOT_BEGIN = (
    "did not start the script: it does not make the input root the root of all paths, or has no "
    "shell there"
)


def _completed(executed: Executed, made: ScriptAction) -> Completed:
    code = executed.exit_code
    line = None
    if FAILED_LINE in executed.outputs:
        line = made.recorder.line_in(executed.outputs[FAILED_LINE], code)
    return Completed(
        exit_code=code,
        signal=code - 128 if code in _SIGNALS else None,
        failed_line=line,
    )


def _remove(folders: Mapping[str, str]) -> None:
    for new in folders.values():
        REAL.remove_tree(new)
