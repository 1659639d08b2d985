"""The picture of a run in progress: its state, built from events only, and how it looks.

Both are pure. `render` is a function of state, time and width, and returns lines of styled text;
another module puts them on a terminal.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from envy import events
from envy.console.text import (
    cell_width,
    clip,
    format_clock,
    format_size,
    last_rewrite,
    pad,
    safe_line,
)
from envy.events import Event, Stamped
from envy.phase import RecipePhase

# A phase that ends sooner than this would only flicker.
SHOWN_AFTER_SECONDS = 0.2
_BAR_CELLS = 16
_PHASE_CELLS = max(len(phase.label) for phase in RecipePhase)


@dataclass(frozen=True, slots=True)
class StyledText:
    """A piece of a line; `style` is "", or a word of `STYLES`."""

    text: str
    style: str = ""


Line = tuple[StyledText, ...]
STYLES = ("name", "phase", "time", "bar", "faint", "warning", "failure")


def line_text(line: Line) -> str:
    """Return the text of a line without its styles."""
    return "".join(span.text for span in line)


@dataclass(slots=True)
class Activity:
    """A recipe that is running one of its phases."""

    recipe: str
    key: str
    phase: RecipePhase
    started: float
    detail: str = ""
    downloads: dict[str, tuple[int, int]] = field(default_factory=dict)  # url: bytes, total


class DisplayState:
    """The recipes at work and the outcomes so far. `apply` must get every event, in order."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.activities: dict[str, Activity] = {}  # by key, longest-running first
        self.outcomes: dict[str, int] = {}
        self.failed = 0
        self.aborted = 0
        self._steps: dict[type[Event], Callable[[Any, float], None]] = {
            events.PhaseStart: self._phase_start,
            events.PhaseComplete: self._phase_end,
            events.PhaseFailure: self._phase_failure,
            events.DownloadProgress: self._download_progress,
            events.LuaCtxRunStart: self._run_start,
            events.LuaCtxExtractStart: self._extract_start,
            events.OutputLine: self._output_line,
            events.LockBlocked: self._lock_blocked,
            events.RecipeComplete: self._recipe_complete,
            events.RecipeAborted: self._recipe_aborted,
        }

    def apply(self, stamped: Stamped) -> None:
        """Update the state with one event."""
        if self.started is None:
            self.started = stamped.ts
        step = self._steps.get(type(stamped.event))
        if step:
            step(stamped.event, stamped.ts)

    def _phase_start(self, event: events.PhaseStart, ts: float) -> None:
        self.activities.pop(event.key, None)
        self.activities[event.key] = Activity(event.recipe, event.key, event.phase, ts)

    def _phase_end(self, event: events.PhaseComplete | events.PhaseFailure, _ts: float) -> None:
        self.activities.pop(event.key, None)

    def _phase_failure(self, event: events.PhaseFailure, ts: float) -> None:
        self._phase_end(event, ts)
        self.failed += 1

    def _download_progress(self, event: events.DownloadProgress, _ts: float) -> None:
        activity = self._activity_of(event.recipe)
        if activity:
            activity.downloads[event.url] = (event.bytes, event.total)

    def _run_start(self, event: events.LuaCtxRunStart, _ts: float) -> None:
        activity = self._activity_of(event.recipe)
        if activity:
            activity.downloads.clear()
        self._set_detail(event.recipe, f"$ {event.command}")

    def _extract_start(self, event: events.LuaCtxExtractStart, _ts: float) -> None:
        name = event.archive_path.replace("\\", "/").rpartition("/")[2]
        self._set_detail(event.recipe, f"extracting {name}")

    def _output_line(self, event: events.OutputLine, _ts: float) -> None:
        text = last_rewrite(event.text_).strip()
        if text:
            self._set_detail(event.recipe, text, phase=event.phase)

    def _lock_blocked(self, event: events.LockBlocked, _ts: float) -> None:
        self._set_detail(event.recipe, f"waits for {event.held_by}")

    def _recipe_complete(self, event: events.RecipeComplete, _ts: float) -> None:
        self.activities.pop(event.key, None)
        self.outcomes[event.outcome] = self.outcomes.get(event.outcome, 0) + 1

    def _recipe_aborted(self, event: events.RecipeAborted, _ts: float) -> None:
        self.activities.pop(event.key, None)
        self.aborted += 1

    def _set_detail(self, recipe: str, text: str, *, phase: RecipePhase | None = None) -> None:
        activity = self._activity_of(recipe, phase)
        if activity:
            activity.detail = text

    def _activity_of(self, recipe: str, phase: RecipePhase | None = None) -> Activity | None:
        """Return the latest activity of an identity, preferably one in `phase`."""
        mine = [activity for activity in self.activities.values() if activity.recipe == recipe]
        matching = [activity for activity in mine if activity.phase == phase]
        return next(reversed(matching or mine), None)


def render(state: DisplayState, now: float, width: int, *, rows: int = 12) -> list[Line]:
    """Return the picture: a line with counts, then a line per recipe at work, at most `rows`."""
    shown = [
        activity
        for activity in state.activities.values()
        if now - activity.started >= SHOWN_AFTER_SECONDS
    ]
    lines = [_count_line(state, now)]
    key_cells = min(
        max((cell_width(safe_line(activity.key)) for activity in shown[:rows]), default=0),
        max(12, width * 2 // 5),
    )
    lines += [_activity_line(activity, now, key_cells) for activity in shown[:rows]]
    if len(shown) > rows:
        lines.append((StyledText(f"  … and {len(shown) - rows} more", "faint"),))
    return [_clip_line(line, width) for line in lines]


def _count_line(state: DisplayState, now: float) -> Line:
    parts = [(f"{len(state.activities)} at work", "name")]
    parts += [(f"{count} {outcome}", "") for outcome, count in sorted(state.outcomes.items())]
    if state.failed:
        parts.append((f"{state.failed} failed", "failure"))
    if state.aborted:
        parts.append((f"{state.aborted} not built", "warning"))
    parts.append((format_clock(now - (now if state.started is None else state.started)), "time"))
    spans: list[StyledText] = []
    for text, style in parts:
        spans += [StyledText(" · ", "faint")] if spans else []
        spans.append(StyledText(text, style))
    return tuple(spans)


def _activity_line(activity: Activity, now: float, key_cells: int) -> Line:
    return (
        StyledText("  "),
        StyledText(pad(safe_line(activity.key), key_cells), "name"),
        StyledText("  "),
        StyledText(pad(activity.phase.label, _PHASE_CELLS), "phase"),
        StyledText(format_clock(now - activity.started).rjust(7), "time"),
        StyledText("  "),
        *_news(activity),
    )


def _news(activity: Activity) -> Line:
    if not activity.downloads:
        return (StyledText(safe_line(activity.detail), "faint"),)
    done = sum(count for count, _ in activity.downloads.values())
    totals = [total for _, total in activity.downloads.values()]
    url = safe_line(next(reversed(activity.downloads)))
    if not all(totals):
        return (StyledText(format_size(done), "bar"), StyledText("  "), StyledText(url, "faint"))
    total = sum(totals)
    full = min(_BAR_CELLS, _BAR_CELLS * done // total)
    return (
        StyledText("━" * full, "bar"),
        StyledText("╌" * (_BAR_CELLS - full), "faint"),
        StyledText(f" {format_size(done)} of {format_size(total)}", "bar"),
        StyledText("  "),
        StyledText(url, "faint"),
    )


def _clip_line(line: Line, width: int) -> Line:
    spans: list[StyledText] = []
    left = width
    for span in line:
        text = clip(span.text, left)
        if text:
            spans.append(StyledText(text, span.style))
        if text != span.text:
            break
        left -= cell_width(text)
    return tuple(spans)
