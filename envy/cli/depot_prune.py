"""`envy depot prune`: remove what nobody has used for long."""

from __future__ import annotations

import json
import sys
import time

import click

from envy.cli.cache_gc import parse_span
from envy.cli.fetch_context import command_context
from envy.cli.maintained_depots import maintained_depots
from envy.cli.options import envy_command
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.console.text import format_size, safe_line, write_line
from envy.masking import masked_data

_WRITING = 3600  # seconds; what is younger may still be written


@envy_command(
    short_help="Remove what nobody has used for long.",
    examples=[
        ("envy depot prune --unused-for 30d", "what is unused for thirty days"),
        ("envy depot prune --unused-for 2w --dry-run", "show what two weeks would remove"),
    ],
)
@click.option(
    "--unused-for",
    callback=parse_span,
    required=True,
    metavar="SPAN",
    help="Remove what was neither stored nor taken for this long (30d, 12h, 2w).",
)
@click.option("--dry-run", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(settings: Settings, unused_for: float, *, dry_run: bool, as_json: bool) -> None:
    """Remove objects of the depots that were neither stored nor taken for long.

    A folder knows when an object was taken only if the machines that take it may write to it;
    otherwise, and on servers, the time of storing counts. What a killed writer left in a folder is
    removed with them, but not within an hour.
    """
    context = command_context(settings.environment, offline=settings.offline)
    now = time.time()
    rows = []
    for depot in maintained_depots(settings):
        old = [
            stored
            for stored in depot.listed(context)
            if stored.used_at
            < now - (max(unused_for, _WRITING) if stored.is_unfinished else unused_for)
        ]
        for stored in old:
            if (settings.verbose or dry_run) and not as_json:
                write_line(sys.stdout, safe_line(f"{format_size(stored.size):>11}  {stored.name}"))
            if not dry_run:
                depot.remove(stored.name, context)
        removed = [{"name": stored.name, "bytes": stored.size} for stored in old]
        rows.append({"depot": depot.shown, "removed": removed})
        if as_json:
            continue
        noun = "object" if len(old) == 1 else "objects"
        size = format_size(sum(stored.size for stored in old))
        word = "would remove" if dry_run else "removed"
        write_line(sys.stdout, f"{word} {len(old)} {noun} ({size}) of {depot.shown}")
    if as_json:
        print_data(json.dumps(masked_data({"dry_run": dry_run, "depots": rows}), indent=2))
