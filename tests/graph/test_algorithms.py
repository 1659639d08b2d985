"""Algorithms on graphs: orders, cycles and paths, compared with networkx."""

import itertools

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.graph.algorithms import dependencies_first, path_from_roots, shortest_cycle

NODES = st.integers(0, 9)


def graph_of(edges):
    """Return a mapping from each node to its neighbours, in the given order."""
    graph = {node: [] for node in range(10)}
    for here, there in edges:
        if there not in graph[here]:
            graph[here].append(there)
    return graph


any_graph = st.lists(st.tuples(NODES, NODES), max_size=24).map(graph_of)
acyclic_graph = st.lists(st.tuples(NODES, NODES).filter(lambda e: e[0] < e[1]), max_size=30).map(
    graph_of
)


def least_cycle(graph):
    """Return the shortest cycle, starting at its least node; of several, the least."""
    cycles = []
    for cycle in nx.simple_cycles(nx.DiGraph(graph)):
        least = cycle.index(min(cycle))
        cycles.append(cycle[least:] + cycle[:least])
    return min(cycles, key=lambda cycle: (len(cycle), cycle), default=None)


@settings(max_examples=400, deadline=None)
@given(any_graph)
def test_the_cycle_is_the_shortest_and_least(graph):
    """The cycle is the shortest, from its least node on; None means that there is no cycle."""
    assert shortest_cycle(graph) == least_cycle(graph)


@settings(max_examples=200, deadline=None)
@given(any_graph, st.randoms(use_true_random=False))
def test_the_cycle_does_not_depend_on_the_order_of_anything(graph, dice):
    """Nodes and neighbours in any order give the same cycle."""
    nodes = list(graph)
    dice.shuffle(nodes)
    shuffled = {node: dice.sample(graph[node], len(graph[node])) for node in nodes}
    assert shortest_cycle(shuffled) == shortest_cycle(graph)


@settings(max_examples=200, deadline=None)
@given(acyclic_graph, st.lists(NODES, max_size=4))
def test_each_node_comes_after_all_it_needs(graph, roots):
    """Everything that the roots reach is listed once, dependencies first, and nothing else."""
    order = dependencies_first(roots, graph.__getitem__)
    whole = nx.DiGraph(graph)
    reachable = {one for root in roots for one in {root, *nx.descendants(whole, root)}}
    assert sorted(order) == sorted(reachable)
    place = {node: position for position, node in enumerate(order)}
    assert all(place[there] < place[here] for here in order for there in graph[here])


@settings(max_examples=200, deadline=None)
@given(any_graph, NODES, st.lists(NODES, min_size=1, max_size=3))
def test_the_path_from_the_roots_is_a_shortest_one(graph, target, roots):
    """The path begins at a root, follows edges and is a shortest one; empty if none exists."""
    path = path_from_roots(target, roots, graph.__getitem__)
    whole = nx.DiGraph(graph)
    lengths = [
        nx.shortest_path_length(whole, root, target)
        for root in roots
        if nx.has_path(whole, root, target)
    ]
    assert len(path) == (min(lengths) + 1 if lengths else 0)
    if path:
        assert path[0] in roots
        assert path[-1] == target
        assert all(whole.has_edge(*step) for step in itertools.pairwise(path))


@pytest.mark.parametrize("closed", [False, True])
def test_depth_costs_no_stack(closed):
    """A chain or ring of twenty thousand nodes is walked without recursion."""
    count = 20_000
    graph = {node: [node + 1] for node in range(count - 1)} | {count - 1: [0] if closed else []}
    assert shortest_cycle(graph) == (list(range(count)) if closed else None)
    assert dependencies_first([0], graph.__getitem__)[-1] == 0
    assert len(path_from_roots(count - 1, [0], graph.__getitem__)) == count


def test_the_order_follows_the_roots_and_their_neighbours():
    """The same graph gives the same order, with neighbours in the order of declaration."""
    graph = {"a": ["c", "b"], "b": [], "c": [], "d": ["a"]}
    assert dependencies_first(["d"], graph.__getitem__) == ["c", "b", "a", "d"]
