"""`envy cache`: show the entries of the cache; each subcommand has a module of its own.

Only `verify --repair` reads a manifest, to rebuild damaged packages.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import click

from envy.cache.collect import used_at
from envy.cache.disk_usage import DiskUsage
from envy.cache.inventory import EntryReport, Inventory, other_sizes, take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.relocate import Relocatable, relocatable_entry
from envy.cache.usage import Uses, read_uses
from envy.cli.cache_clear import command as clear_command
from envy.cli.cache_entries import labels
from envy.cli.cache_forget import command as forget_command
from envy.cli.cache_gc import command as gc_command
from envy.cli.cache_gc import report_problems
from envy.cli.cache_rm import command as rm_command
from envy.cli.cache_root import cache_root
from envy.cli.cache_verify import command as verify_command
from envy.cli.options import HELP_OPTIONS, CommandGroup, Invocation, common_options
from envy.cli.settings import Settings, merge_settings, take_limits
from envy.console.text import format_size, safe_line, write_data, write_line
from envy.errors import CacheError
from envy.masking import masked_data


def _show(*, as_json: bool) -> int:
    """Show the entries of the cache with their size and last use, the largest first.

    Sizes are the space on the disk. `envy cache verify` checks the packages, and `envy cache gc`
    removes unused ones. Packages with the same name and options have their entry key beside them.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is not None:
        if as_json:
            raise click.UsageError(
                "--json is an option of `envy cache`, not of "
                f"`envy cache {context.invoked_subcommand}`"
            )
        return 0
    invocation = context.ensure_object(Invocation)
    take_limits(invocation.environment)
    settings = merge_settings(invocation.given, invocation.environment)
    layout = CacheLayout(cache_root(settings))
    usage = DiskUsage()
    inventory, uses = take_inventory(layout, usage), read_uses(layout)
    rest = other_sizes(layout, inventory, usage)
    inventory.entries.sort(key=lambda entry: (-entry.size, entry.paths.name))
    if as_json:
        write_data(
            sys.stdout, json.dumps(masked_data(_as_json(layout, inventory, uses, rest)), indent=2)
        )
    else:
        _print(settings, layout, inventory, uses, rest)
    return report_problems(inventory.unreadable)


def _print(
    settings: Settings,
    layout: CacheLayout,
    inventory: Inventory,
    uses: Uses,
    rest: Mapping[str, int],
) -> None:
    total = sum(entry.size for entry in inventory.entries)
    label = labels(inventory.entries)
    for entry in inventory.entries:
        age = _ago(time.time() - used_at(entry, uses))
        where = _relocatable(entry)
        state = f"  ({_shown(where)})" if _shown(where) else ""
        state = state if entry.complete else "  (not complete)"
        write_line(
            sys.stdout,
            f"{format_size(entry.size):>11}  {age:>12}  {label[entry.paths.name]}{state}",
        )
        if settings.verbose:
            write_line(sys.stdout, f"{'':27}{entry.paths.location}")
            if where.why_not and entry.complete:
                write_line(sys.stdout, safe_line(f"{'':27}{where.why_not}"))
    count = len(inventory.entries)
    noun = "entry" if count == 1 else "entries"
    write_line(sys.stdout, f"{format_size(total):>11}  in {count} {noun} of {layout.root}")
    rest = {name: size for name, size in rest.items() if size}
    if rest:
        listed = ", ".join(f"{name} {format_size(size)}" for name, size in rest.items())
        write_line(sys.stdout, f"{format_size(sum(rest.values())):>11}  other files: {listed}")
    for path in inventory.foreign:
        write_line(sys.stderr, f"warning: {path} was not created by envy and is ignored")


def _relocatable(entry: EntryReport) -> Relocatable:
    try:
        return relocatable_entry(entry.paths)
    except CacheError as error:
        return Relocatable(error.message)


def _shown(where: Relocatable) -> str:
    if where.why_not:
        return "not relocatable"
    if where.longest_root is None:
        return ""
    return f"relocatable to roots of at most {where.longest_root} bytes"


def _as_json(
    layout: CacheLayout, inventory: Inventory, uses: Uses, rest: Mapping[str, int]
) -> dict[str, object]:
    return {
        "root": str(layout.root),
        "size": sum(entry.size for entry in inventory.entries),
        "entries": [_row(entry, uses) for entry in inventory.entries],
        "rest": rest,
        "foreign": inventory.foreign,
    }


def _row(entry: EntryReport, uses: Uses) -> dict[str, object]:
    recorded = uses.by_entry.get(entry.paths.name, ())
    where = _relocatable(entry)
    moment = datetime.fromtimestamp(used_at(entry, uses), tz=UTC)
    return {
        "identity": entry.identity,
        "key": entry.key,
        "entry_key": entry.entry_key,
        "path": entry.paths.location,
        "complete": entry.complete,
        "size": entry.size,
        "last_used": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "projects": sorted({use.project for use in recorded}),
        "relocatable": entry.complete and not where.why_not,
        "longest_root": where.longest_root,
        "why_not_relocatable": where.why_not if entry.complete else "it is not complete",
    }


def _ago(seconds: float) -> str:
    """Return an age for a column; "just now" if the clock was set back."""
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds // unit:.0f} {name}"
    return "just now"


command = CommandGroup(
    name="cache",
    help=_show.__doc__,
    short_help="Show, verify or clean the cache.",
    params=[
        click.Option(["--json", "as_json"], is_flag=True, help="Print everything as JSON."),
        *common_options(),
    ],
    context_settings=HELP_OPTIONS,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    callback=_show,
)
command.examples = [
    ("envy cache", "every entry, the largest first"),
    ("envy cache --json", "for scripts"),
    ("envy cache gc --dry-run", "what gc would remove"),
    ("envy cache rm cmake", "remove a package"),
]
command.add_command(verify_command, "verify")
command.add_command(gc_command, "gc")
command.add_command(rm_command, "rm")
command.add_command(clear_command, "clear")
command.add_command(forget_command, "forget")
