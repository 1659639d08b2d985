"""`envy depot pull`: take packages from depots, and build nothing."""

from __future__ import annotations

import dataclasses
import json
import sys

import click

from envy.cli.depots import NO_DEPOT, ONLY_SERVERS
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import resolved
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import write_line
from envy.graph.recipe import Recipe
from envy.masking import masked_data


@envy_command(
    short_help="Take packages from depots, and build nothing.",
    examples=[
        ("envy depot pull", "every package of the project"),
        ("envy depot pull python --depot URL", "Python and what it needs to run"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(settings: Settings, queries: tuple[str, ...], *, as_json: bool) -> int:
    """Take the missing packages of the project from its depots, or only those that QUERY names.

    Nothing is built; the exit code is 1 if a package is in no depot.
    """
    reading = dataclasses.replace(settings, depot_write=False, remote="")
    with open_session(reading) as session:
        goals = resolved(session, queries)
        session.compute_keys()
        if session.shared is None:
            raise ONLY_SERVERS if settings.offline else NO_DEPOT
        session.shared.take(goals)
        missing = session.missing(goals)
        wanted = [session.recipe(key) for key in session.run_closure(goals)]
        names = [place.shown for place in session.shared.places]
    if as_json:
        lacks = {recipe.key for recipe in missing}
        rows = [
            {"key": one.key.canonical, "state": _state(one, is_missing=one.key in lacks)}
            for one in sorted(wanted, key=lambda one: one.key)
            if not one.user_managed
        ]
        print_data(json.dumps(masked_data({"depots": names, "packages": rows}), indent=2))
    else:
        for recipe in missing:
            write_line(sys.stdout, f"missing {recipe.key}")
    return FAILURE if missing else SUCCESS


def _state(recipe: Recipe, *, is_missing: bool) -> str:
    if is_missing:
        return "missing"
    return "taken" if recipe.work.taken else "cached"
