"""`envy depot verify`: check every object of the depots."""

from __future__ import annotations

import sys

from envy.cache.layout import CacheLayout
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.fetch_context import command_context
from envy.cli.maintained_depots import maintained_depots
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.console.text import safe_line, write_line
from envy.errors import EnvyError


@envy_command(
    short_help="Check every object of the depots.",
    examples=[
        ("envy depot verify", "the depots of the project"),
        ("envy depot verify --depot file:///srv/depot", "a folder"),
    ],
)
def command(settings: Settings) -> int:
    """Unpack every object of the depots, and compare it with its name, its signature and its
    fingerprint.

    The keys are those of `depot_keys` in envy.lua; outside of a project, signatures are not
    checked. The exit code is 1 if an object cannot be used.
    """
    layout = CacheLayout(cache_root(settings))
    context = command_context(settings.environment, offline=settings.offline)
    damaged = 0
    for depot in maintained_depots(settings):
        count = 0
        for stored in depot.listed(context):
            count += 1
            try:
                depot.check(stored.name, layout, context)
            except EnvyError as error:
                damaged += 1
                what = error.message.partition("\n")[0]
                write_line(sys.stdout, safe_line(f"{depot.shown}/{stored.name}: {what}"))
        noun = "object" if count == 1 else "objects"
        write_line(sys.stdout, f"verified {count} {noun} of {depot.shown}: {damaged} damaged")
    return FAILURE if damaged else SUCCESS
