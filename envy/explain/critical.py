"""The critical path of a graph: the longest chain of packages that wait for one another.

Lengths are the durations that earlier runs remembered, read as the scheduler reads them. The path
goes through gates as a sync does: a package that needs another from its build on adds only its
build and the phases after that.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from envy.explain.view import CriticalPath, GraphView
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.session import Session

_START = ""  # not a key: the node before every package


def with_critical_path(graph: GraphView, session: Session) -> GraphView:
    """Return the graph with its critical path, as if none of its packages were installed."""
    recipes = [recipe for recipe in session.recipes() if recipe.key.canonical in graph.packages]
    expected = session.forecast(recipes)
    work_from = {key.canonical: work for key, work in expected.work_from.items()}
    path = longest_path(graph, work_from, is_measured=expected.is_measured)
    return dataclasses.replace(graph, critical=path)


def longest_path(
    graph: GraphView, work_from: Mapping[str, Sequence[float]], *, is_measured: bool
) -> CriticalPath:
    """Return the longest path; `work_from` has, by key and phase, the work left from there on."""
    import networkx as nx

    # An edge leads from a dependency to the package that waits for it. Its weight is the work
    # that the package still has after the wait.
    waits = nx.DiGraph()
    for key in graph.packages:
        waits.add_edge(_START, key, weight=work_from[key][RecipePhase.RECIPE_FETCH])
    for package, edge in graph.edges():
        weight = work_from[package.key][RecipePhase[edge.needed_by.upper()]]
        known = waits.get_edge_data(edge.target, package.key)
        if known is None or weight > known["weight"]:
            waits.add_edge(edge.target, package.key, weight=weight, edge=edge)
    path = nx.dag_longest_path(waits)
    steps = [(after, waits[before][after]) for before, after in itertools.pairwise(path)]
    return CriticalPath(
        amounts={key: step["weight"] for key, step in steps},
        edges=frozenset((key, step["edge"]) for key, step in steps[1:]),
        is_measured=is_measured,
    )
