"""Why packages are in the graph, as plain data, for `envy why --json`."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from envy.explain.why import Step, choices_of, count_paths, paths_to

if TYPE_CHECKING:
    from envy.engine.session import Session
    from envy.explain.view import GraphView


def why_document(
    session: Session, graph: GraphView, targets: Sequence[str], *, limit: int
) -> list[dict[str, object]]:
    """Return a row for each package: its state, the paths that lead to it, and what chose it."""
    return [_row(session, graph, target, limit=limit) for target in targets]


def _row(session: Session, graph: GraphView, target: str, *, limit: int) -> dict[str, object]:
    package = graph.packages[target]
    shown = itertools.islice(paths_to(graph, target), limit)
    return {
        "key": target,
        "state": package.state.name.lower(),
        "reason": package.reason,
        "path_count": count_paths(graph, target),
        "paths": [_path(graph, target, path) for path in shown],
        "choices": [line.strip() for line in choices_of(session, target)],
    }


def _path(graph: GraphView, target: str, path: Sequence[Step]) -> dict[str, object]:
    first = path[0][0] if path else graph.packages[target]
    return {
        "root": first.key,
        "origin": first.origin,
        "steps": [{"package": package.key, **dataclasses.asdict(edge)} for package, edge in path],
    }
