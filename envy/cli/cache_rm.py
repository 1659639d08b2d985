"""`envy cache rm`: remove the named packages from the cache."""

from __future__ import annotations

import sys

import click

from envy.cache.collect import collecting, empty_trash, remove_now
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cli.cache_entries import choose_entries, labels
from envy.cli.cache_gc import attempt, report_problems
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.waiting import wait_for
from envy.console.text import format_size, write_line
from envy.errors import CacheError


@envy_command(
    short_help="Remove packages by name.",
    examples=[
        ("envy cache rm cmake", "remove every version of cmake"),
        ("envy cache rm envy.cmake@r1 3f2a91c04be7d85a", "by identity, and by entry key"),
    ],
)
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@click.option(
    "-n", "--dry-run", is_flag=True, help="Show what would be removed, without removing it."
)
def command(settings: Settings, queries: tuple[str, ...], *, dry_run: bool) -> int:
    """Remove every package in the cache that QUERY names, whichever project uses it.

    The next sync that needs a removed package builds it again. A package that a running command
    uses stays, and the exit code is 1. QUERY can also be the first digits of an entry key.
    """
    layout = CacheLayout(cache_root(settings))
    inventory = take_inventory(layout)
    chosen = choose_entries(inventory.entries, queries)
    label = labels(inventory.entries)
    if dry_run:
        for entry in chosen:
            row = f"{format_size(entry.size):>11}  {label[entry.paths.name]}"
            write_line(sys.stdout, f"goes     {row}")
        return report_problems(inventory.unreadable)
    problems, busy, freed = list(inventory.unreadable), 0, 0
    with collecting(layout, wait=wait_for):
        for entry in chosen:
            row = f"{format_size(entry.size):>11}  {label[entry.paths.name]}"
            try:
                removed = remove_now(layout, entry)
            except CacheError as error:
                problems.append(error)
                continue
            busy += not removed
            freed += entry.size if removed else 0
            word = "removed" if removed else "kept"
            reason = "" if removed else ": a running command uses it"
            write_line(sys.stdout, f"{word:8} {row}{reason}")
        problems += attempt(lambda: empty_trash(layout))
    write_line(sys.stdout, f"freed {format_size(freed)} ({freed} bytes)")
    return report_problems(problems) or (FAILURE if busy else 0)
