"""`envy depot push`: store installed packages in a depot."""

from __future__ import annotations

import dataclasses
import sys

import click

from envy.cli.depots import ONLY_SERVERS
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import resolved
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import write_line


@envy_command(
    short_help="Store installed packages in a depot.",
    examples=[
        ("envy depot push", "every package of the project that is in the cache"),
        ("envy depot push python --depot URL", "Python and what it needs to run"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
def command(settings: Settings, queries: tuple[str, ...]) -> int:
    """Store packages of the project in the first depot: all that are in the cache, or those that
    QUERY names with what they need to run.

    What the depot has already stays as it is. A package that was built with another result on
    another machine is reported: its recipe is not reproducible. The packages are signed with the
    secret key in the file that ENVY_DEPOT_KEY names. The exit code is 1 if one was not stored.
    """
    writing = dataclasses.replace(settings, depot_write=True)
    with open_session(writing) as session:
        goals = resolved(session, queries)
        session.compute_keys()
        if session.shared is None or not session.shared.written:
            raise ONLY_SERVERS
        if queries:
            session.require_installed(goals)
            recipes = [session.recipe(key) for key in session.run_closure(goals)]
        else:
            recipes = session.recipes()
        found = [one for one in recipes if one.work.cached and not one.user_managed]
        session.hold_leases(one.placement.entry for one in found)
        failed = session.shared.store(found)
        names = " and ".join(place.shown for place in session.shared.written)
    count = len({one.entry_key for one in found})
    noun = "package" if count == 1 else "packages"
    write_line(sys.stdout, f"{count - failed} of {count} {noun} are in {names}")
    return FAILURE if failed else SUCCESS
