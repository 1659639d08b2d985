"""`envy cache verify`: compare packages with their fingerprints, and rebuild damaged packages."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import click

from envy.cache.collect import collecting, empty_trash, remove_now
from envy.cache.downloads import Downloads
from envy.cache.filesystem import explained
from envy.cache.inventory import EntryReport, take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.names import ASSET, DOWNLOADS_FOLDER
from envy.cache.verify import Damage, verify
from envy.cache.verify_downloads import verify_downloads
from envy.cache.wheels import drop_wheels
from envy.cli.cache_entries import choose_entries
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.manifest_path import manifest_path
from envy.cli.options import envy_command
from envy.cli.outcome import install
from envy.cli.settings import Settings
from envy.cli.waiting import wait_for
from envy.cli.wiring import open_session
from envy.console.text import safe_line, write_line
from envy.errors import ManifestError

_MOST_ROWS = 20


@envy_command(
    short_help="Find packages whose files have changed.",
    examples=[
        ("envy cache verify", "check every package"),
        ("envy cache verify python --repair", "check one package, and rebuild it if damaged"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--repair", is_flag=True, help="Remove damaged packages, and rebuild them.")
def command(settings: Settings, queries: tuple[str, ...], *, repair: bool) -> int:
    """Find files that were changed, removed or added since their package was published.

    All packages in the cache are checked, and the downloads that it keeps; with QUERY, only the
    packages that it names. With --repair, what is damaged is removed. Packages that the current
    project needs are rebuilt at once, and the others when a sync needs them. The exit code is 1 if
    something is damaged and was not repaired.
    """
    layout = CacheLayout(cache_root(settings))
    entries = [entry for entry in take_inventory(layout).entries if entry.complete]
    chosen = choose_entries(entries, queries)
    damage = {entry.paths.name: _damage_of(entry, settings) for entry in chosen}
    damaged = [entry for entry in chosen if damage[entry.paths.name]]
    noun = "package" if len(chosen) == 1 else "packages"
    write_line(sys.stdout, f"verified {len(chosen)} {noun}: {len(damaged)} damaged")
    remains = not queries and _verify_downloads(layout, repair=repair)
    if not damaged or not repair:
        return FAILURE if damaged or remains else SUCCESS
    with collecting(layout, wait=wait_for):
        removed = [e for e in damaged if _remove(layout, e, damage[e.paths.name])]
        empty_trash(layout)
    _rebuild(settings, removed)
    return SUCCESS if len(removed) == len(damaged) and not remains else FAILURE


def _verify_downloads(layout: CacheLayout, *, repair: bool) -> bool:
    """Report on the kept downloads; return whether a damaged one remains."""
    count, damaged = 0, []
    for algorithm, digest, damage in verify_downloads(layout):
        count += 1
        if damage:
            damaged.append((algorithm, digest))
            name = f"{DOWNLOADS_FOLDER}/{algorithm}/{digest}"
            write_line(sys.stdout, safe_line(f"{name}: {damage}"))
    if count:
        noun = "download" if count == 1 else "downloads"
        write_line(sys.stdout, f"verified {count} {noun}: {len(damaged)} damaged")
    kept = Downloads(str(layout.root))
    for algorithm, digest in damaged if repair else ():
        kept.drop(algorithm, digest)
    return any(os.path.lexists(kept.path(*row)) for row in damaged)


def _damage_of(entry: EntryReport, settings: Settings) -> Sequence[Damage]:
    """Report and return the damage of an entry."""
    damage = verify(entry.paths)
    for row in damage[:_MOST_ROWS]:
        write_line(sys.stdout, safe_line(f"{entry.key}: {row}"))
    if len(damage) > _MOST_ROWS:
        write_line(sys.stdout, f"{entry.key}: and {len(damage) - _MOST_ROWS} more")
    if settings.verbose and not damage:
        write_line(sys.stdout, f"{entry.key}: undamaged")
    return damage


def _remove(layout: CacheLayout, entry: EntryReport, damage: Sequence[Damage]) -> bool:
    """Remove a damaged entry unless a command uses it; return whether it was removed.

    The wheels that share a damaged file go first, or the rebuilt package would have it again.
    """
    paths = [f"{entry.paths.at(ASSET)}/{row.path}" for row in damage if row.path]
    try:
        drop_wheels(str(layout.uv_root), paths)
    except OSError as error:
        raise explained(error, doing="remove a wheel", path=str(layout.uv_root)) from error
    if remove_now(layout, entry):
        return True
    write_line(sys.stderr, f"{entry.key} is in use; repair it when no other envy is running")
    return False


def _rebuild(settings: Settings, removed: Sequence[EntryReport]) -> None:
    """Rebuild the removed packages that the current project needs."""
    keys = {entry.entry_key: entry.key for entry in removed}
    try:
        manifest = manifest_path(settings)
    except ManifestError:
        manifest = None
    started = time.monotonic()
    if manifest is not None and keys:
        with open_session(replace(settings, manifest=manifest)) as session:
            session.prepare(session.resolved())
            damaged = [recipe for recipe in session.recipes() if recipe.entry_key in keys]
            goals = [recipe.key for recipe in damaged]
            install(session, goals, command="cache verify", started=started)
            for recipe in damaged:
                keys.pop(recipe.entry_key)
                write_line(sys.stdout, f"{recipe.key}: rebuilt")
    for name in keys.values():
        write_line(sys.stdout, f"{name}: removed; the next sync that needs it rebuilds it")
