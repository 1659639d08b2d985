"""Algorithms on a dependency graph: order, cycles, and paths from the roots.

They work on plain mappings from a node to its neighbours, with nodes that can be sorted. All are
iterative, so that a deep graph cannot exhaust the stack, and linear in nodes plus edges.

Cycles are searched for at the end of a stage, when all of its edges are declared, and not at each
new edge: no install starts within a stage, so nothing is lost, and the report cannot depend on
which thread came first.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar


class Sortable(Protocol):
    """A node: hashable, and comparable with other nodes."""

    def __hash__(self) -> int: ...
    def __lt__(self, other: Any, /) -> bool: ...


Node = TypeVar("Node", bound=Sortable)
Neighbours = Callable[[Node], Iterable[Node]]


def dependencies_first(roots: Iterable[Node], neighbours: Neighbours[Node]) -> list[Node]:
    """Return everything reachable from `roots`, each node after all it needs; no cycles allowed."""
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
    """Return the shortest cycle, starting with its least node; None if the graph has no cycle.

    Of several shortest cycles, the least in key order is returned. A graph without a cycle costs
    one pass. Every cycle contains an edge that leads back to a node on the path of a depth-first
    walk, so only the heads of those few edges are searched from. Otherwise it could take minutes
    to report a mistake at the bottom of a large graph.
    """
    best: tuple[int, Node] | None = None
    members: set[Node] = set()
    for component in _cyclic_components(graph):
        inside = set(component)
        forward = {node: [child for child in graph[node] if child in inside] for node in component}
        backward: dict[Node, list[Node]] = {node: [] for node in component}
        for node, children in forward.items():
            for child in children:
                backward[child].append(node)
        for head in _heads_of_back_edges(forward):
            found = _least_on_shortest(head, forward, backward, best[0] if best else len(graph))
            if found is not None and (best is None or found < best):
                best, members = found, inside
    return _cycle_through(best[1], graph, members) if best else None


def _heads_of_back_edges(graph: Mapping[Node, Sequence[Node]]) -> list[Node]:
    """Return nodes such that every cycle of a strongly connected graph contains one of them."""
    heads: dict[Node, None] = {}
    root = next(iter(graph))
    seen, on_path = {root}, {root}
    work = [(root, iter(graph[root]))]
    while work:
        node, rest = work[-1]
        for child in rest:
            if child in on_path:
                heads[child] = None
            elif child not in seen:
                seen.add(child)
                on_path.add(child)
                work.append((child, iter(graph[child])))
                break
        else:
            on_path.discard(node)
            work.pop()
    return list(heads)


def _least_on_shortest(
    head: Node,
    forward: Mapping[Node, Sequence[Node]],
    backward: Mapping[Node, Sequence[Node]],
    limit: int,
) -> tuple[int, Node] | None:
    """Return the length of the shortest cycles through `head`, and the least node on them.

    None when they are longer than `limit`.
    """
    forth = _distances(head, forward, limit)
    length = min((forth[last] + 1 for last in backward[head] if last in forth), default=limit + 1)
    if length > limit:
        return None
    back = _distances(head, backward, length)
    on_cycles = [node for node, far in forth.items() if far + back.get(node, length) == length]
    return length, min([head, *on_cycles])


def _distances(start: Node, graph: Mapping[Node, Sequence[Node]], limit: int) -> dict[Node, int]:
    """Return the distance of each node from `start`, as far as it is less than `limit`."""
    far = {start: 0}
    queue = deque([start])
    while queue:
        node = queue.popleft()
        if far[node] + 1 >= limit:
            break
        for child in graph[node]:
            if child not in far:
                far[child] = far[node] + 1
                queue.append(child)
    return far


def _cycle_through(
    start: Node, graph: Mapping[Node, Sequence[Node]], members: set[Node]
) -> list[Node]:
    """Return the shortest cycle through `start`; of several, the least. Searches breadth first."""
    came_from: dict[Node, Node] = {}
    queue = deque([start])
    while True:
        node = queue.popleft()
        for child in sorted(members.intersection(graph[node])):
            if child == start:
                path = [node]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path[::-1]
            if child not in came_from:
                came_from[child] = node
                queue.append(child)


def _cyclic_components(graph: Mapping[Node, Sequence[Node]]) -> list[list[Node]]:
    """Return the strongly connected components with a cycle (Tarjan 1972, iterative)."""
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
    """Return the shortest path from a root to `target`, root first; empty if there is none."""
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
