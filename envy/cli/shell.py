"""`envy shell`: an interactive shell in the place of a phase of a package."""

from __future__ import annotations

import sys

import click

from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import print_failures, resolved
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line, say
from envy.engine.phase_shell import (
    SHELL_PHASES,
    PhaseShell,
    ShellPlace,
    find_place,
    interactive_shell,
)
from envy.engine.session import Session
from envy.errors import EnvyError
from envy.phase import RecipePhase

_PHASES = {phase.label: phase for phase in sorted(SHELL_PHASES)}


@envy_command(
    short_help="Open a shell where a phase of a package runs.",
    examples=[
        ("envy shell zlib", "where its build failed, or in a new attempt"),
        ("envy shell zlib --phase install", "before its install"),
    ],
)
@click.argument("query")
@click.option(
    "--phase",
    type=click.Choice(list(_PHASES)),
    help="Open it for this phase; by default, the phase that failed, or else build.",
)
@click.option("--fresh", is_flag=True, help="Make a new attempt, even if the last one is kept.")
def command(settings: Settings, query: str, *, phase: str | None, fresh: bool) -> int:
    """Open a shell in the folder and with the variables of a phase of the package QUERY means.

    If the last attempt at the package failed in that phase, or was left there by an earlier shell,
    the shell opens in it, as it was left.
    Otherwise a new attempt is made: what the package needs is installed, and the phases before that
    one run. The script of the phase is written beside the folder, and its command is printed.
    The shell is that in SHELL, or else bash or sh, without its start-up files. No other command
    works on the package until it ends. Nothing is published; the next sync starts over.
    """
    shell = PhaseShell()
    with open_session(settings, owns_stdout=True, steps=shell.steps()) as session:
        place = _place(session, query, _PHASES.get(phase or ""), fresh=fresh)
        _check_terminal()
        shell.argv = interactive_shell(session.environment)
        shell.place = place
        session.run_until(place.key, place.phase)
        return _end(session, shell, place)


def _place(session: Session, query: str, asked: RecipePhase | None, *, fresh: bool) -> ShellPlace:
    """Return where the shell opens.

    Raises:
        EnvyError: no package is meant, or it has no such place.
    """
    goals = resolved(session, [query])
    recipe = session.recipe(goals[0])
    if not recipe.user_managed:
        session.prepare(goals)
    failure = session.failure_of(recipe.key)
    if failure is not None:
        raise failure
    return find_place(recipe, asked, fresh=fresh)


def _check_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise EnvyError(
            "envy shell needs a terminal, and there is none",
            hint="run it from a terminal, with neither its input nor its messages redirected",
        )


def _end(session: Session, shell: PhaseShell, place: ShellPlace) -> int:
    """Report how it ended; return the exit code.

    Raises:
        Cancelled: the user ended the run; EnvyError: another command installed the package.
    """
    if session.cancellation is not None:
        raise session.cancellation
    if session.failure_of(place.key) is not None:
        print_failures(session.failures(), session.environment)
        return FAILURE
    if not shell.opened:
        raise EnvyError(
            f"{place.key} was installed by another command meanwhile",
            hint=f"remove it first: envy cache rm '{place.key}'",
        )
    say(sys.stderr, safe_line(f"left the shell; nothing of {place.key} was published"))
    return SUCCESS
