"""`envy why`: show why a package is needed."""

from __future__ import annotations

import click

from envy.cli.options import envy_command
from envy.cli.output import print_result
from envy.cli.resolved import resolve, tell_what_lacks
from envy.cli.settings import Settings
from envy.cli.wiring import Session, open_session
from envy.console.text import safe_line
from envy.errors import GraphError
from envy.explain.view import view_graph
from envy.explain.why import explain, unused_fallbacks

_PATHS = 10


@envy_command(short_help="Show why a package is needed.")
@click.argument("query")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_PATHS,
    metavar="N",
    help=f"Show at most N paths to the package; {_PATHS} by default.",
)
@click.option(
    "--no-install", is_flag=True, help="Install nothing, not even tools of custom sources."
)
def command(settings: Settings, query: str, limit: int, *, no_install: bool) -> int:
    """Show every path from the manifest to the package that matches QUERY, the shortest first.

    Each step shows the kind of the dependency and where it is declared. If a weak or required
    reference chose the package, the output says which one and why: the package was the only match,
    or the fallback. If several packages match QUERY, each is explained.

    \b
    Examples:
      envy why zlib
      envy why cmake --limit 1     only the shortest path
    """  # noqa: D301 - click keeps the lines below \b as they are
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        lines = _explained(session, query, limit)
        code = tell_what_lacks(session)
    print_result("\n".join(safe_line(line) for line in lines))
    return code


def _explained(session: Session, query: str, limit: int) -> list[str]:
    """Return the lines of the answer.

    Raises:
        GraphError: no package matches the query.
    """
    engine = session.engine
    resolve(session)
    found = [recipe for recipe in engine.graph.find_matches(query) if not recipe.excluded]
    if not found:
        unused = unused_fallbacks(engine, query)
        if unused:
            raise GraphError("\n".join(unused))
        engine.find_one(query)
    graph = view_graph(engine, engine.graph.roots, manifest=session.manifest.path.name)
    lines: list[str] = []
    for recipe in found:
        lines += ["", *explain(engine, graph, recipe.key.canonical, limit=limit)]
    return lines[1:]
