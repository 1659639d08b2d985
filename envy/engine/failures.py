"""Failures: the failures of a run, each with the path of recipes that led to the failed one."""

from __future__ import annotations

from envy.declarations.key import RecipeKey
from envy.engine.recipe_coordination import RecipeCoordination
from envy.errors import DependencyFailed, NotPlanned, PhaseFailed, RecipeError, SourceLocation
from envy.graph.algorithms import path_from_roots
from envy.graph.recipe_graph import RecipeGraph


def is_left_out(failure: Exception | None) -> bool:
    """Return whether a recipe did not fail, but is unknown because nothing may be installed."""
    root = failure.root if isinstance(failure, DependencyFailed) else failure
    return isinstance(root, NotPlanned)


class Failures:
    """The failures of a run, explained by the graph."""

    def __init__(self, graph: RecipeGraph, coordination: RecipeCoordination) -> None:
        self._graph = graph
        self._coordination = coordination

    def of(self, key: RecipeKey) -> Exception | None:
        """Return the failure of a recipe, with the path of recipes that led to it; or None."""
        failure = self._coordination.failure(key)
        if isinstance(failure, PhaseFailed) and not failure.chain:
            failure.chain = _declared_by(self._graph, key)
        return failure

    def explain(self) -> None:
        """Add to each failure the recipes that led from the manifest to the failed one."""
        for key in self._coordination:
            self.of(key)

    def all(self) -> list[RecipeError]:
        """Return every failure so far, of wanted recipes and others, in key order."""
        found = [self.of(key) for key in sorted(self._graph.recipes)]
        return [
            failure
            for failure in found
            if isinstance(failure, RecipeError) and not is_left_out(failure)
        ]

    def left_out(self) -> list[NotPlanned]:
        """Return the recipes that were set aside because nothing may be installed, in key order."""
        found = [self._coordination.failure(key) for key in sorted(self._graph.recipes)]
        return [failure for failure in found if isinstance(failure, NotPlanned)]


def _declared_by(graph: RecipeGraph, key: RecipeKey) -> tuple[str, ...]:
    """Return the shortest path from the manifest to a recipe: which recipe declared the next."""
    path = path_from_roots(key, sorted(graph.roots), graph.needs)
    line = f"declared in {_origin_of(graph, key, path[-2] if len(path) > 1 else None)}"
    replaced = graph.recipes[key].spec.replaced
    if replaced is not None:
        line += f", overridden in {replaced.origin}"
    if len(path) > 1:
        line += f", needed by {' → '.join(parent.canonical for parent in path[:-1])}"
    return (line,)


def _origin_of(graph: RecipeGraph, key: RecipeKey, parent: RecipeKey | None) -> SourceLocation:
    edges = graph.all_edges(parent) if parent is not None else ()
    found = next((edge.origin for edge in edges if edge.key == key), None)
    return found or graph.recipes[key].spec.origin
