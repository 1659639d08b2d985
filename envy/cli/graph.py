"""`envy graph`: the resolved graph, as text, as data or as a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import click

from envy.cli.options import envy_command
from envy.cli.output import print_result
from envy.cli.resolved import resolve, tell_what_lacks
from envy.cli.settings import Settings, absolute_path
from envy.cli.wiring import open_session
from envy.errors import UsageError
from envy.explain.formats import as_dot, as_json, as_mermaid, as_tree
from envy.explain.svg import as_svg
from envy.explain.view import GraphView, view_graph

FORMATS: Mapping[str, Callable[[GraphView], str]] = {
    "tree": as_tree,
    "json": as_json,
    "dot": as_dot,
    "mermaid": as_mermaid,
    "svg": as_svg,
}
_SUFFIXES = {".json": "json", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".svg": "svg"}


@envy_command(short_help="Show what needs what, as text or as a picture.")
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="What to write; by default what the name of FILE says, or else a tree.",
)
@click.option("-o", "--output", metavar="FILE", help="Write to FILE.")
@click.option("--no-install", is_flag=True, help="Install nothing, not even for custom sources.")
def command(
    settings: Settings,
    queries: tuple[str, ...],
    form: str | None,
    output: str | None,
    *,
    no_install: bool,
) -> int:
    """Show the packages of the manifest, or those that QUERY names, with all that they need.

    Each package tells whether it is installed and how far it has come; each dependency its kind
    (strong, weak, required, source or shell), before which phase it is needed, and what for. svg
    needs no Graphviz.

    Where the recipe of a package comes from a custom source, the tools that fetch it are installed
    first; with --no-install they are not, and what is behind stays unknown.
    """
    path = absolute_path(output, what="--output") if output else None
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        goals = resolve(session, queries)
        graph = view_graph(session.engine, goals, manifest=session.manifest.path.name)
        code = tell_what_lacks(session)
    text = FORMATS[form or _SUFFIXES.get(path.suffix if path else "", "tree")](graph)
    if path is None:
        print_result(text)
    else:
        _write(path, text)
    return code


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
