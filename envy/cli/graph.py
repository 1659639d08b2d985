"""`envy graph`: the resolved graph, as text, as data or as a picture."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from envy.cli.options import envy_command
from envy.cli.outcome import print_gaps, resolved
from envy.cli.output import print_data
from envy.cli.settings import Settings, absolute_path
from envy.cli.wiring import open_session
from envy.console.text import write_line
from envy.engine.session import Session
from envy.errors import UsageError
from envy.explain.critical import with_critical_path
from envy.explain.formats import as_dot, as_json, as_mermaid, as_tree
from envy.explain.graphml import as_graphml
from envy.explain.reduction import reduced
from envy.explain.svg import as_svg
from envy.explain.view import GraphView, view_graph
from envy.masking import masked_data

FORMATS: Mapping[str, Callable[[GraphView], str]] = {
    "tree": as_tree,
    "json": as_json,
    "dot": as_dot,
    "mermaid": as_mermaid,
    "svg": as_svg,
    "graphml": as_graphml,
}
_SUFFIXES = {
    ".json": "json",
    ".dot": "dot",
    ".gv": "dot",
    ".mmd": "mermaid",
    ".svg": "svg",
    ".graphml": "graphml",
}
_FORMATS_OF_OTHERS = {".eps", ".gif", ".jpeg", ".jpg", ".pdf", ".png", ".ps", ".webp"}


@envy_command(
    short_help="Show the dependency graph, as text or as a picture.",
    examples=[
        ("envy graph cmake", "what cmake needs, as a tree"),
        ("envy graph --reduce --critical", "the essential edges, and what takes longest"),
        ("envy graph --output graph.graphml", "the graph for networkx or Gephi"),
    ],
)
@click.argument("queries", nargs=-1, metavar="[QUERY]...")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    help="The format to write; the default follows from the name of FILE, or else is a tree.",
)
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@click.option("-o", "--output", metavar="FILE", help="Write to FILE.")
@click.option("--reduce", is_flag=True, help="Leave out dependencies that longer paths imply.")
@click.option("--critical", is_flag=True, help="Mark the path that takes longest to install.")
@click.option(
    "--no-install", is_flag=True, help="Install nothing, not even tools of custom sources."
)
def command(
    settings: Settings,
    queries: tuple[str, ...],
    form: str | None,
    output: str | None,
    *,
    as_json: bool,
    reduce: bool,
    critical: bool,
    no_install: bool,
) -> int:
    """Show the packages of the manifest, or those that match QUERY, with their dependencies.

    Each package is shown with its state and its last completed phase; each dependency with its kind
    (strong, weak, required, source or shell), the phase that needs it, and its use. svg needs no
    Graphviz; graphml is for networkx, Gephi, yEd and Cytoscape.

    --critical finds the longest path through the graph, as if nothing were installed, from the
    durations that earlier runs in this project remembered. --reduce keeps the fewest dependencies
    that still connect the same packages, and those on the critical path.

    If a recipe comes from a custom source, the tools that fetch it are installed first. With
    --no-install they are not, and the packages behind that source stay unknown.
    """
    path = absolute_path(output, what="--output") if output else None
    if as_json and form not in {None, "json"}:
        raise UsageError(f"--json and --format {form} contradict each other")
    form = "json" if as_json else form
    write = FORMATS[_format(form, path)]
    with open_session(settings, owns_stdout=True, installs=not no_install) as session:
        goals = resolved(session, queries)
        session.compute_keys()
        graph = view_graph(session, goals, manifest=session.manifest.path.name)
        if critical:
            graph = _with_critical_path(graph, session)
        code = print_gaps(session)
    graph = masked_data(graph)
    text = write(reduced(graph) if reduce else graph)
    if path is None:
        print_data(text)
    else:
        _write(path, text)
    return code


def _format(form: str | None, path: Path | None) -> str:
    """Return the format to write: as given, or as the name of the file says.

    Raises:
        UsageError: the two contradict each other, or envy cannot write what the name says.
    """
    suffix = path.suffix.lower() if path else ""
    if form is None and suffix in _FORMATS_OF_OTHERS:
        raise UsageError(
            f"--output {path}: envy does not write {suffix[1:].upper()} files",
            hint="write .svg, or .dot and convert it with Graphviz",
        )
    named = _SUFFIXES.get(suffix)
    if form and named and form != named:
        raise UsageError(
            f"--format {form} does not go with --output {path}, a file name for {named}",
            hint="leave out --format, or name the file otherwise",
        )
    return form or named or "tree"


def _with_critical_path(graph: GraphView, session: Session) -> GraphView:
    marked = with_critical_path(graph, session)
    if marked.critical and not marked.critical.is_measured:
        write_line(
            sys.stderr,
            "note: no durations of these packages are remembered yet, so --critical counts every "
            "phase alike; envy sync remembers them",
        )
    return marked


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
