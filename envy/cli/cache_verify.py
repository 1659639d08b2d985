"""`envy cache verify`: compare packages with their fingerprints, and make damaged ones anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import click

from envy.cache.collect import collecting, empty_trash, move_to_trash
from envy.cache.inventory import EntryReport, take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.lock import FileLock
from envy.cache.verify import verify
from envy.cli.cache_root import cache_root
from envy.cli.exit_codes import FAILURE, SUCCESS
from envy.cli.options import envy_command
from envy.cli.outcome import end_unless_done
from envy.cli.settings import Settings, current_directory
from envy.cli.waiting import wait_for
from envy.cli.wiring import open_session
from envy.console.text import safe_line, write_line
from envy.declarations.key import Query, RecipeKey
from envy.declarations.manifest_search import find_manifest
from envy.errors import DeclarationError, ManifestError, QueryNotFound

_MOST_ROWS = 20


@envy_command(short_help="Compare packages with what was published.")
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option("--repair", is_flag=True, help="Remove damaged packages, and make them anew.")
def command(settings: Settings, queries: tuple[str, ...], *, repair: bool) -> int:
    """Look for files of packages that changed, are missing or were added since they were published.

    All packages in the cache are looked at, or those that QUERY names. With --repair, damaged ones
    are removed; those that the project here needs are made anew at once, others when a sync needs
    them. The exit code is 1 if something is damaged and was not repaired.
    """
    layout = CacheLayout(cache_root(settings))
    entries = [entry for entry in take_inventory(layout).entries if entry.complete]
    chosen = _chosen(entries, queries)
    damaged = [entry for entry in chosen if not _is_sound(entry, settings)]
    noun = "package" if len(chosen) == 1 else "packages"
    write_line(sys.stdout, f"verified {len(chosen)} {noun}: {len(damaged)} damaged")
    if not damaged or not repair:
        return FAILURE if damaged else SUCCESS
    with collecting(layout, wait=wait_for):
        removed = [entry for entry in damaged if _remove(layout, entry)]
        empty_trash(layout)
    _make_anew(settings, removed)
    return SUCCESS if len(removed) == len(damaged) else FAILURE


def _chosen(entries: Sequence[EntryReport], queries: Sequence[str]) -> list[EntryReport]:
    """The entries that answer to any of the queries; all of them without one.

    Raises:
        QueryNotFound: no entry answers to a query.
    """
    if not queries:
        return list(entries)
    chosen: dict[str, EntryReport] = {}
    for text in queries:
        query = Query.parse(text)
        found = {entry.paths.name: entry for entry in entries if _answers(query, entry)}
        if not found:
            raise QueryNotFound(text, hint="see what is in the cache with `envy cache`")
        chosen.update(found)
    return list(chosen.values())


def _answers(query: Query, entry: EntryReport) -> bool:
    try:
        return query.matches(RecipeKey.parse(entry.key))
    except DeclarationError:
        return False


def _is_sound(entry: EntryReport, settings: Settings) -> bool:
    damage = verify(entry.paths)
    for row in damage[:_MOST_ROWS]:
        write_line(sys.stdout, safe_line(f"{entry.key}: {row}"))
    if len(damage) > _MOST_ROWS:
        write_line(sys.stdout, f"{entry.key}: and {len(damage) - _MOST_ROWS} more")
    if settings.verbose and not damage:
        write_line(sys.stdout, f"{entry.key}: sound")
    return not damage


def _remove(layout: CacheLayout, entry: EntryReport) -> bool:
    """Take a damaged entry away, unless a command relies upon it."""
    lock = FileLock(layout.lock_of(entry.paths))
    if lock.try_acquire():
        try:
            with gate(layout):
                if entry.paths.name not in leased_names(layout):
                    move_to_trash(layout, entry.paths)
                    return True
        finally:
            lock.release()
    write_line(sys.stderr, f"{entry.key} is in use; repair it when no other envy runs")
    return False


def _make_anew(settings: Settings, removed: Sequence[EntryReport]) -> None:
    """Build what the project here needs of what was removed."""
    keys = {entry.entry_key: entry.key for entry in removed}
    try:
        manifest = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    except ManifestError:
        manifest = None
    started = time.monotonic()
    if manifest is not None and keys:
        with open_session(replace(settings, manifest=manifest)) as session:
            engine = session.engine
            engine.resolve_graph(session.manifest.packages)
            engine.prepare(
                [key for key in engine.graph.roots if not engine.graph.recipes[key].excluded]
            )
            goals = [
                key for key, recipe in engine.graph.recipes.items() if recipe.entry_key in keys
            ]
            results = engine.run_full(goals)
            end_unless_done(results, engine, command="cache verify", started=started)
            for key in goals:
                keys.pop(engine.graph.recipes[key].entry_key)
                write_line(sys.stdout, f"{key}: made anew")
    for name in keys.values():
        write_line(sys.stdout, f"{name}: removed; the next sync that needs it makes it anew")
