"""`envy export`: write packages of the project into one file, for another machine's cache."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from envy.cache.export_file import write_export_file
from envy.cache.verify import verify
from envy.cli.options import envy_command
from envy.cli.settings import Settings, absolute_path
from envy.cli.wiring import open_session
from envy.console.text import format_size, write_line
from envy.declarations.key import RecipeKey
from envy.engine.session import Session
from envy.errors import CacheError, GraphError
from envy.graph.recipe import Recipe


@envy_command(
    short_help="Write packages into a file.",
    examples=[
        ("envy export python --output tools.tar.zst", "Python and what it needs to run"),
        ("envy export python cmake -o tools.tar.zst", "several packages"),
    ],
)
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    callback=lambda _context, _parameter, text: absolute_path(text),
    help="The file to write, such as tools.tar.zst.",
)
def command(settings: Settings, queries: tuple[str, ...], output: Path) -> None:
    """Write the packages that QUERY names, and everything they need to run, into one file.

    The packages must be installed. `envy import` adds them to another cache, where a project with
    the same recipes finds them.
    """
    with open_session(settings) as session:
        goals = session.resolved(queries)
        session.require_installed(goals)
        packages = _with_entries(session, goals)
        entries = [
            recipe.placement.entry for recipe in packages if recipe.placement_or_none is not None
        ]
        session.hold_leases(entries)
        for recipe in packages:
            _check(recipe)
        size = write_export_file(str(output), entries, workers=session.cores)
        for recipe in packages:
            write_line(sys.stderr, f"exported {recipe.key}")
    write_line(sys.stdout, f"{output} ({format_size(size)})")


def _with_entries(session: Session, goals: Sequence[RecipeKey]) -> list[Recipe]:
    """Return the packages to export: those with an entry in the cache.

    Raises:
        GraphError: none of the packages has an entry.
    """
    found = [
        recipe
        for recipe in session.wanted()
        if recipe.loaded_or_none is not None and not recipe.user_managed
    ]
    if not found:
        names = ", ".join(key.canonical for key in goals)
        raise GraphError(f"{names}: user-managed packages have no files in the cache to export")
    return found


def _check(recipe: Recipe) -> None:
    damage = verify(recipe.placement.entry)
    if damage:
        raise CacheError(
            f"cannot export {recipe.key}: it is damaged: {damage[0]}",
            path=recipe.placement.entry.directory,
            hint=f"rebuild it: envy cache verify --repair '{recipe.key}'",
        )
