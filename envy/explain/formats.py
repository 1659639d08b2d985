"""The graph as a tree for a terminal, as JSON, as DOT and as Mermaid."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping

from envy.explain.view import CriticalPath, EdgeView, GraphView, PackageView, State

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
_DOT_CRITICAL = ' color="#c00000" penwidth=3'
_MERMAID_CRITICAL = "stroke:#c00000,stroke-width:3px"


def as_tree(graph: GraphView) -> str:
    """Return each root with its dependencies below it; a repeated package is not expanded."""
    lines: list[str] = []
    seen: set[str] = set()
    for root in graph.roots:
        lines.append(_tree_line(graph, graph.packages[root], "", seen))
        lines += _branches(graph, root, seen)
    if not lines:
        return "(no packages)\n"
    return "\n".join([*lines, *_critical_lines(graph)]) + "\n"


def _critical_lines(graph: GraphView) -> Iterator[str]:
    """Yield the critical path as a table, below a line with its total."""
    path = graph.critical
    if path is None:
        return
    yield ""
    yield f"{critical_total(path)}:"
    width = max(len(key) for key in path.amounts)
    for key, amount in path.amounts.items():
        yield f"  {key:<{width}}  {path.text(amount)}"


def critical_total(path: CriticalPath) -> str:
    """Return one line with the length of the critical path."""
    count = len(path.amounts)
    packages = f"{count} package{'' if count == 1 else 's'}"
    return f"critical path: {path.text(path.total)} through {packages}"


def _branches(graph: GraphView, root: str, seen: set[str]) -> Iterator[str]:
    """Yield the lines below a root; a loop, because a graph may be thousands of levels deep."""
    if root in seen:
        return
    seen.add(root)
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
        yield indent + branch + _tree_line(graph, package, f" ({edge.label})", seen)
        if package.edges and edge.target not in seen:
            seen.add(edge.target)
            deeper = indent + ("    " if is_last else "│   ")
            stack.append((deeper, iter(_with_last(package.edges))))


def _with_last(edges: tuple[EdgeView, ...]) -> list[tuple[EdgeView, bool]]:
    return [(edge, position == len(edges) - 1) for position, edge in enumerate(edges)]


def _tree_line(graph: GraphView, package: PackageView, suffix: str, seen: set[str]) -> str:
    repeated = " (see above)" if package.key in seen and package.edges else ""
    return f"{package.key} [{status(graph, package)}]{suffix}{repeated}"


def status(graph: GraphView, package: PackageView) -> str:
    """Return the short description of a package: its state, last completed phase and aliases."""
    words = [package.state.value]
    if graph.critical and graph.is_critical(package):
        words.append(f"critical {graph.critical.text(graph.critical.amounts[package.key])}")
    if package.phase != "recipe_fetch":
        words.append(f"phase {package.phase}")
    if package.custom_source:
        words.append("custom source")
    if package.bundle:
        words.append(f"bundle {package.bundle}")
    if package.aliases:
        words.append("alias " + ", ".join(package.aliases))
    return "; ".join(words)


def as_json(graph: GraphView) -> str:
    """Return everything known about the graph as JSON."""
    document: dict[str, object] = {
        "platform": graph.platform,
        "manifest": graph.manifest,
        "roots": list(graph.roots),
        "packages": [_package_json(graph, package) for package in graph.packages.values()],
    }
    if graph.critical:
        document["critical_path"] = _critical_json(graph.critical)
    return json.dumps(document, indent=2) + "\n"


def _package_json(graph: GraphView, package: PackageView) -> dict[str, object]:
    row = {field.name: getattr(package, field.name) for field in dataclasses.fields(package)}
    row["state"] = package.state.name.lower()
    row["cached"] = package.state is State.CACHED
    row["edges"] = edges = [dataclasses.asdict(edge) for edge in package.edges]
    if graph.critical:
        row["critical"] = graph.is_critical(package)
        for edge, edge_row in zip(package.edges, edges, strict=True):
            edge_row["critical"] = graph.is_critical(package, edge)
    return row


def _critical_json(path: CriticalPath) -> dict[str, object]:
    return {
        "unit": path.unit,
        "total": round(path.total, 3),
        "steps": [
            {"key": key, path.unit: round(amount, 3)} for key, amount in path.amounts.items()
        ],
    }


def as_dot(graph: GraphView) -> str:
    """Return the graph in DOT, the language of Graphviz."""
    lines = [
        "digraph envy {",
        "  rankdir=LR;",
        '  node [shape=box fontname="sans-serif"];',
        '  edge [fontname="sans-serif" fontsize=10];',
    ]
    if graph.critical:
        lines.append(f'  label="{critical_total(graph.critical)}" fontname="sans-serif";')
    for package in graph.packages.values():
        pen = " penwidth=2" if package.key in graph.roots else ""
        pen = _DOT_CRITICAL if graph.is_critical(package) else pen
        label = f"{_dot_text(package.key)}\\n{_dot_text(status(graph, package))}"
        lines.append(
            f'  "{_dot_text(package.key)}" [label="{label}" {_DOT_NODES[package.state]}{pen}];'
        )
    for package, edge in graph.edges():
        style = "tapered" if edge.of_source else _DOT_EDGES.get(edge.kind, "solid")
        head = " arrowhead=odot" if edge.of_source else ""
        style = "solid" if edge.of_source else style
        pen = _DOT_CRITICAL if graph.is_critical(package, edge) else ""
        lines.append(
            f'  "{_dot_text(package.key)}" -> "{_dot_text(edge.target)}" '
            f'[label="{_dot_text(edge.label)}" style={style}{head}{pen}];'
        )
    return "\n".join([*lines, "}"]) + "\n"


def _dot_text(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def as_mermaid(graph: GraphView) -> str:
    """Return the graph as a Mermaid flowchart, for pages that render Mermaid."""
    names = {key: f"p{number}" for number, key in enumerate(graph.packages)}
    lines = ["flowchart LR"]
    if graph.critical:
        lines = ["---", f'title: "{critical_total(graph.critical)}"', "---", *lines]
    for package in graph.packages.values():
        text = f"{_mermaid_text(package.key)}<br/>{_mermaid_text(status(graph, package))}"
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
    lines += _mermaid_critical(graph, names)
    return "\n".join(lines) + "\n"


def _mermaid_critical(graph: GraphView, names: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines that emphasise the critical path; Mermaid numbers links in order."""
    if not graph.critical or not graph.critical.amounts:
        return
    yield f"  classDef critical {_MERMAID_CRITICAL}"
    yield f"  class {','.join(names[key] for key in graph.critical.amounts)} critical"
    for number, (package, edge) in enumerate(graph.edges()):
        if graph.is_critical(package, edge):
            yield f"  linkStyle {number} {_MERMAID_CRITICAL}"


def _mermaid_text(text: str) -> str:
    for character, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text.replace("`", "#96;")
