"""A row of the terminal view, and the state that follows from what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

# States that pass: waiting for its turn, being built, running, paused by t.Parallel.
WAITING, MAKING, RUNNING, PAUSED = "wait", "make", "run", "pause"
# The state of what was to run and did not.
NOT_RUN = "left"


@dataclass(slots=True, eq=False)
class Node:
    """A package, a test, a subtest, or a line of a failed build."""

    package: str
    test: str
    label: str
    parent: Node | None = None
    depth: int = 0
    activity: str = ""  # what it is doing now; "" at rest
    outcome: str = ""  # of its last run: pass, fail, skip, build; "" not known
    elapsed: float = 0.0
    reason: str = ""
    began: float = 0.0
    usual: float = 0.0  # seconds of earlier runs; 0 if they are not known
    expanded: bool = False
    cached: bool = False
    flaky: bool = False
    is_note: bool = False
    run: int = 0  # the number of the run that its outcome is from
    broken: bool = False  # it fails by itself, whatever its children do
    failing: int = 0  # the number of broken nodes from here on
    children: dict[str, Node] = field(default_factory=dict)
    passed: int = 0  # of a package: its tests, with subtests
    failed: int = 0
    skipped: int = 0


def state_of(node: Node) -> str:
    """Return the state of a row: an activity, an outcome, or `NOT_RUN`."""
    if node.is_note:
        return "note"
    if node.activity:
        return node.activity
    if node.failing:
        return "build" if node.outcome == "build" else "fail"
    return node.outcome or NOT_RUN


def top_of(node: Node) -> Node:
    """Return the top-level test that a test belongs to; a package is returned as it is."""
    while node.depth > 1 and node.parent is not None:
        node = node.parent
    return node


def below(node: Node) -> Iterator[Node]:
    """Yield the tests and subtests below a node."""
    stack = list(node.children.values())
    while stack:
        found = stack.pop()
        if not found.is_note:
            yield found
            stack += found.children.values()
