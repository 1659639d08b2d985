"""From the results of a run to what is printed and to the exit code; shared by the commands."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from envy.console.summary import SyncResult, failure_lines
from envy.console.text import write_line
from envy.engine.engine import Engine, Result
from envy.errors import Cancelled, EnvyError, RecipeError
from envy.recipe import Outcome


def summarise(results: Sequence[Result], engine: Engine, *, seconds: float) -> SyncResult:
    """Counts and failures of a run."""
    outcomes = [result.outcome for result in results]
    return SyncResult(
        packages=len(results),
        user_managed=sum(1 for result in results if result.user_managed),
        cached=sum(1 for outcome in outcomes if outcome is Outcome.CACHED),
        installed=sum(1 for o in outcomes if o in {Outcome.INSTALLED, Outcome.CHANGED}),
        failures=[r.failure for r in results if isinstance(r.failure, RecipeError)],
        cancelled=engine.stopped(),
        seconds=seconds,
    )


def print_failures(failures: Sequence[RecipeError]) -> None:
    """Each root failure once, then a line for each package it stopped."""
    for line in failure_lines(failures):
        write_line(sys.stderr, line)


def raise_unless_done(results: Sequence[Result], engine: Engine) -> None:
    """Print what failed and end the command, unless all went well.

    Raises:
        EnvyError: something failed, or the run was cancelled.
    """
    result = summarise(results, engine, seconds=0)
    if not result.failures and engine.cancellation is None:
        return
    print_failures(result.failures)
    if engine.cancellation is not None and not result.failures:
        raise engine.cancellation
    raise EnvyError(f"{len(result.failures)} of {result.packages} packages could not be installed")


def is_user_cancellation(error: Exception | None) -> bool:
    """Whether a run was ended, and not by a failure of its own."""
    return isinstance(error, Cancelled)
