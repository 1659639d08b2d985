"""`envy import`: packages from a file that `envy export` wrote, verified, into the cache."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from envy.cache.bundle_import import ImportedEntry, import_bundle
from envy.cache.layout import CacheLayout
from envy.cli.cache_root import cache_root
from envy.cli.options import envy_command
from envy.cli.settings import Settings, absolute_path
from envy.cli.waiting import wait_for
from envy.console.text import safe_line, write_line
from envy.errors import UsageError


@envy_command(short_help="Bring packages from a file into the cache.")
@click.argument(
    "file",
    metavar="FILE",
    callback=lambda _context, _parameter, text: absolute_path(text),
)
def command(settings: Settings, file: Path) -> None:
    """Bring the packages of FILE, which `envy export` wrote, into the cache.

    Each is verified against its fingerprint first. One that holds the path of the cache it was
    made in is rewritten where its recipe says how (`relocate`); otherwise it is left out, and built
    when it is needed.
    """
    if not file.is_file():
        raise UsageError(f"there is no file {file}", hint="envy export QUERY -o FILE writes one")
    layout = CacheLayout(cache_root(settings))
    for imported in import_bundle(layout, file, wait=wait_for):
        write_line(sys.stdout, safe_line(_told(imported)))


def _told(imported: ImportedEntry) -> str:
    if imported.problem:
        return f"left out {imported.key}: {imported.problem}; it will be built when it is needed"
    if imported.was_there:
        return f"was there {imported.key}"
    return f"imported {imported.key}"
