"""The transitive reduction: the fewest edges that connect the same packages."""

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st
from views import edge, graph, package

from envy.explain.reduction import reduced


def pairs(shown):
    """Return the keys at both ends of each edge."""
    return {(row.key, needed.target) for row, needed in shown.edges()}


@given(st.data())
@settings(deadline=None)
def test_implied_edges_are_removed(data):
    """The same packages are connected, and each edge is the only path between its ends."""
    names = [f"l.p{number}@r1" for number in range(data.draw(st.integers(1, 8)))]
    packages = []
    for position, name in enumerate(names):
        later = names[position + 1 :]
        packages.append(
            package(name, *(data.draw(st.sets(st.sampled_from(later))) if later else ()))
        )
    shown = graph(*packages, roots=names)
    before, after = nx.DiGraph(pairs(shown)), nx.DiGraph(pairs(reduced(shown)))
    assert pairs(nx_closure(before)) == pairs(nx_closure(after))
    for above, below in after.edges:
        rest = after.copy()
        rest.remove_edge(above, below)
        assert not nx.has_path(rest, above, below)


def nx_closure(drawn):
    """Return a graph with an edge for every pair of packages that a path connects."""
    closure = nx.transitive_closure_dag(drawn)
    return graph(*[package(name, *closure[name]) for name in closure], roots=[])


def test_remaining_edges_keep_their_fields():
    """All edges between two packages stay or are removed together, with all their fields."""
    source = edge("l.lib@r1", of_source=True, needed_by="recipe_fetch")
    weak = edge("l.lib@r1", kind="weak", looked_for="lib", needed_by="build", use="build")
    shown = graph(
        package("l.app@r1", source, weak, "l.zlib@r1", is_root=True, aliases=("app",)),
        package("l.lib@r1", edge("l.zlib@r1", product="zlib.h")),
        package("l.zlib@r1"),
        roots=["l.app@r1"],
    )
    result = reduced(shown)
    assert result.packages["l.app@r1"].edges == (source, weak)
    assert result.packages["l.app@r1"].aliases == ("app",)
    assert result.packages["l.lib@r1"] == shown.packages["l.lib@r1"]


def test_a_graph_without_packages_is_reduced():
    """An empty graph is its own reduction."""
    assert reduced(graph(roots=[])) == graph(roots=[])
