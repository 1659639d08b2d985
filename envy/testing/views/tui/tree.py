"""The rows of the tree: which are visible, in which order, and what they say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from envy.console.text import format_clock, format_seconds, safe_line
from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.node import MAKING, NOT_RUN, PAUSED, RUNNING, WAITING, Node, state_of

ICONS = {
    WAITING: "·",
    MAKING: "◌",
    RUNNING: "▶",
    PAUSED: "‖",
    NOT_RUN: "○",
    "pass": "✓",
    "fail": "✗",
    "skip": "↷",
    "build": "⚒",
    "note": " ",
}


@dataclass(frozen=True, slots=True)
class TreeFilter:
    """What the tree is restricted to: failures, and names that contain a text in any case."""

    failures: bool = False
    text: str = ""


NO_FILTER = TreeFilter()


def rows_of(model: RunModel, chosen: TreeFilter = NO_FILTER) -> list[Node]:
    """Return the visible rows, with packages ordered by name."""
    packages = _sorted(model)
    if chosen == NO_FILTER:
        found: list[Node] = []
        stack = packages[::-1]
        while stack:
            node = stack.pop()
            found.append(node)
            if node.expanded and node.children:
                stack += reversed(node.children.values())
        return found
    text = chosen.text.lower()
    rows: list[Node] = []
    for package in packages:
        named = not text or text in package.package.lower()
        rows += _matching(package, chosen.failures, "" if named else text)
    return rows


def _matching(node: Node, failures: bool, text: str) -> list[Node]:  # noqa: FBT001
    """Return a node with the rows below it that match; none if nothing of it does."""
    if failures and not node.failing and not node.is_note:
        return []
    matches = not text or (not node.is_note and text in node.test.lower())
    inner = "" if matches else text
    # What only contains a match is shown unfolded.
    is_open = node.expanded or not matches
    below = [
        row
        for child in (node.children.values() if is_open else ())
        for row in _matching(child, failures, inner)
    ]
    return [node, *below] if matches or below else []


def failures_of(model: RunModel) -> list[Node]:
    """Return the innermost nodes that fail, in the order of the tree, folded or not."""
    return [node for package in _sorted(model) for node in innermost_failures(package)]


def innermost_failures(node: Node) -> Iterator[Node]:
    """Yield the innermost nodes that fail, from a node on."""
    if not node.failing:
        return
    inside = node.failing - node.broken
    if not inside:
        yield node
    for child in node.children.values() if inside else ():
        yield from innermost_failures(child)


def neighbour(model: RunModel, at: Node | None, *, by: int, unbuilt: bool = False) -> Node | None:
    """Return the next failure (`by` 1) or the previous one (-1) from a node, wrapping around."""
    places = {id(node): place for place, node in enumerate(_all(model))}
    found = [node for node in failures_of(model) if not unbuilt or node.outcome == "build"]
    if not found:
        return None
    here = places.get(id(at), -1)
    if by > 0:
        return next((node for node in found if places[id(node)] > here), found[0])
    return next((node for node in reversed(found) if places[id(node)] < here), found[-1])


def reveal(node: Node) -> None:
    """Unfold what a node is in."""
    above = node.parent
    while above is not None:
        above.expanded = True
        above = above.parent


def failed_tops(model: RunModel) -> dict[str, tuple[str, ...]]:
    """Return the failing top-level tests by package; () for a package that fails by itself."""
    return {
        package.package: ()
        if package.broken
        else tuple(node.test for node in package.children.values() if node.failing)
        for package in _sorted(model)
        if package.failing
    }


def _all(model: RunModel) -> Iterator[Node]:
    stack = _sorted(model)[::-1]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children.values())


def _sorted(model: RunModel) -> list[Node]:
    return sorted(model.packages.values(), key=lambda node: node.label)


def row_text(node: Node, *, now: float = 0.0) -> str:
    """Return the text of a row, without its icon; `now` is for the time of what is running."""
    text = safe_line(node.label)
    if node.is_note:
        return text
    state = state_of(node)
    if node.depth == 0:
        text += _numbers(node, state)
    if node.activity in {WAITING, MAKING}:
        return f"{text}  building" if state == MAKING else text
    if state == NOT_RUN:
        return f"{text}  not run"
    if state == RUNNING and node.depth:
        return text + _time_so_far(node, now)
    if node.cached:
        text += "  cached"
    elif node.elapsed >= 0.005:
        text += f"  {node.elapsed:.2f}s"
    if node.flaky:
        text += "  flaky"
    return text + (f"  [{safe_line(node.reason)}]" if node.reason else "")


def _time_so_far(node: Node, now: float) -> str:
    """Return for how long a test has been running, in whole seconds, beside its usual time."""
    seconds = int(max(0.0, now - node.began)) if node.began else 0
    usual = f"usually {format_seconds(node.usual)}" if node.usual else ""
    if not seconds:
        return f"  {usual}" if usual else ""
    return f"  {format_clock(seconds)}" + (f" of {usual}" if usual else "")


def _numbers(node: Node, state: str) -> str:
    numbers = [f"✓{node.passed}"] if node.passed else []
    numbers += [f"✗{node.failed}"] if node.failed else []
    numbers += [f"↷{node.skipped}"] if node.skipped else []
    text = f"  {' '.join(numbers)}" if numbers else ""
    text += "  build failed" if state == "build" else ""
    return text + ("  no test files" if state == "skip" and not node.children else "")
