"""A graph without the edges that longer paths already imply."""

from __future__ import annotations

import dataclasses

from envy.explain.view import EdgeView, GraphView


def reduced(graph: GraphView) -> GraphView:
    """Return the transitive reduction: the fewest edges that still connect the same packages.

    Edges on the critical path stay too, so that it can be followed.
    """
    import networkx as nx

    needs = nx.DiGraph()
    needs.add_nodes_from(graph.packages)
    needs.add_edges_from((package.key, edge.target) for package, edge in graph.edges())
    kept = nx.transitive_reduction(needs)
    edges: dict[str, list[EdgeView]] = {key: [] for key in graph.packages}
    for package, edge in graph.edges():
        if kept.has_edge(package.key, edge.target) or graph.is_critical(package, edge):
            edges[package.key].append(edge)
    packages = {
        key: dataclasses.replace(package, edges=tuple(edges[key]))
        for key, package in graph.packages.items()
    }
    return dataclasses.replace(graph, packages=packages)
