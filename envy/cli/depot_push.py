"""`envy depot push`: store installed packages in a depot."""

from __future__ import annotations

import dataclasses
import json
import sys

import click

from envy.cli.depots import ONLY_SERVERS
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import resolved
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import write_line
from envy.masking import masked_data


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
        stored = session.shared.store(found)
        names = [place.shown for place in session.shared.written]
    right = sum(one.is_stored for one in stored)
    if as_json:
        rows = [
            {"key": one.recipe.key.canonical, "stored": one.is_stored, "bytes": one.size}
            for one in sorted(stored, key=lambda one: one.recipe.key)
        ]
        print_data(json.dumps(masked_data({"depots": names, "packages": rows}), indent=2))
    else:
        noun = "package" if len(stored) == 1 else "packages"
        write_line(sys.stdout, f"{right} of {len(stored)} {noun} are in {' and '.join(names)}")
    return SUCCESS if right == len(stored) else FAILURE
