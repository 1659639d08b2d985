"""`envy depot verify`: check every object of the depots."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field

import click

from envy.cache.layout import CacheLayout
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.fetch_context import command_context
from envy.cli.maintained_depots import maintained_depots
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.console.text import safe_line, write_line
from envy.errors import EnvyError, FetchError
from envy.masking import masked_data
from envy.sharing.depot import OpenDepot, is_damage
from envy.transport.context import FetchContext, NotFound


@dataclass(slots=True)
class Checked:
    """What was found in one depot: objects that are damaged, that could not be read, unfinished."""

    depot: str
    objects: int = 0
    damaged: list[dict[str, str]] = field(default_factory=list)
    unreadable: list[dict[str, str]] = field(default_factory=list)
    unfinished: int = 0
    others: int = 0  # of other signers


@envy_command(
    short_help="Check every object of the depots.",
    examples=[
        ("envy depot verify", "the depots of the project"),
        ("envy depot verify --depot file:///srv/depot", "a folder"),
    ],
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(settings: Settings, *, as_json: bool) -> int:
    """Unpack every object of the depots, and compare it with its name, its signature and its
    fingerprint.

    The keys are those of `depot_keys` in envy.lua; outside of a project, signatures are not
    checked. What a killed writer left in a folder is counted, and removed by `envy depot prune`.
    The exit code is 1 if an object cannot be used, or cannot be read.
    """
    layout = CacheLayout(cache_root(settings))
    context = command_context(settings.environment, offline=settings.offline)
    found = []
    for depot in maintained_depots(settings):
        row = Checked(depot.shown)
        found.append(row)
        _check(depot, layout, context, row, shows=not as_json)
        if not as_json:
            write_line(sys.stdout, safe_line(_summary(row)))
    if as_json:
        rows = {"depots": [asdict(row) for row in found]}
        print_data(json.dumps(masked_data(rows), indent=2))
    return FAILURE if any(row.damaged or row.unreadable for row in found) else SUCCESS


def _check(
    depot: OpenDepot, layout: CacheLayout, context: FetchContext, row: Checked, *, shows: bool
) -> None:
    """Check the objects of a depot one by one.

    Raises:
        EnvyError: the depot cannot be listed, or this machine has no room; Cancelled.
    """
    for stored in depot.listed(context):
        if stored.is_unfinished:
            row.unfinished += 1
            continue
        row.objects += 1
        row.others += depot.is_by_others(stored.name)
        try:
            depot.check(stored.name, layout, context)
        except NotFound:
            row.objects -= 1  # somebody has removed it meanwhile
            row.others -= depot.is_by_others(stored.name)
        except EnvyError as error:
            if is_damage(error):
                rows = row.damaged
            elif isinstance(error, FetchError):
                rows = row.unreadable
            else:
                raise
            what = error.message.partition("\n")[0]
            rows.append({"name": stored.name, "reason": what})
            if shows:
                write_line(sys.stdout, safe_line(f"{depot.shown}/{stored.name}: {what}"))


def _summary(row: Checked) -> str:
    noun = "object" if row.objects == 1 else "objects"
    words = f"verified {row.objects} {noun} of {row.depot}: {len(row.damaged)} damaged"
    if row.unreadable:
        words += f", {len(row.unreadable)} could not be read"
    if row.others:
        words += f"; {row.others} of other signers, whose keys are not known here"
    if row.unfinished:
        words += f"; {row.unfinished} unfinished, which `envy depot prune` removes"
    return words
