"""`envy env`: print the variables that programs of the project run with."""

from __future__ import annotations

import os
import time

import click

from envy.answers.program import project_variables
from envy.cache.resolutions import Upstream
from envy.cli.env_text import FORMATS, env_text
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.project_programs import installed_environment
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.errors import EnvyError


@envy_command(
    short_help="Print the variables that programs of the project run with.",
    examples=[
        ("envy env", 'for a shell: eval "$(envy env)" sets them'),
        ("envy env --format fish", "for fish: pipe it into source"),
        ("envy env --format json", "for programs"),
        ("envy env --with python --format dotenv", "those of one package, for an editor"),
    ],
)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="sh",
    help="Print them for a POSIX shell, for fish, as JSON, or as a dotenv file.",
)
@click.option(
    "--with",
    "queries",
    multiple=True,
    metavar="QUERY",
    help="Use only this package; may be repeated.",
)
@click.option("--no-install", is_flag=True, help="Fail if a package is not installed.")
def command(settings: Settings, form: str, queries: tuple[str, ...], *, no_install: bool) -> None:
    """Print PATH and the other variables that `envy run` would give to a program here.

    Only variables that the project sets are printed, with their whole values: PATH has the folders
    of packages first, then those of the current PATH. Missing packages are installed first. Secrets
    of the `dotenv` file are printed, too.
    """
    if os.name == "nt":
        raise EnvyError("`envy env` is not available on Windows", hint="use envy run -- PROGRAM")
    started = time.monotonic()
    upstream = Upstream.LEFT_ALONE if no_install else Upstream.REMEMBERED
    with open_session(
        settings, owns_stdout=True, installs=not no_install, upstream=upstream
    ) as session:
        environment = installed_environment(
            session, queries, command="env", installs=not no_install, started=started
        )
        root = session.layout.root
        variables = project_variables(environment, base=settings.environment, root=root)
    text = env_text(variables, form)
    if text:
        print_data(text)
