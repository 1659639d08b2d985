"""Distances from the manifest, and the package that a query of the user means."""

import networkx as nx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import edge_to, graph_of, key_of, names_of

from envy.declarations.spec import DependencyUse
from envy.errors import AmbiguousQuery, QueryNotFound
from envy.graph.distances import find_nearest, nearest_first, nearest_of, project_packages

NUMBERS = st.integers(0, 9)
EDGES = st.lists(st.tuples(NUMBERS, NUMBERS, st.booleans(), st.booleans()), max_size=30)


def distances(rows):
    return {row.recipe.key.name: row.distance for row in rows}


def project(needs, roots, left_out=()):
    """Return a graph whose manifest lists some packages."""
    graph = graph_of(needs)
    graph.roots += map(key_of, roots)
    graph.left_out.update(map(key_of, left_out))
    return graph


@given(EDGES, st.lists(NUMBERS, min_size=1, max_size=3))
def test_the_distance_is_that_of_the_shortest_way(rows, starts):
    """Only edges to what is needed to run, and is not left out, are steps; nearest come first."""
    needs = {f"n{number}": [] for number in range(10)}
    ways = nx.DiGraph()
    ways.add_nodes_from(needs)
    for one, other, runs, exports in rows:
        if one == other or any(edge.key == key_of(f"n{other}") for edge in needs[f"n{one}"]):
            continue
        use = DependencyUse.RUN if runs else DependencyUse.BUILD
        needs[f"n{one}"].append(edge_to(f"n{other}", use=use, exports=exports))
        if runs and exports:
            ways.add_edge(f"n{one}", f"n{other}")
    names = [f"n{number}" for number in starts]
    found = nearest_first(graph_of(needs), map(key_of, names))
    assert distances(found) == nx.multi_source_dijkstra_path_length(ways, set(names))
    assert [row.distance for row in found] == sorted(row.distance for row in found)


def test_what_the_manifest_leaves_out():
    """A package that is left out starts no way; another way may still lead to it."""
    needs = {"a": ["c"], "b": ["d"], "c": [], "d": []}
    assert distances(project_packages(project(needs, "ab", "a"))) == {"b": 0, "d": 1}
    assert distances(project_packages(project({**needs, "b": ["a"]}, "ab", "a"))) == {
        "b": 0,
        "a": 1,
        "c": 2,
    }


def test_two_needs_export_if_one_does():
    """A dependency that is declared twice is left out only if both entries say so."""
    twice = [edge_to("b", exports=False), edge_to("b")]
    assert distances(project_packages(project({"a": twice, "b": []}, "a"))) == {"a": 0, "b": 1}


def test_the_nearest_of_some():
    """Packages that are used by no program of the project are farther than all others."""
    build = edge_to("z", use=DependencyUse.BUILD)
    graph = project({"a": ["b", build], "b": ["c"], "c": [], "z": ["y"], "y": []}, "a")

    def nearest(names):
        return names_of(nearest_of(graph, [graph.recipes[key_of(name)] for name in names]))

    assert nearest("cb") == ["b"]
    assert nearest("zc") == ["c"]
    assert nearest("zy") == ["z", "y"]
    assert nearest("") == []


def test_a_query_means_the_nearest():
    """Of several matches the nearest is meant; several that are equally near are an error."""
    lib, variant = "local.lib@r1", 'local.lib@r1{v="2"}'
    graph = project({"a": [variant], lib: [], variant: []}, ["a", lib])
    assert find_nearest(graph, "lib").key == key_of(lib)
    assert find_nearest(graph, variant).key == key_of(variant)
    graph = project({lib: [], variant: []}, [lib, variant])
    with pytest.raises(AmbiguousQuery):
        find_nearest(graph, "lib")
    assert find_nearest(graph, lib).key == key_of(lib)
    with pytest.raises(QueryNotFound):
        find_nearest(graph, "nothing")
