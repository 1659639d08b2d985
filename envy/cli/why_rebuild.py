"""`envy why-rebuild`: explain which ingredient of a package's entry key has changed."""

from __future__ import annotations

import sys

import click

from envy.cache.resolutions import Upstream
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line, write_line
from envy.engine.session import Session
from envy.graph.recipe import Recipe


@envy_command(
    short_help="Explain why a package would be rebuilt.",
    examples=[
        ("envy why-rebuild python", "what changed since the last build"),
        ("envy why-rebuild 'cmake{debug=true}'", "of one variant"),
    ],
)
@click.argument("query")
def command(settings: Settings, query: str) -> None:
    """Explain what changed since the package that QUERY names was last built; build nothing.

    The package is compared with the most similar entry of the cache. The difference may be a line
    of the recipe, an option, a source, an input, a dependency, the platform, or a program of this
    machine.
    """
    with open_session(settings, upstream=Upstream.ASKED) as session:
        recipe = session.locate(query)
        session.prepare([recipe.key])
        failure = session.failure_of(recipe.key)
        if failure is not None:
            raise failure
        lines = explain(session, recipe)
    for line in lines:
        write_line(sys.stdout, safe_line(line))


def explain(session: Session, recipe: Recipe) -> list[str]:
    """Return the lines that explain one package."""
    missing = session.explain_missing(recipe)
    if missing is None:
        where = recipe.placement.entry.directory
        return [f"{recipe.key} would not be built: it is in the cache, {where}"]
    if missing.relocated:
        return [f"{recipe.key} would not be built: {missing.reason}"]
    lines = [f"{recipe.key} would be built: {missing.reason}"]
    if missing.changes:
        lines += ["changes since the last build:", *(f"  {line}" for line in missing.changes)]
    else:
        lines.append("there is no earlier entry that differs from it")
    return lines
