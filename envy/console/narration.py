"""Turns events into remarks, the lines that a user sees while envy works.

The start of a piece of work becomes a line only if the work lasts. No event says so: a console
requests these lines when they are due (`next_due`, `lasting`).

Owns the wording of every remark. Draws nothing and writes to no stream.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envy import events
from envy.console.styled import Line, StyledText, prefixed_line
from envy.console.text import (
    format_seconds,
    format_size,
    last_rewrite,
    safe_line,
    safe_lines,
    wrapped,
)
from envy.console.verbosity import Importance
from envy.console.work_time import WorkTimes
from envy.events import Event, Stamped
from envy.phase import RecipePhase

# Work that takes longer than this gets a line before it ends.
LASTING_SECONDS = 2.0
_MAKES_CONTENT = range(RecipePhase.FETCH, RecipePhase.DEPLOY)


class Mark(Enum):
    """The sign that a remark begins with where signs are shown."""

    NONE = ""
    DONE = "✓"
    FAILED = "✗"


@dataclass(frozen=True, slots=True)
class Remark:
    """One line for the user, safe for a terminal."""

    importance: Importance
    text: str
    mark: Mark = Mark.NONE


class Narrator:
    """Narrates a run in remarks. One console passes it every event that it hears, in order.

    Remarks of less importance than `least` are not made.
    """

    def __init__(self, least: Importance = Importance.DETAIL) -> None:
        self._has_details = least <= Importance.DETAIL
        self._work = WorkTimes()
        # Work in progress that was not reported yet: since when it has run, and its line.
        self._unreported: dict[str, tuple[float, str]] = {}
        self._reported: set[str] = set()  # installs whose line was due before they ended
        self._hits: set[str] = set()
        self._misses: set[str] = set()
        self._announced: set[tuple[str, str]] = set()
        self._handlers: dict[type[Event], Callable[[Any, float], list[Remark]]] = {
            events.PhaseStart: self._phase_start,
            events.PhaseComplete: self._phase_complete,
            events.PhaseFailure: self._phase_failure,
            events.PhaseSilent: self._phase_silent,
            events.CacheHit: self._cache_hit,
            events.CacheMiss: self._cache_miss,
            events.EntryTaken: self._entry_taken,
            events.EntryStored: self._entry_stored,
            events.DownloadProgress: self._download_progress,
            events.LuaCtxFetchComplete: self._fetch_complete,
            events.LockBlocked: self._lock_blocked,
            events.LockAcquired: self._lock_acquired,
            events.LogMessage: self._log_message,
            events.StandardOutput: self._standard_output,
            events.RecipeComplete: self._recipe_complete,
            events.RecipeAborted: self._recipe_aborted,
        }
        if self._has_details:
            # Whoever does not show them is not called for each line of a build's output.
            self._handlers[events.LuaCtxRunStart] = self._run_start
            self._handlers[events.OutputLine] = self._output_line

    @property
    def heard(self) -> frozenset[type[Event]]:
        """The event classes that can cause a remark."""
        return frozenset(self._handlers)

    def remarks_for(self, stamped: Stamped) -> list[Remark]:
        """Return the remarks that one event causes."""
        handler = self._handlers.get(type(stamped.event))
        return handler(stamped.event, stamped.ts) if handler else []

    @property
    def awaits(self) -> bool:
        """Return whether any work is in progress that was not reported yet."""
        return bool(self._unreported)

    def next_due(self) -> float | None:
        """Return the time at which the next unreported work becomes lasting, or None."""
        oldest = min((since for since, _ in self._unreported.values()), default=None)
        return None if oldest is None else oldest + LASTING_SECONDS

    def lasting(self, now: float) -> list[Remark]:
        """Return a remark for each piece of work that has become lasting, each once."""
        due = [
            (since, what)
            for what, (since, _) in self._unreported.items()
            if since + LASTING_SECONDS <= now
        ]
        remarks = []
        for _, what in sorted(due):
            self._reported.add(what)
            remarks.append(_remark(Importance.STEP, self._unreported.pop(what)[1]))
        return remarks

    def _phase_start(self, event: events.PhaseStart, ts: float) -> list[Remark]:
        known_cached = event.recipe in self._hits and event.recipe not in self._misses
        has_begun = event.key in self._work
        if (event.phase not in _MAKES_CONTENT and not has_begun) or known_cached:
            return []
        self._make_due(event.key, self._work.begin_phase(event.key, ts))
        return [] if has_begun else self._detail(f"installing {event.key}")

    def _phase_complete(self, event: events.PhaseComplete, _ts: float) -> list[Remark]:
        self._work.end_phase(event.key, event.duration_ms / 1000)
        self._unreported.pop(event.key, None)  # it may wait for a slot now
        return []

    def _make_due(self, key: str, since: float) -> None:
        """Let the line of an install become due if the work since then lasts."""
        if key not in self._reported:
            self._unreported[key] = (since, f"installing {key}")

    def _phase_failure(self, event: events.PhaseFailure, ts: float) -> list[Remark]:
        # The whole error follows at the end of the run; who watches wants to know now what it is.
        reason = event.error.strip().partition("\n")[0]
        text = f"failed {event.key} in {event.phase.label}{self._took(event.key, ts)}"
        return [_remark(Importance.NOTE, f"{text}: {reason}" if reason else text, Mark.FAILED)]

    def _begin(self, what: str, ts: float, text: str) -> list[Remark]:
        """Record work that has begun, and return its remark: a detail until the work lasts."""
        self._unreported[what] = (ts, text)
        return self._detail(text)

    def _detail(self, text: str) -> list[Remark]:
        return [_remark(Importance.DETAIL, text)] if self._has_details else []

    def _lock_blocked(self, event: events.LockBlocked, ts: float) -> list[Remark]:
        text = f"waiting {event.recipe}: its lock is held by {event.held_by}"
        self._work.pause(event.key, ts)
        self._unreported.pop(event.key, None)
        return self._begin(event.lock_path, ts, text)

    def _lock_acquired(self, event: events.LockAcquired, ts: float) -> list[Remark]:
        self._unreported.pop(event.lock_path, None)
        if event.key in self._work:
            self._make_due(event.key, self._work.resume(event.key, ts))
        return []

    def _took(self, key: str, now: float) -> str:
        """End a recipe's work and return its duration in parentheses; "" if it had not begun."""
        self._unreported.pop(key, None)
        self._reported.discard(key)
        seconds = self._work.end(key, now)
        return "" if seconds is None else f" ({format_seconds(seconds)})"

    def _phase_silent(self, event: events.PhaseSilent, _ts: float) -> list[Remark]:
        who = f"{event.recipe}: {event.phase.label} silent for {event.seconds} s"
        return [_remark(Importance.NOTE, f"{who} (pid {event.pid}: {event.command})")]

    def _cache_hit(self, event: events.CacheHit, _ts: float) -> list[Remark]:
        self._hits.add(event.recipe)
        return []

    def _cache_miss(self, event: events.CacheMiss, _ts: float) -> list[Remark]:
        self._misses.add(event.recipe)
        return self._detail(f"not cached {event.recipe}: {event.reason}")

    def _entry_taken(self, event: events.EntryTaken, _ts: float) -> list[Remark]:
        took = f"{format_size(event.bytes)} in {format_seconds(event.duration_ms / 1000)}"
        text = f"taken {event.key} from {event.depot} ({took})"
        return [_remark(Importance.NOTE, text, Mark.DONE)]

    def _entry_stored(self, event: events.EntryStored, _ts: float) -> list[Remark]:
        if not event.bytes:
            return self._detail(f"{event.depot} has {event.key}")
        took = f"{format_size(event.bytes)} in {format_seconds(event.duration_ms / 1000)}"
        return [_remark(Importance.NOTE, f"stored {event.key} in {event.depot} ({took})")]

    def _download_progress(self, event: events.DownloadProgress, _ts: float) -> list[Remark]:
        # The size is unknown at the start of a transfer; the first progress event has it.
        if (event.recipe, event.url) in self._announced:
            return []
        self._announced.add((event.recipe, event.url))
        size = f" ({format_size(event.total)})" if event.total else ""
        return [_remark(Importance.STEP, f"fetching {event.url}{size}")]

    def _fetch_complete(self, event: events.LuaCtxFetchComplete, _ts: float) -> list[Remark]:
        size = format_size(event.bytes_downloaded)
        took = format_seconds(event.duration_ms / 1000)
        said = (event.recipe, event.url) in self._announced
        self._announced.discard((event.recipe, event.url))
        if said:
            return self._detail(f"fetched {event.url} ({size} in {took})")
        return [_remark(Importance.STEP, f"fetching {event.url} ({size})")]

    def _run_start(self, event: events.LuaCtxRunStart, _ts: float) -> list[Remark]:
        return self._detail(f"{event.recipe} $ {event.command}")

    def _output_line(self, event: events.OutputLine, _ts: float) -> list[Remark]:
        return self._detail(f"{event.recipe} | {last_rewrite(event.text_)}")

    def _log_message(self, event: events.LogMessage, _ts: float) -> list[Remark]:
        importance = _LEVELS.get(event.level, Importance.NOTE)
        prefix = _PREFIXES.get(event.level, "") + (f"{event.recipe}: " if event.recipe else "")
        return [
            Remark(importance, (safe_line(prefix) if first else "  ") + line)
            for first, line in _numbered_first(safe_lines(event.message))
        ]

    def _standard_output(self, event: events.StandardOutput, _ts: float) -> list[Remark]:
        return [Remark(Importance.RESULT, line) for line in safe_lines(event.message)]

    def _recipe_complete(self, event: events.RecipeComplete, ts: float) -> list[Remark]:
        took = self._took(event.key, ts)
        if event.outcome in _DONE:
            text = f"{_DONE[event.outcome]} {event.key}{took}"
            return [_remark(Importance.NOTE, text, Mark.DONE)]
        where = f" at {event.asset_path}" if event.asset_path else ""
        return self._detail(f"{event.outcome} {event.key}{where}")

    def _recipe_aborted(self, event: events.RecipeAborted, ts: float) -> list[Remark]:
        self._took(event.key, ts)
        return self._detail(f"not built {event.key}: {event.dependency} failed")


# The outcomes of recipes that needed work, in the words of the user.
_DONE = {
    "installed": "installed",
    "changed": "installed",
    "unconfirmed": "installed (unconfirmed)",
    "deployed": "deployed",
}
_LEVELS = {
    "debug": Importance.DETAIL,
    "info": Importance.NOTE,
    "warn": Importance.WARNING,
    "error": Importance.FAILURE,
    "report": Importance.FAILURE,  # the answer to SIGUSR1: shown even with --quiet
}
_PREFIXES = {"debug": "debug: ", "warn": "warning: ", "error": "error: "}
_MARK_STYLES = {Mark.DONE: "success", Mark.FAILED: "failure"}


def remark_lines(remark: Remark, width: int = 0) -> list[Line]:
    """Return a remark as styled lines, with its sign, broken between words if a width is given.

    What a recipe prints for standard output is not changed.
    """
    if remark.importance is Importance.RESULT:
        return [(StyledText(remark.text),)]
    style = _MARK_STYLES.get(remark.mark, "")
    sign = (StyledText(remark.mark.value, style), StyledText(" ")) if style else ()
    first, *others = wrapped(remark.text, width - len(sign)) if width else [remark.text]
    if style == "failure":
        return [(*sign, StyledText(first, style)), *((StyledText(one, style),) for one in others)]
    return [(*sign, *prefixed_line(first)), *((StyledText(one),) for one in others)]


def _remark(importance: Importance, text: str, mark: Mark = Mark.NONE) -> Remark:
    return Remark(importance, safe_line(text), mark)


def _numbered_first(lines: list[str]) -> list[tuple[bool, str]]:
    return [(index == 0, line) for index, line in enumerate(lines)]
