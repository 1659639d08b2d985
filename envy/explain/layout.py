"""The layout of a layered drawing: columns of boxes from left to right, with few crossings.

The layered method of Sugiyama, Tagawa and Toda (1981): a node's column is its longest path from a
root; an edge that skips columns gets a waypoint in each of them; the order within a column is
improved by the mean position of its neighbours, sweep by sweep; finally each column is placed as
near to its neighbours as its order and the sizes of its boxes allow. The result is deterministic.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envy.graph.algorithms import dependencies_first

SWEEPS = 8
MOST_WAYPOINTS = 5000  # beyond this number, edges run straight and may cross boxes

Item = tuple[str, str, int]  # (node, "", 0), or (from, to, column) for a waypoint
Neighbours = defaultdict[Item, list[Item]]


@dataclass(slots=True)
class Layout:
    """The columns, the centre of each item in its column, and the route of each edge."""

    columns: list[list[Item]] = field(default_factory=list)
    ranks: dict[Item, float] = field(default_factory=dict)
    centres: dict[Item, float] = field(default_factory=dict)
    column_of: dict[str, int] = field(default_factory=dict)
    waypoints: dict[tuple[str, str], list[Item]] = field(default_factory=dict)


def lay_out(
    edges: Mapping[str, Sequence[str]], *, heights: Mapping[str, float], gap: float
) -> Layout:
    """Lay out an acyclic graph; `edges` maps every node to the nodes it points to."""
    layout = Layout()
    layout.column_of = columns_of(edges)
    neighbours = _with_waypoints(edges, layout)
    for column in layout.columns:
        layout.ranks.update({item: float(position) for position, item in enumerate(column)})
    for _ in range(SWEEPS):
        _sort_columns(layout.columns[1:], layout, neighbours[0])
        _sort_columns(layout.columns[-2::-1], layout, neighbours[1])
    sizes = {
        item: gap / 2 if item[1] else heights[item[0]] for col in layout.columns for item in col
    }
    for column in layout.columns:
        layout.centres.update(_stacked(column, dict.fromkeys(column, 0.0), sizes, gap))
    for _ in range(SWEEPS):
        for part, side in ((layout.columns[1:], 0), (layout.columns[-2::-1], 1)):
            for column in part:
                desired = {
                    item: _mean(layout.centres, neighbours[side][item], layout.centres[item])
                    for item in column
                }
                layout.centres.update(_stacked(column, desired, sizes, gap))
    return layout


def columns_of(edges: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Return the column of each node: the length of the longest path that leads to it."""
    columns: dict[str, int] = dict.fromkeys(sorted(edges), 0)
    for node in reversed(dependencies_first(sorted(edges), lambda name: edges[name])):
        for target in edges[node]:
            columns[target] = max(columns[target], columns[node] + 1)
    return columns


def _with_waypoints(
    edges: Mapping[str, Sequence[str]], layout: Layout
) -> tuple[Neighbours, Neighbours]:
    """Fill the columns; return the left and the right neighbours of each item."""
    column_of = layout.column_of
    layout.columns = [[] for _ in range(max(column_of.values(), default=-1) + 1)]
    left: Neighbours = defaultdict(list)
    right: Neighbours = defaultdict(list)
    for node in sorted(edges):
        layout.columns[column_of[node]].append((node, "", 0))
    spans = sum(column_of[t] - column_of[n] - 1 for n in edges for t in set(edges[n]))
    for node in sorted(edges):
        for target in sorted(set(edges[node])):
            between = range(column_of[node] + 1, column_of[target])
            route: list[Item] = [(node, target, c) for c in between if spans <= MOST_WAYPOINTS]
            for item, column in zip(route, between, strict=False):
                layout.columns[column].append(item)
            layout.waypoints[node, target] = route
            stops: list[Item] = [(node, "", 0), *route, (target, "", 0)]
            for here, there in itertools.pairwise(stops):
                right[here].append(there)
                left[there].append(here)
    return left, right


def _sort_columns(columns: Sequence[list[Item]], layout: Layout, neighbours: Neighbours) -> None:
    """Sort each column by the positions of its neighbours on one side, column by column."""
    for column in columns:
        own = {item: position for position, item in enumerate(column)}
        desired = {item: _mean(layout.ranks, neighbours[item], own[item]) for item in column}
        column.sort(key=lambda item: (desired[item], own[item]))
        layout.ranks.update({item: float(position) for position, item in enumerate(column)})


def _mean(values: Mapping[Item, float], items: Sequence[Item], default: float) -> float:
    return sum(values[item] for item in items) / len(items) if items else default


def _stacked(
    column: Sequence[Item], desired: Mapping[Item, float], sizes: Mapping[Item, float], gap: float
) -> dict[Item, float]:
    """Return centres as near as possible to the desired ones, in order and without overlap.

    Isotonic least squares by pooling adjacent violators: exact, in one pass.
    """
    offset = 0.0
    offsets: list[float] = []
    blocks: list[list[float]] = []  # sum, count
    for position, item in enumerate(column):
        if position:
            offset += (sizes[column[position - 1]] + sizes[item]) / 2 + gap
        offsets.append(offset)
        blocks.append([desired[item] - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] > blocks[-1][0] * blocks[-2][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    shifts = [total / count for total, count in blocks for _ in range(int(count))]
    return {item: shifts[i] + offsets[i] for i, item in enumerate(column)}
