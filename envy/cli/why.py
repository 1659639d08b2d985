"""`envy why`: show why a package is needed."""

from __future__ import annotations

import click

from envy.cli.options import envy_command
from envy.cli.outcome import print_gaps, resolved
from envy.cli.output import print_data
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_line
from envy.engine.session import Session
from envy.errors import GraphError
from envy.explain.view import view_graph
from envy.explain.why import explain, unused_fallbacks
from envy.masking import masked_data

_PATHS = 10


@envy_command(
    short_help="Show why a package is needed.",
    examples=[
        ("envy why zlib", "every path that leads to zlib"),
        ("envy why cmake --limit 1", "only the shortest path"),
    ],
)
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(settings: Settings, query: str, limit: int, *, no_install: bool, as_json: bool) -> int:
    """Show every path from the manifest to the package that matches QUERY, the shortest first.

    Each step shows the kind of the dependency and where it is declared. If a weak or required
    reference chose the package, the output says which one and why: the package was the only match,
    or the fallback. If several packages match QUERY, each is explained.
    """
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        text = _explained(session, query, limit, as_json=as_json)
        code = print_gaps(session)
    print_data(text)
    return code


def _explained(session: Session, query: str, limit: int, *, as_json: bool) -> str:
    """Return the answer as text or as JSON, without secrets.

    Raises:
        GraphError: no package matches the query.
    """
    resolved(session)
    session.compute_keys()
    found = [recipe for recipe in session.find_matches(query) if not recipe.excluded]
    if not found:
        unused = unused_fallbacks(session, query)
        if unused:
            raise GraphError("\n".join(unused))
        session.find_one(query)
    graph = view_graph(session, session.roots, manifest=session.manifest.path.name)
    if as_json:
        import json

        from envy.explain.why_json import why_document

        targets = [recipe.key.canonical for recipe in found]
        return json.dumps(masked_data(why_document(session, graph, targets, limit=limit)), indent=2)
    lines: list[str] = []
    for recipe in found:
        lines += ["", *explain(session, graph, recipe.key.canonical, limit=limit)]
    return "\n".join(safe_line(line) for line in lines[1:])
