"""Printing the results of a run and choosing its exit code; shared by the commands."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import click

from envy.cli.exit_codes import exit_code_of
from envy.console.say_styled import say_styled
from envy.console.summary import SyncResult, failure_lines, final_line
from envy.console.text import safe_lines, write_line
from envy.errors import Cancelled, EnvyError, RecipeError, StoppedEarly
from envy.graph.recipe import Outcome

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.engine import Engine
    from envy.engine.goals import Result
    from envy.engine.session import Session

_INSTALLED = frozenset({Outcome.INSTALLED, Outcome.CHANGED, Outcome.UNCONFIRMED})


def resolved(session: Session, queries: Sequence[str] = ()) -> list[RecipeKey]:
    """Resolve the graph, and return the keys that queries mean; all roots if there are no queries.

    If that fails, print the failures of recipes first.

    Raises:
        EnvyError: the graph cannot be resolved, or a query does not match exactly one package.
    """
    with printing_failures(session):
        return session.resolved(queries)


@contextlib.contextmanager
def printing_failures(session: Session) -> Iterator[None]:
    """If the block raises an error, first print every other failure of the session."""
    try:
        yield
    except EnvyError as error:
        others = [failure for failure in session.failures() if failure is not error]
        print_failures(others, session.environment)
        raise


def print_failures(failures: Sequence[RecipeError], environment: Mapping[str, str]) -> None:
    """Print each root failure once, then a line for each package that it stopped."""
    say_styled(sys.stderr, failure_lines(failures), environment)


def print_warnings(failures: Sequence[RecipeError], environment: Mapping[str, str]) -> None:
    """Print failures that do not matter for the result of a command."""
    say_styled(sys.stderr, failure_lines(failures, word="warning"), environment)


def print_stopped(engine: Engine) -> None:
    """Print the failures of a run that --fail-fast has stopped, but whose work does not end."""
    environment = engine.services.environment
    print_failures(engine.failures(), environment)
    words = f"{engine.cancellation}; what could not be stopped was abandoned"
    say_styled(sys.stderr, [words], environment)


def print_gaps(session: Session) -> int:
    """Print what failed and what is not known yet to stderr; return the exit code."""
    for left_out in session.left_out():
        for line in safe_lines(f"note: {left_out}"):
            write_line(sys.stderr, line)
    failures = session.failures()
    print_failures(failures, session.environment)
    return 1 if failures else 0


def _one_of_each(results: Sequence[Result]) -> list[Result]:
    """Return the results; of packages with one entry only that of the one that was worked on."""
    found: dict[object, Result] = {}
    for result in results:
        entry = result.asset_dir or result.key
        if entry not in found or found[entry].outcome is Outcome.CACHED:
            found[entry] = result
    return list(found.values())


def summarise(results: Sequence[Result], session: Session, *, seconds: float) -> SyncResult:
    """Return the counts and failures of a run."""
    results = _one_of_each(results)
    outcomes = [result.outcome for result in results]
    cancellation = session.cancellation
    return SyncResult(
        packages=len(results),
        user_managed=sum(1 for result in results if result.user_managed),
        cached=sum(1 for outcome in outcomes if outcome is Outcome.CACHED),
        taken=sum(1 for outcome in outcomes if outcome is Outcome.TAKEN),
        installed=sum(1 for outcome in outcomes if outcome in _INSTALLED),
        unconfirmed=outcomes.count(Outcome.UNCONFIRMED),
        failures=[r.failure for r in results if isinstance(r.failure, RecipeError)],
        stopped=sum(1 for result in results if isinstance(result.failure, Cancelled)),
        cancelled=cancellation is not None and not isinstance(cancellation, StoppedEarly),
        seconds=seconds,
    )


def install(
    session: Session, goals: Sequence[RecipeKey], *, command: str, started: float
) -> Sequence[Result]:
    """Install the goals, and end the command if something failed. `started` is monotonic time.

    Raises:
        Cancelled: the user ended the run; click.exceptions.Exit: something failed.
    """
    results = session.install(goals)
    result = summarise(results, session, seconds=time.monotonic() - started)
    if result.failures or session.cancellation is not None:
        print_failures(result.failures, session.environment)
        say_styled(sys.stderr, [final_line(result, command=command)], session.environment)
        raise click.exceptions.Exit(exit_code_of(result))
    return results
