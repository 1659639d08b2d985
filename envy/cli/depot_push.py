"""`envy depot push`: store installed packages in a depot."""

from __future__ import annotations

import dataclasses

import click

from envy.cli.depots import ONLY_SERVERS
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.stored_packages import store_packages


@envy_command(
    short_help="Store installed packages in a depot.",
    examples=[
        ("envy depot push", "every package of the project that is in the cache"),
        ("envy depot push python --depot URL", "Python and what it needs to run"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(settings: Settings, queries: tuple[str, ...], *, as_json: bool) -> int:
    """Store packages of the project in the first depot: all that are in the cache, or those that
    QUERY names with what they need to run.

    What the depot has already stays as it is. A package that was built with another result on
    another machine is reported: its recipe is not reproducible. The packages are signed with the
    secret key in the file that ENVY_DEPOT_KEY names. The exit code is 1 if one was not stored.
    """
    writing = dataclasses.replace(settings, depot_write=True, remote="")
    return store_packages(writing, queries, nowhere=ONLY_SERVERS, as_json=as_json)
