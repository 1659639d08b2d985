"""Why a package is in the graph: the ways that lead to it, and who chose it and from what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from envy.declarations.key import Query
from envy.explain.view import EdgeView, GraphView, PackageView, State
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Reference

if TYPE_CHECKING:
    from envy.engine.engine import Engine

Step = tuple[PackageView, EdgeView]


def paths_to(graph: GraphView, target: str) -> Iterator[tuple[Step, ...]]:
    """Every way from a root to a package, shortest first and then in key order.

    Only ways that get there are walked, so the first few of very many cost no more than the graph.
    """
    lengths = _lengths(graph, target)
    longest = max((lengths[root].bit_length() for root in graph.roots), default=0)
    for length in range(longest):
        for root in graph.roots:
            if lengths[root] >> length & 1:
                yield from _walks(graph, root, length, lengths)


def count_paths(graph: GraphView, target: str) -> int:
    """How many ways there are, without walking them."""
    counts: dict[str, int] = {}
    for key in _dependencies_first(graph):
        counts[key] = int(key == target) + sum(counts[e.target] for e in graph.packages[key].edges)
    return sum(counts[root] for root in graph.roots)


def _lengths(graph: GraphView, target: str) -> Mapping[str, int]:
    """For each package a number whose bit n says whether a way of n steps leads to the target."""
    lengths: dict[str, int] = {}
    for key in _dependencies_first(graph):
        found = int(key == target)
        for edge in graph.packages[key].edges:
            found |= lengths[edge.target] << 1
        lengths[key] = found
    return lengths


def _dependencies_first(graph: GraphView) -> list[str]:
    packages = graph.packages
    return dependencies_first(graph.roots, lambda key: [e.target for e in packages[key].edges])


def _walks(
    graph: GraphView, root: str, length: int, lengths: Mapping[str, int]
) -> Iterator[tuple[Step, ...]]:
    """The ways of exactly so many steps; a loop, since they may be thousands long."""
    if length == 0:
        yield ()
        return
    steps: list[Step] = []
    stack = [iter(_by_target(graph.packages[root]))]
    while stack:
        edge = next(stack[-1], None)
        if edge is None:
            stack.pop()
            if steps:
                steps.pop()
            continue
        left = length - len(stack)
        if not lengths[edge.target] >> left & 1:
            continue
        here = steps[-1][1].target if steps else root
        steps.append((graph.packages[here], edge))
        if left == 0:
            yield tuple(steps)
            steps.pop()
        else:
            stack.append(iter(_by_target(graph.packages[edge.target])))


def _by_target(package: PackageView) -> Sequence[EdgeView]:
    return sorted(package.edges, key=lambda edge: edge.target)


def explain(engine: Engine, graph: GraphView, target: str, *, limit: int) -> list[str]:
    """What there is to say about one package, line by line."""
    package = graph.packages[target]
    count = count_paths(graph, target)
    lines = [f"{target} ({package.state.value})"]
    if package.state in {State.HELD, State.FAILED} and package.reason:
        lines.append(f"  {package.reason}")
    shown = 0
    for path in paths_to(graph, target):
        if shown == limit:
            break
        shown += 1
        lines += ["", *_path_lines(graph, target, path)]
    if count > shown:
        lines += ["", f"  and {count - shown} more ways; --limit N shows more"]
    choices = [*_choices(engine, target), *_refusals(engine, target)]
    return [*lines, "", *choices] if choices else lines


def _path_lines(graph: GraphView, target: str, path: Sequence[Step]) -> Iterator[str]:
    first = path[0][0] if path else graph.packages[target]
    yield f"  {first.origin} asks for {first.key}"
    for package, edge in path:
        yield f"    {package.key} needs {edge.target}: {edge.label} ({edge.origin})"


def _choices(engine: Engine, target: str) -> Iterator[str]:
    """For each reference that was bound to the package, why it was bound to that."""
    for reference in _references(engine):
        if reference.provider is None or reference.provider.canonical != target:
            continue
        fallback = reference.dependency.spec
        asks = f"  {reference.owner} looked for {reference.quoted} ({reference.dependency.origin})"
        if reference.by_fallback:
            yield f"{asks}: nothing in the graph answered, so its fallback was taken"
        elif fallback is None:
            yield f"{asks}: this is the one package that answers"
        elif fallback.key.canonical == target:
            yield f"{asks}: this answers, and is its fallback too"
        else:
            yield f"{asks}: this answers, so its fallback {fallback.key} was not needed"


def _refusals(engine: Engine, target: str) -> Iterator[str]:
    """Weak references that have the package for a fallback, and took something else."""
    for reference in _references(engine):
        fallback = reference.dependency.spec
        provider = reference.provider
        if fallback is None or provider is None or fallback.key.canonical != target:
            continue
        if provider.canonical != target:
            yield (
                f"  {reference.owner} has it as the fallback for {reference.quoted} "
                f"({reference.dependency.origin}), and took {provider}, which answers"
            )


def unused_fallbacks(engine: Engine, query: str) -> list[str]:
    """For a query that nothing answers: the fallbacks it may mean, which nobody needed."""
    asked = Query.parse(query)
    rows = []
    for reference in _references(engine):
        fallback = reference.dependency.spec
        if fallback is None or fallback.key in engine.recipes or reference.provider is None:
            continue
        if asked.matches(fallback.key, alias=fallback.alias):
            rows.append(
                f"{fallback.key} is not in the graph: {reference.owner} has it as the fallback for "
                f"{reference.quoted} ({reference.dependency.origin}), and took {reference.provider}"
            )
    return rows


def _references(engine: Engine) -> list[Reference]:
    found = [row for recipe in engine.recipes.values() for row in recipe.references]
    return sorted(found, key=lambda row: (row.owner, row.of_source, row.index))
