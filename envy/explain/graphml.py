"""The graph as GraphML, for networkx, igraph, Gephi, yEd and Cytoscape."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from envy.console.text import escape_controls
from envy.explain.view import EdgeView, GraphView, PackageView, State

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

Attributes = dict[str, str | bool | float]


def as_graphml(graph: GraphView) -> str:
    """Return the graph as a GraphML document.

    A node's id is the canonical key of its package. Lists are text, joined by ", "; options are
    JSON. XML has no control characters, so any in a key or an option are spelled out.
    """
    import networkx as nx
    from networkx.readwrite.graphml import GraphMLWriter

    drawn = nx.MultiDiGraph(platform=graph.platform, manifest=graph.manifest)
    if graph.critical:
        drawn.graph["critical_unit"] = graph.critical.unit
        drawn.graph["critical_total"] = round(graph.critical.total, 3)
    for package in graph.packages.values():
        drawn.add_node(escape_controls(package.key), **_node(graph, package))
    for number, (package, edge) in enumerate(graph.edges()):
        drawn.add_edge(
            escape_controls(package.key),
            escape_controls(edge.target),
            key=f"e{number}",
            **_edge(graph, package, edge),
        )
    writer = GraphMLWriter(graph=drawn, prettyprint=True)
    _spell_booleans(writer.xml)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{str(writer).rstrip()}\n'


def _spell_booleans(document: Element) -> None:
    """Write `true` and `false`, as XML has them; networkx writes what Python prints."""
    booleans = {key.get("id") for key in document.iter("key") if key.get("attr.type") == "boolean"}
    for data in document.iter("data"):
        if data.get("key") in booleans and data.text:
            data.text = data.text.lower()


def _node(graph: GraphView, package: PackageView) -> Attributes:
    row: Attributes = {
        "key": package.key,
        "identity": package.identity,
        "options": json.dumps(package.options),
        "aliases": ", ".join(package.aliases),
        "state": package.state.name.lower(),
        "cached": package.state is State.CACHED,
        "phase": package.phase,
        "user_managed": package.user_managed,
        "custom_source": package.custom_source,
        "bundle": package.bundle,
        "is_root": package.is_root,
        "entry_key": package.entry_key,
        "asset_dir": package.asset_dir,
        "products": ", ".join(package.products),
        "origin": package.origin,
        "reason": package.reason,
    }
    if graph.critical:
        row["critical"] = graph.is_critical(package)
        row["critical_amount"] = round(graph.critical.amounts.get(package.key, 0.0), 3)
    return _safe(row)


def _edge(graph: GraphView, package: PackageView, edge: EdgeView) -> Attributes:
    row: Attributes = {
        "kind": edge.kind,
        "of_source": edge.of_source,
        "needed_by": edge.needed_by,
        "use": edge.use,
        "product": edge.product,
        "looked_for": edge.looked_for,
        "by_fallback": edge.by_fallback,
        "origin": edge.origin,
    }
    if graph.critical:
        row["critical"] = graph.is_critical(package, edge)
    return _safe(row)


def _safe(row: Attributes) -> Attributes:
    return {
        name: escape_controls(value) if isinstance(value, str) else value
        for name, value in row.items()
    }
