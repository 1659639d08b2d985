"""`envy export`: packages of the project as one file, for the cache of another machine."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from envy.cache.bundle import write_bundle
from envy.cache.verify import verify
from envy.cli.locate import require_installed
from envy.cli.options import envy_command
from envy.cli.settings import Settings, absolute_path
from envy.cli.wiring import Session, open_session
from envy.console.text import format_size, write_line
from envy.errors import CacheError, GraphError
from envy.graph.recipe import Recipe


@envy_command(short_help="Write packages into a file.")
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
    """Write the packages that QUERY names, and what they need to run, into one file.

    They must be installed. `envy import` brings them into another cache, where a project with the
    same recipes finds them.
    """
    with open_session(settings) as session:
        session.engine.resolve_graph(session.manifest.packages)
        goals = session.engine.checked_goals(queries)
        recipes = [session.engine.graph.recipes[key] for key in goals]
        require_installed(session.engine, recipes)
        packages = _with_entries(session, recipes)
        entries = [
            recipe.placement.entry for recipe in packages if recipe.placement_or_none is not None
        ]
        session.engine.lease.hold(entry.name for entry in entries)
        for recipe in packages:
            _check(recipe)
        size = write_bundle(str(output), entries, workers=session.services.cores)
        for recipe in packages:
            write_line(sys.stderr, f"exported {recipe.key}")
    write_line(sys.stdout, f"{output} ({format_size(size)})")


def _with_entries(session: Session, asked: list[Recipe]) -> list[Recipe]:
    """What is to be exported; a user-managed package has nothing that could be.

    Raises:
        GraphError: nothing of what was asked for has an entry.
    """
    found = [
        recipe
        for recipe in session.engine.wanted()
        if recipe.loaded_or_none is not None and not recipe.user_managed
    ]
    if not found:
        names = ", ".join(recipe.key.canonical for recipe in asked)
        raise GraphError(f"{names}: user-managed packages have nothing in the cache to export")
    return found


def _check(recipe: Recipe) -> None:
    damage = verify(recipe.placement.entry)
    if damage:
        raise CacheError(
            f"cannot export {recipe.key}, it is damaged: {damage[0]}",
            path=recipe.placement.entry.directory,
            hint=f"make it anew: envy cache verify --repair '{recipe.key}'",
        )
