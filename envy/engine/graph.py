"""The dependency graph as data: order, cycles, and who brought a package in.

Works on plain mappings from a node to its neighbours, with nodes that can be sorted. Everything is
iterative, and linear in nodes plus edges, so that depth costs nothing.

Cycles are looked for at the end of a stage, when every edge of it is declared, and not as each
edge comes: no install starts inside a stage, so nothing is lost, and what is reported cannot
depend on which thread came first.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar


class Sortable(Protocol):
    """What nodes have to be."""

    def __hash__(self) -> int: ...
    def __lt__(self, other: Any, /) -> bool: ...


Node = TypeVar("Node", bound=Sortable)
Neighbours = Callable[[Node], Iterable[Node]]


def dependencies_first(roots: Iterable[Node], neighbours: Neighbours[Node]) -> list[Node]:
    """Everything reachable from `roots`, each after all it needs; the graph has no cycle."""
    order: list[Node] = []
    seen: set[Node] = set()
    for root in roots:
        if root in seen:
            continue
        seen.add(root)
        stack = [(root, iter(neighbours(root)))]
        while stack:
            node, rest = stack[-1]
            for child in rest:
                if child not in seen:
                    seen.add(child)
                    stack.append((child, iter(neighbours(child))))
                    break
            else:
                order.append(node)
                stack.pop()
    return order


def shortest_cycle(graph: Mapping[Node, Sequence[Node]]) -> list[Node] | None:
    """The shortest cycle, of those the least in key order, from its least node on; None if none.

    Only nodes inside a strongly connected component are searched from, so a graph without a
    cycle costs one pass.
    """
    best: list[Node] | None = None
    for component in _cyclic_components(graph):
        members = set(component)
        for start in sorted(component):
            limit = len(best) if best else len(component) + 1
            cycle = _cycle_through(start, graph, members, limit)
            if cycle is None:
                continue
            least = cycle.index(min(cycle))
            cycle = cycle[least:] + cycle[:least]
            if best is None or (len(cycle), cycle) < (len(best), best):
                best = cycle
            if len(best) == 1 or _is_ring(component, graph, members):
                break
    return best


def _is_ring(
    component: list[Node], graph: Mapping[Node, Sequence[Node]], members: set[Node]
) -> bool:
    """Whether a component is one cycle and nothing else, as in most mistakes."""
    return all(len(members.intersection(graph[node])) == 1 for node in component)


def _cycle_through(
    start: Node, graph: Mapping[Node, Sequence[Node]], members: set[Node], limit: int
) -> list[Node] | None:
    """The shortest cycle through `start`, not longer than `limit`; breadth first, in key order."""
    came_from: dict[Node, Node] = {}
    queue = deque([(start, 1)])
    while queue:
        node, length = queue.popleft()
        if length > limit:
            return None
        for child in sorted(set(graph[node]) & members):
            if child == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if child not in came_from:
                came_from[child] = node
                queue.append((child, length + 1))
    return None


def _cyclic_components(graph: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """Strongly connected components that hold a cycle (Tarjan 1972, made iterative)."""
    index: dict[Node, int] = {}
    low: dict[Node, int] = {}
    on_stack: set[Node] = set()
    stack: list[Node] = []
    found: list[list[Node]] = []
    for root in graph:
        if root in index:
            continue
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        work = [(root, iter(graph[root]))]
        while work:
            node, rest = work[-1]
            for child in rest:
                if child not in index:
                    index[child] = low[child] = len(index)
                    stack.append(child)
                    on_stack.add(child)
                    work.append((child, iter(graph[child])))
                    break
                if child in on_stack:
                    low[node] = min(low[node], index[child])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == index[node]:
                    component = _pop_component(node, stack, on_stack)
                    if len(component) > 1 or node in graph[node]:
                        found.append(component)
    return found


def _pop_component(node: Node, stack: list[Node], on_stack: set[Node]) -> list[Node]:
    component = []
    while True:
        member = stack.pop()
        on_stack.discard(member)
        component.append(member)
        if member == node:
            return component


def path_from_roots(
    target: Node, roots: Iterable[Node], neighbours: Neighbours[Node]
) -> list[Node]:
    """The shortest way from a root to `target`, root first; empty if there is none."""
    came_from: dict[Node, Node | None] = dict.fromkeys(roots)
    queue = deque(came_from)
    while queue:
        node = queue.popleft()
        if node == target:
            path = [node]
            while (parent := came_from[path[-1]]) is not None:
                path.append(parent)
            return path[::-1]
        for child in neighbours(node):
            if child not in came_from:
                came_from[child] = node
                queue.append(child)
    return []
