"""The header and the last line of the terminal view, derived from the state of the tree."""

from __future__ import annotations

from collections.abc import Iterable

from envy.console.text import format_seconds, safe_line
from envy.testing.views.plain import bar, counted, left_out_lines
from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.node import Node

_NAMED = 2  # names in the header


def outcome_of(model: RunModel) -> str:
    """Return the outcome as one word: `active`, `error`, `stopped`, `failed` or `passed`."""
    if model.end is None:
        return "active"
    if model.end.error:
        return "error"
    if model.end.stopped or model.end.reason:
        return "stopped"
    return "failed" if any(package.failing for package in model.packages.values()) else "passed"


def exit_code_of(model: RunModel) -> int:
    """Return the exit code that follows from the whole tree, not from the last rerun alone."""
    outcome = outcome_of(model)
    if model.end is not None and model.end.stopped:
        return 130
    if model.unbuilt:
        return 3
    failing = any(package.failing for package in model.packages.values())
    return 1 if failing or outcome == "stopped" or model.too_little else 0


def header_text(model: RunModel, *, now: float, watching: bool = False) -> str:
    """Return the header: the phase and its progress, or the outcome."""
    if model.end is not None:
        text = _ended(model)
    elif model.phase == "discovering":
        text = "discovering packages …"
    elif model.phase == "building":
        text = f"building {bar(model.done, model.total)} {model.done}/{model.total}"
        text += _names(model.making)
    else:
        text = f"running {model.done} of {model.total}  {numbers_of(model)}"
        first = next(iter(model.running), None)
        text += _names(model.running)
        if first is not None and first.began:
            text += f" {format_seconds(max(0.0, now - first.began))}"
            text += f" of usually {format_seconds(first.usual)}" if first.usual else ""
    return f"{text}  · watching" if watching else text


def _ended(model: RunModel) -> str:
    outcome, end = outcome_of(model), model.end
    assert end is not None
    if outcome == "error":
        return f"error: {safe_line(end.error)}"
    text = outcome
    left = _left(model)
    if left:
        text += f", {left} not run"
    if end.reason:
        text += f" ({safe_line(end.reason)})"
    text = f"{text}  {numbers_of(model)}  {format_seconds(end.seconds)}"
    return "  · ".join([text, *map(safe_line, left_out_lines(model.left_out.values()))])


def _left(model: RunModel) -> str:
    """Return what did not run, in tests where they are known."""
    if model.left:
        return str(model.left)
    return counted(model.left_packages, "package") if model.left_packages else ""


def numbers_of(model: RunModel) -> str:
    """Return the numbers of tests by outcome."""
    text = f"✓{model.counts['pass']} ✗{model.counts['fail']} ↷{model.counts['skip']}"
    return f"{text} ⚒{model.unbuilt}" if model.unbuilt else text


def _names(nodes: Iterable[Node]) -> str:
    names = [safe_line(node.test or node.package) for node in nodes]
    more = f" +{len(names) - _NAMED}" if len(names) > _NAMED else ""
    return f"  {', '.join(names[:_NAMED])}{more}" if names else ""


def end_line(model: RunModel) -> str:
    """Return the line that is printed when the view is left: the state of the tree in numbers."""
    counts, packages = model.counts, model.packages.values()
    failed = sum(bool(package.failing) and package.outcome != "build" for package in packages)
    cached = sum(package.cached for package in packages)
    numbers = ((failed, "failed"), (model.unbuilt, "not built"), (cached, "cached"))
    notes = [f"{number} {word}" for number, word in numbers if number]
    text = f"{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped"
    text += f" in {counted(len(packages), 'package')}"
    text += f" ({', '.join(notes)})" if notes else ""
    end = model.end
    if end is None:
        return f"interrupted: {text}"
    left = _left(model)
    state = "stopped: " if end.stopped else ""
    text += f", {left} not run" if left else ""
    because = f"; stopped, because {end.reason}" if end.reason else ""
    because += f"; {model.too_little}" if model.too_little else ""
    because += "".join(f"; {line}" for line in left_out_lines(model.left_out.values()))
    return f"{state}{text}, {format_seconds(end.seconds)}{because}"
