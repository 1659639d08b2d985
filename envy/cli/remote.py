"""`envy remote`: the server of the Remote Execution API that a command uses."""

from __future__ import annotations

import dataclasses
import json
import sys
import time

import click

from envy.cli.options import HELP_OPTIONS, CommandGroup, common_options, envy_command
from envy.cli.remotes import NO_REMOTE, OFFLINE, be_patient, remote_server
from envy.cli.settings import Settings
from envy.cli.stored_packages import store_packages
from envy.console.text import format_seconds, format_size, safe_line, write_data, write_line


@envy_command(
    short_help="Show whether the server can be used.",
    examples=[
        ("envy remote status", "the server of ENVY_REMOTE"),
        ("envy remote status --remote grpc://HOST:PORT", "another one"),
    ],
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def status(settings: Settings, *, as_json: bool) -> None:
    """Ask the server what it can do, and show that and how long the answer took.

    The exit code is 1 if it cannot be reached or used.
    """
    server = remote_server(settings)
    started = time.monotonic()
    found = server.capabilities()
    seconds = time.monotonic() - started
    cache = found.cache_capabilities
    takes = cache.action_cache_update_capabilities.update_enabled
    functions = server.functions(found)
    if as_json:
        row = {
            "server": server.shown,
            "seconds": round(seconds, 3),
            "digest_functions": functions,
            "takes_results": takes,
            "max_batch_total_size_bytes": cache.max_batch_total_size_bytes,
        }
        write_data(sys.stdout, json.dumps(row, indent=2))
        return
    most = cache.max_batch_total_size_bytes
    for name, value in (
        ("server", server.shown),
        ("answered in", format_seconds(seconds)),
        ("names blobs by", ", ".join(functions)),
        ("takes results", "yes" if takes else "no"),
        ("largest message", format_size(most) if most else "not limited by the server"),
    ):
        write_line(sys.stdout, safe_line(f"{name}: {value}"))


@envy_command(
    short_help="Store installed packages on the server.",
    examples=[
        ("envy remote push", "every package of the project that is in the cache"),
        ("envy remote push python --remote URL", "Python and what it needs to run"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def push(settings: Settings, queries: tuple[str, ...], *, as_json: bool) -> int:
    """Store packages of the project on the server: all that are in the cache, or those that QUERY
    names with what they need to run.

    What the server has already stays as it is. A package that was built with another result on
    another machine is reported: its recipe is not reproducible. The exit code is 1 if one was not
    stored.
    """
    if not settings.remote:
        raise NO_REMOTE
    only = dataclasses.replace(
        settings, depots=("none",), depot_write=False, remote_read_only=False
    )
    if not settings.offline:
        be_patient(settings)
    return store_packages(only, queries, nowhere=OFFLINE, as_json=as_json)


command = CommandGroup(
    name="remote",
    help="""Work with the server of the Remote Execution API that packages are shared by.

    `--remote` or ENVY_REMOTE name it. Commands that install packages take them from it, and store
    what they build there.
    """,
    short_help="Work with the server that packages are shared by.",
    params=list(common_options()),
    context_settings=HELP_OPTIONS,
    commands={"push": push, "status": status},
)
command.examples = (
    ("envy remote status", "the server of ENVY_REMOTE"),
    ("envy remote push", "store what is installed"),
)
