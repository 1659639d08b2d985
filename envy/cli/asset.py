"""`envy asset`: print where a package is, installing it first if it is missing."""

from __future__ import annotations

import time

import click

from envy.cli.options import envy_command
from envy.cli.outcome import end_unless_done, telling_failures
from envy.cli.settings import Settings
from envy.cli.wiring import Session, open_session
from envy.engine.engine import Engine
from envy.errors import EnvyError, GraphError, RecipeError
from envy.recipe import Recipe


@envy_command(short_help="Print where a package is installed.")
@click.argument("query")
@click.option("--no-install", is_flag=True, help="Fail if the package is not there yet.")
def command(settings: Settings, query: str, *, no_install: bool) -> None:
    """Print the absolute path of the package that QUERY names, also if it is a dependency only.

    It is installed first, with what it needs, if it is missing. In a script, take the path by an
    assignment, so that a failure is noticed: dir=$(envy asset python) || exit
    """
    started = time.monotonic()
    with open_session(settings, owns_stdout=True) as session:
        with telling_failures(session.engine):
            recipe = locate(session, query)
        if no_install:
            require_installed(session.engine, [recipe])
        else:
            results = session.engine.run_full([recipe.key])
            end_unless_done(results, session.engine, command="asset", started=started)
        path = recipe.asset_dir
    click.echo(path)


def locate(session: Session, query: str) -> Recipe:
    """The one package with an asset that a query names.

    Raises:
        GraphError: no package answers, or several do, or it has no asset.
    """
    engine = session.engine
    engine.resolve_graph(session.manifest.packages)
    recipe = engine.find_one(query)
    failure = engine.failure_of(recipe.key)
    if failure is not None:
        raise failure
    if recipe.definition is not None and recipe.definition.user_managed:
        raise GraphError(
            f"{recipe.key} is user-managed: it changes the machine and has no folder in the cache",
            hint="run its programs by name, or with `envy run`",
        )
    if recipe.excluded:
        raise GraphError(f"{recipe.key} is not for {session.services.platform.tag}")
    return recipe


def require_installed(engine: Engine, recipes: list[Recipe]) -> None:
    """See that packages and what they need to run are there, installing nothing.

    Raises:
        EnvyError: something is missing.
    """
    engine.prepare([recipe.key for recipe in recipes])
    failures = [engine.failure_of(recipe.key) for recipe in recipes]
    broken = next((failure for failure in failures if isinstance(failure, RecipeError)), None)
    if broken is not None:
        raise broken
    missing = [
        recipe.key.canonical
        for recipe in engine.wanted()
        if (recipe.undeployed or not recipe.cached)
        and recipe.definition
        and not recipe.definition.user_managed
    ]
    if missing:
        raise EnvyError(
            f"not installed: {', '.join(missing)}",
            hint="install with `envy sync`, or leave out --no-install",
        )
