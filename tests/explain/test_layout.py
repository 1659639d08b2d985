"""The layered layout: boxes in columns, without overlap, the same for the same graph."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from envy.explain.layout import columns_of, lay_out


@st.composite
def graphs(draw):
    """Draw an acyclic graph, in which each node points to some of the nodes after it."""
    count = draw(st.integers(1, 12))
    names = [f"n{number:02}" for number in range(count)]
    return {
        name: tuple(
            sorted(draw(st.sets(st.sampled_from(names[position + 1 :]))))
            if names[position + 1 :]
            else ()
        )
        for position, name in enumerate(names)
    }


def heights_of(edges):
    return {name: 40.0 + 10 * len(targets) for name, targets in edges.items()}


@given(graphs())
@settings(deadline=None)
def test_every_edge_leads_to_a_later_column(edges):
    """A dependency is drawn to the right of the packages that need it."""
    columns = columns_of(edges)
    assert all(columns[name] < columns[target] for name in edges for target in edges[name])


@given(graphs())
@settings(deadline=None)
def test_boxes_of_a_column_do_not_overlap(edges):
    """Two boxes of one column are at least a gap apart."""
    heights = heights_of(edges)
    layout = lay_out(edges, heights=heights, gap=10)
    for column in layout.columns:
        boxes = [item for item in column if not item[1]]
        for above, below in itertools.pairwise(boxes):
            between = layout.centres[below] - layout.centres[above]
            assert between >= (heights[above[0]] + heights[below[0]]) / 2 + 10 - 1e-6


@given(graphs())
@settings(deadline=None)
def test_an_edge_passes_every_column_between(edges):
    """A long edge has a waypoint in each column that it crosses, so that it crosses no box."""
    layout = lay_out(edges, heights=heights_of(edges), gap=10)
    for name, targets in edges.items():
        for target in targets:
            between = range(layout.column_of[name] + 1, layout.column_of[target])
            assert [item[2] for item in layout.waypoints[name, target]] == list(between)


@given(graphs(), st.randoms())
@settings(deadline=None)
def test_the_order_of_the_input_does_not_matter(edges, random):
    """The same graph in any order gives the same drawing."""
    names = list(edges)
    random.shuffle(names)
    heights = heights_of(edges)
    first = lay_out(edges, heights=heights, gap=10)
    second = lay_out({name: edges[name] for name in names}, heights=heights, gap=10)
    assert (first.columns, first.centres) == (second.columns, second.centres)


def test_lines_that_need_not_cross_do_not():
    """Two pairs that are given crosswise are drawn without a crossing."""
    edges = {"a": ("z",), "b": ("y",), "y": (), "z": ()}
    layout = lay_out(edges, heights=dict.fromkeys(edges, 40.0), gap=10)
    assert [[item[0] for item in column] for column in layout.columns] == [["a", "b"], ["z", "y"]]


def test_a_deep_graph_is_laid_out():
    """A chain of thousands of nodes does not exhaust the stack."""
    edges = {f"n{number:05}": (f"n{number + 1:05}",) for number in range(3000)} | {"n03000": ()}
    layout = lay_out(edges, heights=dict.fromkeys(edges, 40.0), gap=10)
    assert len(layout.columns) == 3001
