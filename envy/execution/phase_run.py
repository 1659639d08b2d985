"""The context of one running phase of one recipe: its folder, log, environment and shell.

A PhaseRun serves one phase. It runs scripts and programs for the phase and for `ctx`, so that both
use the same log, events, environment and process registry.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from envy.cache.padding import padded_path
from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, ScriptFailed
from envy.execution.access import may_read
from envy.execution.bundle_roots import own_folder
from envy.execution.entry_lock import lock_marks, recorded_children
from envy.execution.git_history import hint_about_history
from envy.execution.log import PhaseLog
from envy.execution.prefix_maps import compiler_variables
from envy.execution.recipe_events import RecipeEvents
from envy.execution.script_environment import script_environment
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.host.leftovers import ending_leftovers
from envy.host.process import Completed, OnOutput, run_argv
from envy.host.shell import Shell, describe_script, run_script, script_text, shell_from_value
from envy.jobserver.budget import NOT_ADMITTED, Admission
from envy.masking import masked
from envy.phase import RecipePhase

# Phases that build: their work slot counts as one job of their tools.
_ADMITTED = frozenset({RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.INSTALL})

_BROKEN_PIPE = 141  # 128 and the number of SIGPIPE
_PIPE_HINT = (
    "a program wrote to a pipe whose reader had ended: let the reader read everything "
    "(`grep x >/dev/null`, not `grep -q x`), or write `set +o pipefail`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """The second argument of `ctx.run` and `ctx.exec`."""

    cwd: Path | None = None
    env: Mapping[str, str] | None = None
    shell: Shell | None = None
    quiet: bool = False
    capture: bool = False
    check: bool = True
    interactive: bool = False
    timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Runs a script on another machine; its None means that the script has to run here."""

    run: Callable[[OnOutput], Completed | None]
    hint: str  # for a script that fails there


class PhaseRun:
    """One phase of one recipe, as scripts and `ctx` see it."""

    def __init__(
        self,
        recipe: Recipe,
        engine: PhaseServices,
        phase: RecipePhase,
        *,
        run_dir: Path,
        base_dir: Path | None = None,
        fetch_dir: Path | None = None,
    ) -> None:
        self.recipe = recipe
        self.engine = engine
        self.phase = phase
        self.run_dir = run_dir
        # A custom source runs before its recipe is loaded, on behalf of the declaring file.
        self.base_dir = base_dir or (
            recipe.loaded.recipe_dir if recipe.loaded_or_none is not None else run_dir
        )
        # Whose files functions read only if `may_read` allows it.
        self.guarded_dir = own_folder(self.base_dir, engine.services)
        self._fetch_dir = fetch_dir
        self.options = recipe.options
        self.user_managed = recipe.user_managed
        services = engine.services
        self.marked_complete = False  # ctx.mark_install_complete was called
        self.sources: dict[str, SourceItem] = {}  # what ctx.fetch fetched, by name
        self.log = PhaseLog(recipe, services, phase)
        self._for_compilers: dict[str, str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.log.close()

    @functools.cached_property
    def environment(self) -> dict[str, str]:
        """The variables of this phase's scripts."""
        return script_environment(self.recipe, self.engine, self.phase)

    def compiler_variables(self) -> dict[str, str]:
        """Return the variables by which compilers leave out the paths of the cache."""
        # No cached_property: until Python 3.12, all of them share a lock, and this may wait.
        if self._for_compilers is None:
            self._for_compilers = (
                compiler_variables(self.recipe, self.engine, self.environment)
                if self.phase in _ADMITTED and not self.user_managed
                else {}
            )
        return self._for_compilers

    @property
    def fetch_dir(self) -> Path | None:
        """The folder of fetched files, if the recipe has an entry or was given a folder."""
        placement = self.recipe.placement_or_none
        return self._fetch_dir or (placement.entry.fetch_dir if placement is not None else None)

    @property
    def scratch_dir(self) -> Path | None:
        """The folder for a script that is too long for a command line, if there is an attempt."""
        if self.recipe.work.attempt is None:
            return None
        return self.recipe.placement.entry.tmp_dir

    @property
    def variables(self) -> Mapping[str, str]:
        """The same variables, computed on first use, since most Lua code reads none."""
        return _LazyVariables(lambda: self.environment)

    def may_read(self, path: Path) -> bool:
        """Return whether a file may be read; in the recipe's folder, only what is in the key."""
        return may_read(self.recipe, self.engine, path)

    def note_file(self, path: Path) -> None:
        """A function asks whether a file exists."""

    def note_names(self, folder: Path, pattern: str) -> None:
        """A function asks for the names that match a pattern."""

    def note_clock(self) -> None:
        """A function has read the clock."""

    def note_tree(self, path: Path, rules: str = "") -> None:
        """A function is about to read a folder and all its content, or what rules take of it.

        Raises:
            NotTaken: the rules do not allow something in it.
        """

    def run_script(
        self,
        script: str | Sequence[str],
        options: RunOptions,
        elsewhere: Elsewhere | None = None,
    ) -> Completed:
        """Run a script in the phase's shell, or `elsewhere`."""
        shell = options.shell or self.engine.shell_for(self.recipe)
        run = functools.partial(run_script, script, shell=shell, scratch_dir=self.scratch_dir)
        # Masked first, since shortening could cut a secret in two.
        text = masked(script_text(script))
        described = describe_script(text)
        about = (described, run, options)
        return self._run(*about, script=text, shell=shell.name, elsewhere=elsewhere)

    def run_program(
        self, argv: Sequence[str], options: RunOptions, *, without: Collection[str] = ()
    ) -> Completed:
        """Run a program without a shell, and without some variables."""
        run = functools.partial(run_argv, argv)
        return self._run(masked(" ".join(argv)), run, options, without=without)

    def ask_program(self, argv: Sequence[str], cwd: Path) -> Completed:
        """Run a program for what it prints, which goes neither to the log nor to listeners."""
        return run_argv(
            argv,
            cwd=cwd,
            environment={**self.environment, **lock_marks(self.recipe, self.engine.services)},
            children=recorded_children(self.recipe, self.engine.services),
            label=f"{self.recipe.key.canonical}: {self.phase.label}",
            capture=True,
        )

    def _run(
        self,
        description: str,
        run: Callable[..., Completed],
        options: RunOptions,
        *,
        script: str = "",
        shell: str = "",
        without: Collection[str] = (),
        elsewhere: Elsewhere | None = None,
    ) -> Completed:
        given = options.cwd or self.run_dir
        cwd = self.seen(given)
        self.log.command(description)
        events = RecipeEvents(self.recipe, self.engine.services.events)
        started = time.monotonic()
        completed = None
        if elsewhere is not None:
            events.run_start(description, cwd)
            completed = elsewhere.run(self._on_output(quiet=options.quiet))
        ran_here = completed is None
        if completed is None:
            variables = self._script_variables(options, cwd, without=without)
            with (
                self._terminal(interactive=options.interactive),
                self._admission(variables) as admission,
                ending_leftovers() as mark,
            ):
                if elsewhere is None:
                    started = time.monotonic()  # after the wait for the terminal
                    events.run_start(description, cwd)
                completed = run(
                    cwd=cwd,
                    environment={**variables, **admission.variables, **mark},
                    descriptors=admission.descriptors,
                    children=recorded_children(self.recipe, self.engine.services),
                    label=f"{self.recipe.key.canonical}: {self.phase.label}",
                    shown=description,
                    on_output=self._on_output(quiet=options.quiet),
                    capture=options.capture,
                    timeout=options.timeout,
                    interactive=options.interactive,
                )
        self.log.end_of_output(quiet=options.quiet)
        events.run_complete(description, cwd, completed.exit_code, time.monotonic() - started)
        if options.check and (completed.exit_code or completed.timed_out):
            tail = self.log.recent_output()
            failed = _failed_line(completed, tail, script, shell) or (0, description)
            hint = "" if elsewhere is None or ran_here else elsewhere.hint
            if self.log.asked_git:
                hint = hint_about_history(self.recipe.work.fetched.values())
            raise _failure(
                failed, completed, options, tail=tail, ran_in=self._folder(cwd), hint=hint
            )
        return completed

    def _script_variables(
        self, options: RunOptions, cwd: Path, *, without: Collection[str]
    ) -> dict[str, str]:
        return {
            **{name: text for name, text in self.environment.items() if name not in without},
            **self.compiler_variables(),
            **(options.env or {}),
            **lock_marks(self.recipe, self.engine.services),
            # Otherwise shells and compilers ask the system, which resolves the link.
            **({"PWD": str(cwd)} if cwd != (options.cwd or self.run_dir) else {}),
        }

    def seen(self, folder: Path) -> Path:
        """Return a folder of the entry by the path that the phase sees."""
        placement = self.recipe.placement_or_none
        if placement is None or placement.padded is None:
            return folder
        paths = self.recipe.work_paths(self.phase)
        return Path(padded_path(str(folder), placement.entry, paths))

    def _folder(self, cwd: Path) -> Path | None:
        """Return the folder of a script, if its author could not guess it: one of the entry."""
        placement = self.recipe.placement_or_none
        if (
            placement is None
            or self.user_managed
            or not cwd.is_relative_to(self.recipe.work_paths(self.phase).directory)
        ):
            return None
        return cwd

    def _on_output(self, *, quiet: bool) -> OnOutput:
        return functools.partial(self.log.output, quiet=quiet)

    def _admission(
        self, variables: Mapping[str, str]
    ) -> contextlib.AbstractContextManager[Admission]:
        """Return a share of `--jobs` for a script's tools, unless MAKEFLAGS gives them another."""
        jobserver = self.engine.services.jobserver
        if jobserver is None or self.phase not in _ADMITTED or "MAKEFLAGS" in variables:
            return contextlib.nullcontext(NOT_ADMITTED)
        return jobserver.admission()

    def _terminal(self, *, interactive: bool) -> contextlib.AbstractContextManager[None]:
        if interactive:
            return self.engine.services.terminal.lent()
        return contextlib.nullcontext()


class _LazyVariables(Mapping[str, str]):
    """An environment that is computed when it is first read."""

    def __init__(self, make: Callable[[], Mapping[str, str]]) -> None:
        self._make = make

    def __getitem__(self, name: str) -> str:
        return self._make()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make())

    def __len__(self) -> int:
        return len(self._make())


def parse_run_options(value: object, run: PhaseRun, *, what: str, check: bool) -> RunOptions:
    """Parse the options of `ctx.run` and `ctx.exec`.

    Raises:
        DeclarationError: an option is unknown or has the wrong type.
    """
    from envy.declarations import fields

    if value is None:
        return RunOptions(check=check)
    if not isinstance(value, dict):
        raise DeclarationError(
            f"the options of {what} must be a table, not {fields.describe(value)}"
        )
    known = frozenset(RunOptions.__dataclass_fields__)
    fields.check_known(value, known, what=what, origin=None)
    cwd = value.get("cwd")
    env = value.get("env") or {}
    timeout = value.get("timeout")
    if cwd is not None and not isinstance(cwd, str):
        raise DeclarationError(f"{what}: `cwd` must be a path, not {fields.describe(cwd)}")
    if not isinstance(env, dict) or not all(isinstance(name, str) for name in env):
        raise DeclarationError(f"{what}: `env` must be a table of variables")
    if timeout is not None and not (type(timeout) in {int, float} and timeout > 0):
        raise DeclarationError(
            f"{what}: `timeout` must be a number of seconds above 0, not "
            f"{timeout if type(timeout) in {int, float} else fields.describe(timeout)}"
        )
    return RunOptions(
        cwd=run.run_dir / cwd if cwd else None,
        env={name: _variable(what, name, text) for name, text in env.items()},
        shell=shell_from_value(value["shell"]) if value.get("shell") is not None else None,
        quiet=fields.flag(value, "quiet", origin=None),
        capture=fields.flag(value, "capture", origin=None),
        check=fields.flag(value, "check", origin=None) if "check" in value else check,
        interactive=fields.flag(value, "interactive", origin=None),
        timeout=timeout,
    )


def _variable(what: str, name: str, value: object) -> str:
    from envy.declarations import fields

    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise DeclarationError(f"{what}: `env.{name}` must be a string, not {fields.describe(value)}")


def _failed_line(
    completed: Completed, tail: str, script: str, shell: str
) -> tuple[int, str] | None:
    """Return the number and the text of the line that failed, if the script has several."""
    from envy.host.failed_line import line_in_message

    line = completed.failed_line or line_in_message(tail, script, shell=shell)
    if line is None or "\n" not in script.strip():
        return None
    return line.number, describe_script(masked(line.text))


def _failure(
    line: tuple[int, str],
    completed: Completed,
    options: RunOptions,
    *,
    tail: str,
    ran_in: Path | None,
    hint: str,
) -> ScriptFailed:
    number, command = line
    if completed.exit_code == _BROKEN_PIPE and completed.signal is None:
        hint = "; ".join(filter(None, [_PIPE_HINT, hint]))
    reason = f"did not end within {options.timeout} s" if completed.timed_out else ""
    return ScriptFailed(
        command=command,
        exit_code=completed.exit_code,
        signal=completed.signal,
        reason=reason,
        subject=f"line {number} of the script" if number else "script",
        tail=tail,
        hint="; ".join(filter(None, [f"it ran in {ran_in}" if ran_in else "", hint])),
    )
