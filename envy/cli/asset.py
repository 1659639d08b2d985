"""`envy asset`: print the path of a package, installing the package first if it is missing."""

from __future__ import annotations

import time
from pathlib import Path

import click

from envy.cli.fast_path import warm_answer
from envy.cli.options import envy_command
from envy.cli.settings import Settings


@envy_command(
    short_help="Print the path of a package.",
    examples=[
        ("envy asset python", "install Python if it is missing, and print its path"),
        ("envy asset python --no-install", "fail if Python is not installed"),
        ("envy asset 'python{version=3.13}'", "choose by an option"),
    ],
)
@click.argument("query")
@click.option("--no-install", is_flag=True, help="Fail if the package is not installed.")
def command(settings: Settings, query: str, *, no_install: bool) -> None:
    """Print the absolute path of the package that QUERY names, which may be only a dependency.

    If the package is missing, it is installed first, with its dependencies. In a script, assign the
    path to a variable, so that a failure is noticed: dir=$(envy asset python) || exit
    """
    started = time.monotonic()
    found = warm_answer(settings, [query], renews=False)
    if found is not None:
        click.echo(found.folders[0])
        return
    path = _locate_and_install(settings, query, no_install=no_install, started=started)
    click.echo(path)


def _locate_and_install(
    settings: Settings, query: str, *, no_install: bool, started: float
) -> Path | None:
    # Imported here, because a warm answer needs none of these.
    from envy.cache.resolutions import Upstream
    from envy.cli.outcome import install, printing_failures
    from envy.cli.wiring import open_session

    upstream = Upstream.LEFT_ALONE if no_install else Upstream.REMEMBERED
    with open_session(
        settings, owns_stdout=True, installs=not no_install, upstream=upstream
    ) as session:
        with printing_failures(session):
            recipe = session.locate(query)
        if no_install:
            session.require_installed([recipe.key])
        else:
            install(session, [recipe.key], command="asset", started=started)
        session.store_answer()
        return recipe.asset_dir
