"""`envy depot pull`: take packages from depots, and build nothing."""

from __future__ import annotations

import sys

import click

from envy.cli.depots import NO_DEPOT, ONLY_SERVERS
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import resolved
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import write_line


@envy_command(
    short_help="Take packages from depots, and build nothing.",
    examples=[
        ("envy depot pull", "every package of the project"),
        ("envy depot pull python --depot URL", "Python and what it needs to run"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
def command(settings: Settings, queries: tuple[str, ...]) -> int:
    """Take the missing packages of the project from its depots, or only those that QUERY names.

    Nothing is built; the exit code is 1 if a package is in no depot.
    """
    with open_session(settings) as session:
        goals = resolved(session, queries)
        session.compute_keys()
        if session.shared is None:
            raise ONLY_SERVERS if settings.offline else NO_DEPOT
        session.shared.take(goals)
        missing = session.missing(goals)
    for recipe in missing:
        write_line(sys.stdout, f"missing {recipe.key}")
    return FAILURE if missing else SUCCESS
