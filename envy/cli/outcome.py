"""From the results of a run to what is printed and to the exit code; shared by the commands."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Sequence

import click

from envy.cli.exit_codes import exit_code_of
from envy.console.summary import SyncResult, failure_lines, final_line
from envy.console.text import say
from envy.engine.engine import Engine
from envy.engine.goals import Result
from envy.errors import Cancelled, EnvyError, RecipeError, StoppedEarly
from envy.graph.recipe import Outcome


def summarise(results: Sequence[Result], engine: Engine, *, seconds: float) -> SyncResult:
    """Counts and failures of a run."""
    outcomes = [result.outcome for result in results]
    return SyncResult(
        packages=len(results),
        user_managed=sum(1 for result in results if result.user_managed),
        cached=sum(1 for outcome in outcomes if outcome is Outcome.CACHED),
        installed=sum(1 for o in outcomes if o in {Outcome.INSTALLED, Outcome.CHANGED}),
        failures=[r.failure for r in results if isinstance(r.failure, RecipeError)],
        stopped=sum(1 for result in results if isinstance(result.failure, Cancelled)),
        cancelled=engine.stopped() and not isinstance(engine.cancellation, StoppedEarly),
        seconds=seconds,
    )


def print_failures(failures: Sequence[RecipeError]) -> None:
    """Each root failure once, then a line for each package it stopped."""
    for line in failure_lines(failures):
        say(sys.stderr, line)


@contextlib.contextmanager
def telling_failures(engine: Engine) -> Iterator[None]:
    """If the command ends here, tell what had failed before, which its own error does not say."""
    try:
        yield
    except EnvyError as error:
        print_failures([failure for failure in engine.failures() if failure is not error])
        raise


def end_unless_done(
    results: Sequence[Result], engine: Engine, *, command: str, started: float
) -> None:
    """Print what failed and end the command, unless all went well. `started` is monotonic time.

    Raises:
        Cancelled: the user ended the run; click.exceptions.Exit: something failed.
    """
    result = summarise(results, engine, seconds=time.monotonic() - started)
    if not result.failures and not engine.stopped():
        return
    print_failures(result.failures)
    say(sys.stderr, final_line(result, command=command))
    raise click.exceptions.Exit(exit_code_of(result))
