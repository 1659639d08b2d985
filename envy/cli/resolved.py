"""A session whose graph is resolved, for the commands that tell about it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from envy.cli.outcome import print_failures, telling_failures
from envy.cli.wiring import Session
from envy.console.text import safe_lines, write_line
from envy.declarations.key import RecipeKey


def resolve(session: Session, queries: Sequence[str] = ()) -> list[RecipeKey]:
    """Resolve the manifest's graph, and say how everything stands; returns what queries mean.

    Raises:
        EnvyError: the graph cannot be, or a query means no package, or several.
    """
    engine = session.engine
    with telling_failures(engine):
        engine.resolve_graph(session.manifest.packages)
        goals = engine.checked_goals(queries)
    engine.compute_keys(sorted(engine.graph.recipes))
    return goals


def tell_what_lacks(session: Session) -> int:
    """Say on standard error what failed, and what is not known yet; returns the exit code."""
    engine = session.engine
    for left_out in engine.left_out():
        for line in safe_lines(f"note: {left_out}"):
            write_line(sys.stderr, line)
    failures = engine.failures()
    print_failures(failures)
    return 1 if failures else 0
