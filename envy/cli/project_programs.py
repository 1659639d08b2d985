"""What `envy run` and `envy env` do first: install what the project's programs need."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import click

from envy.answers.project_environment import (
    NOT_EXECUTABLE,
    ProductNotExecutable,
    ProjectEnvironment,
    choose_provider,
)
from envy.cli.exit_codes import exit_code_of
from envy.cli.outcome import print_failures, print_warnings, resolved, summarise
from envy.console.summary import SyncResult, final_line
from envy.console.text import say
from envy.declarations.key import RecipeKey
from envy.declarations.products import UnusableProduct
from envy.engine.session import Session
from envy.errors import PhaseFailed


def installed_environment(
    session: Session,
    queries: Sequence[str],
    name: str = "",
    *,
    command: str,
    installs: bool,
    started: float,
) -> ProjectEnvironment:
    """Install what a program of this name needs, and return the environment of the project.

    Without a name, everything is needed. With queries, the environment is that of these packages.
    Failures are printed with the name of the command.

    Raises:
        EnvyError: the name cannot be run, or something is missing and nothing may be installed.
        click.exceptions.Exit: a needed package failed.
    """
    goals = resolved(session, queries)
    used = goals if queries else None
    # Before anything is installed: the choice does not depend on what is.
    choose_provider(session.project_environment(used, installed=False), name)
    result = None
    if installs:
        result = summarise(session.install(goals), session, seconds=time.monotonic() - started)
        if session.cancellation is not None:
            raise _failed(session, result, command)
    else:
        session.prepare(goals)
    environment = session.project_environment(used)
    provider = choose_provider(environment, name)
    needed = [RecipeKey.parse(provider.package)] if provider is not None else goals
    if result is not None:
        is_product = provider is not None
        _check_failures(session, result, needed, command=command, is_product=is_product)
    else:
        _check_installed(session, needed, goals)
    session.store_answer()
    return environment


def _check_failures(
    session: Session,
    result: SyncResult,
    needed: Sequence[RecipeKey],
    *,
    command: str,
    is_product: bool,
) -> None:
    """End the command if a needed package failed; warn of other failures.

    Raises:
        click.exceptions.Exit: a needed package failed.
    """
    if not result.failures:
        return
    keys = {key.canonical for key in session.run_closure(needed)}
    blocking = [failure for failure in result.failures if failure.key in keys]
    if not blocking:
        print_warnings(result.failures, session.environment)
        return
    causes = [failure.cause for failure in blocking if isinstance(failure, PhaseFailed)]
    if is_product and any(isinstance(cause, UnusableProduct) and cause.exists for cause in causes):
        raise _failed(session, result, command, NOT_EXECUTABLE)
    raise _failed(session, result, command)


def _failed(
    session: Session, result: SyncResult, command: str, code: int | None = None
) -> click.exceptions.Exit:
    """Print what failed, and return what ends the command."""
    print_failures(result.failures, session.environment)
    say(sys.stderr, final_line(result, command=command))
    return click.exceptions.Exit(exit_code_of(result) if code is None else code)


def _check_installed(
    session: Session, needed: Sequence[RecipeKey], goals: Sequence[RecipeKey]
) -> None:
    """Check that the needed packages are installed; warn of others that are not.

    Raises:
        EnvyError: a needed package is missing or has failed.
    """
    try:
        session.require_installed(needed)
    except UnusableProduct as error:
        if error.exists:
            raise ProductNotExecutable(str(error)) from error
        raise
    for recipe in session.missing(goals):
        say(sys.stderr, f"warning: {recipe.key} is not installed")
