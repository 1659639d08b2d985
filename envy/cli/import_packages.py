"""`envy import`: verify the packages in a file of `envy export`, and add them to the cache."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from envy.cache.export_import import import_export_file
from envy.cache.imported_entry import ImportedEntry
from envy.cache.layout import CacheLayout
from envy.cli.cache_root import cache_root
from envy.cli.options import envy_command
from envy.cli.settings import Settings, absolute_path
from envy.cli.waiting import wait_for
from envy.console.text import safe_line, write_line
from envy.errors import UsageError


@envy_command(
    short_help="Add exported packages to the cache.",
    examples=[
        ("envy import tools.tar.zst", "add the packages to the user's cache"),
        ("envy import tools.tar.zst --cache-root /opt/envy", "to another cache"),
    ],
)
@click.argument(
    "file",
    metavar="FILE",
    callback=lambda _context, _parameter, text: absolute_path(text),
)
def command(settings: Settings, file: Path) -> None:
    """Add the packages of FILE, which `envy export` wrote, to the cache.

    Each package is verified against its fingerprint first. A package that contains the path of the
    cache it was built in is rewritten. If that is impossible, the file and the reason are printed,
    and the package is left out, and built when it is needed.
    """
    if not file.is_file():
        raise UsageError(
            f"there is no file {file}", hint="create one with: envy export QUERY -o FILE"
        )
    layout = CacheLayout(cache_root(settings))
    for imported in import_export_file(layout, file, wait=wait_for):
        write_line(sys.stdout, safe_line(_line(imported)))


def _line(imported: ImportedEntry) -> str:
    if imported.problem:
        return f"left out {imported.key}: {imported.problem}; it will be built when it is needed"
    if imported.was_there:
        return f"already there {imported.key}"
    return f"imported {imported.key}"
