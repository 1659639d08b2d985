"""The graph as a tree for a terminal, as JSON, as DOT and as Mermaid."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

from envy.explain.view import EdgeView, GraphView, PackageView, State

_DOT_NODES = {
    State.CACHED: 'style="filled,rounded" fillcolor="#d9ead3"',
    State.MISSING: 'style="filled,rounded" fillcolor="#ffffff"',
    State.USER_MANAGED: 'style="filled" fillcolor="#cfe2f3"',
    State.HELD: 'style="filled,rounded,dashed" fillcolor="#fff2cc"',
    State.EXCLUDED: 'style="filled,rounded,dashed" fillcolor="#eeeeee"',
    State.FAILED: 'style="filled,rounded" fillcolor="#f4cccc"',
}
_DOT_EDGES = {"weak": "dashed", "required": "bold", "shell": "dotted"}
_MERMAID_STYLES = {
    State.CACHED: "fill:#d9ead3,stroke:#38761d,color:#000",
    State.MISSING: "fill:#ffffff,stroke:#666,color:#000",
    State.USER_MANAGED: "fill:#cfe2f3,stroke:#0b5394,color:#000",
    State.HELD: "fill:#fff2cc,stroke:#bf9000,color:#000,stroke-dasharray:4",
    State.EXCLUDED: "fill:#eeeeee,stroke:#999,color:#666,stroke-dasharray:4",
    State.FAILED: "fill:#f4cccc,stroke:#990000,color:#000",
}
_MERMAID_ARROWS = {"weak": "-.->", "required": "==>"}


def as_tree(graph: GraphView) -> str:
    """Each root with what it needs below it; what stands there already is not told twice."""
    lines: list[str] = []
    told: set[str] = set()
    for root in graph.roots:
        lines.append(_tree_line(graph.packages[root], "", told))
        lines += _branches(graph, root, told)
    return "\n".join(lines) + "\n" if lines else "(no packages)\n"


def _branches(graph: GraphView, root: str, told: set[str]) -> Iterator[str]:
    """The lines below a root; a loop, since a graph may be thousands deep."""
    if root in told:
        return
    told.add(root)
    stack = [("", iter(_with_last(graph.packages[root].edges)))]
    while stack:
        indent, rest = stack[-1]
        following = next(rest, None)
        if following is None:
            stack.pop()
            continue
        edge, is_last = following
        package = graph.packages[edge.target]
        branch = "└── " if is_last else "├── "
        yield indent + branch + _tree_line(package, f" ({edge.label})", told)
        if package.edges and edge.target not in told:
            told.add(edge.target)
            deeper = indent + ("    " if is_last else "│   ")
            stack.append((deeper, iter(_with_last(package.edges))))


def _with_last(edges: tuple[EdgeView, ...]) -> list[tuple[EdgeView, bool]]:
    return [(edge, position == len(edges) - 1) for position, edge in enumerate(edges)]


def _tree_line(package: PackageView, suffix: str, told: set[str]) -> str:
    repeated = " (see above)" if package.key in told and package.edges else ""
    return f"{package.key} [{status(package)}]{suffix}{repeated}"


def status(package: PackageView) -> str:
    """What is told of a package in a picture: how it stands, how far it has come, its names."""
    words = [package.state.value]
    if package.phase != "recipe_fetch":
        words.append(f"phase {package.phase}")
    if package.custom_source:
        words.append("custom source")
    if package.aliases:
        words.append("alias " + ", ".join(package.aliases))
    return "; ".join(words)


def as_json(graph: GraphView) -> str:
    """Everything that is known of the graph."""
    document = {
        "platform": graph.platform,
        "manifest": graph.manifest,
        "roots": list(graph.roots),
        "packages": [_package_json(package) for package in graph.packages.values()],
    }
    return json.dumps(document, indent=2) + "\n"


def _package_json(package: PackageView) -> dict[str, object]:
    row = {field.name: getattr(package, field.name) for field in dataclasses.fields(package)}
    row["state"] = package.state.name.lower()
    row["cached"] = package.state is State.CACHED
    row["edges"] = [dataclasses.asdict(edge) for edge in package.edges]
    return row


def as_dot(graph: GraphView) -> str:
    """For Graphviz, and for what reads its language."""
    lines = [
        "digraph envy {",
        "  rankdir=LR;",
        '  node [shape=box fontname="sans-serif"];',
        '  edge [fontname="sans-serif" fontsize=10];',
    ]
    for package in graph.packages.values():
        pen = " penwidth=2" if package.key in graph.roots else ""
        label = f"{_dot_text(package.key)}\\n{_dot_text(status(package))}"
        lines.append(
            f'  "{_dot_text(package.key)}" [label="{label}" {_DOT_NODES[package.state]}{pen}];'
        )
    for package, edge in graph.edges():
        style = "tapered" if edge.of_source else _DOT_EDGES.get(edge.kind, "solid")
        head = " arrowhead=odot" if edge.of_source else ""
        style = "solid" if edge.of_source else style
        lines.append(
            f'  "{_dot_text(package.key)}" -> "{_dot_text(edge.target)}" '
            f'[label="{_dot_text(edge.label)}" style={style}{head}];'
        )
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def as_mermaid(graph: GraphView) -> str:
    """For pages that draw Mermaid, such as those of the docs."""
    names = {key: f"p{number}" for number, key in enumerate(graph.packages)}
    lines = ["flowchart LR"]
    for package in graph.packages.values():
        text = f"{_mermaid_text(package.key)}<br/>{_mermaid_text(status(package))}"
        opening, closing = ('["', '"]') if package.user_managed else ('("', '")')
        lines.append(f"  {names[package.key]}{opening}{text}{closing}")
    for package, edge in graph.edges():
        arrow = "--o" if edge.of_source else _MERMAID_ARROWS.get(edge.kind, "-->")
        lines.append(
            f'  {names[package.key]} {arrow}|"{_mermaid_text(edge.label)}"| {names[edge.target]}'
        )
    for state in State:
        members = [names[row.key] for row in graph.packages.values() if row.state is state]
        if members:
            name = state.name.lower()
            lines.append(f"  classDef {name} {_MERMAID_STYLES[state]}")
            lines.append(f"  class {','.join(members)} {name}")
    return "\n".join(lines) + "\n"


def _mermaid_text(text: str) -> str:
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text.replace("`", "#96;")
