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
    help=f"Show at most N ways that lead to it; {_PATHS} by default.",
)
@click.option("--no-install", is_flag=True, help="Install nothing, not even for custom sources.")
def command(settings: Settings, query: str, limit: int, *, no_install: bool) -> int:
    """Show every way from the manifest to the package that QUERY names, the shortest first.

    Each step tells the kind of the dependency and where it is declared. Where a reference chose the
    package, it is told whose, and why: it was the one that answered, or the fallback of a weak one.
    If several packages answer to QUERY, each is explained.
    """
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        lines = _explained(session, query, limit)
        code = tell_what_lacks(session)
    print_result("\n".join(safe_line(line) for line in lines))
    return code


def _explained(session: Session, query: str, limit: int) -> list[str]:
    """The whole answer.

    Raises:
        GraphError: nothing answers to the query.
    """
    engine = session.engine
    resolve(session)
    found = [recipe for recipe in engine.find_matches(query) if not recipe.excluded]
    if not found:
        unused = unused_fallbacks(engine, query)
        if unused:
            raise GraphError("\n".join(unused))
        engine.find_one(query)
    graph = view_graph(engine, engine.roots, manifest=session.manifest.path.name)
    lines: list[str] = []
    for recipe in found:
        lines += ["", *explain(engine, graph, recipe.key.canonical, limit=limit)]
    return lines[1:]
