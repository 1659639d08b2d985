"""What is worth a line: turns events into remarks, and keeps no more than it needs for that.

Owns the wording of everything that is said while envy works. Draws nothing and knows no stream.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from envy import events
from envy.console.text import format_seconds, format_size, last_rewrite, safe_line, safe_lines
from envy.console.verbosity import Importance
from envy.events import Event, Stamped
from envy.phase import RecipePhase

_MAKES_CONTENT = range(RecipePhase.FETCH, RecipePhase.DEPLOY)


@dataclass(frozen=True, slots=True)
class Remark:
    """One line for the user, safe for a terminal."""

    importance: Importance
    text: str


class Narrator:
    """Tells a run in remarks. Fed every event, in order, by one console."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        self._hits: set[str] = set()
        self._misses: set[str] = set()
        self._announced: set[tuple[str, str]] = set()
        self._tellers: dict[type[Event], Callable[[Any, float], list[Remark]]] = {
            events.PhaseStart: self._phase_start,
            events.PhaseFailure: self._phase_failure,
            events.PhaseSilent: self._phase_silent,
            events.CacheHit: self._cache_hit,
            events.CacheMiss: self._cache_miss,
            events.DownloadProgress: self._download_progress,
            events.LuaCtxFetchComplete: self._fetch_complete,
            events.LuaCtxRunStart: self._run_start,
            events.OutputLine: self._output_line,
            events.LogMessage: self._log_message,
            events.StandardOutput: self._standard_output,
            events.RecipeComplete: self._recipe_complete,
            events.RecipeAborted: self._recipe_aborted,
        }

    def tell(self, stamped: Stamped) -> list[Remark]:
        """What one event is worth saying."""
        teller = self._tellers.get(type(stamped.event))
        return teller(stamped.event, stamped.ts) if teller else []

    def _phase_start(self, event: events.PhaseStart, ts: float) -> list[Remark]:
        known_cached = event.recipe in self._hits and event.recipe not in self._misses
        if event.phase not in _MAKES_CONTENT or event.key in self._began or known_cached:
            return []
        self._began[event.key] = ts
        return [_remark(Importance.STEP, f"installing {event.key}")]

    def _phase_failure(self, event: events.PhaseFailure, _ts: float) -> list[Remark]:
        first = event.error.strip().partition("\n")[0]
        return [
            _remark(Importance.FAILURE, f"failed {event.key}: {event.phase.label} failed: {first}")
        ]

    def _phase_silent(self, event: events.PhaseSilent, _ts: float) -> list[Remark]:
        who = f"{event.recipe}: {event.phase.label} silent for {event.seconds} s"
        return [_remark(Importance.NOTE, f"{who} (pid {event.pid}: {event.command})")]

    def _cache_hit(self, event: events.CacheHit, _ts: float) -> list[Remark]:
        self._hits.add(event.recipe)
        return []

    def _cache_miss(self, event: events.CacheMiss, _ts: float) -> list[Remark]:
        self._misses.add(event.recipe)
        return [_remark(Importance.DETAIL, f"not cached {event.recipe}: {event.reason}")]

    def _download_progress(self, event: events.DownloadProgress, _ts: float) -> list[Remark]:
        # The start of a transfer does not know its size yet; the first progress does.
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
            return [_remark(Importance.DETAIL, f"fetched {event.url} ({size} in {took})")]
        return [_remark(Importance.STEP, f"fetching {event.url} ({size})")]

    def _run_start(self, event: events.LuaCtxRunStart, _ts: float) -> list[Remark]:
        return [_remark(Importance.DETAIL, f"{event.recipe} $ {event.command}")]

    def _output_line(self, event: events.OutputLine, _ts: float) -> list[Remark]:
        return [_remark(Importance.DETAIL, f"{event.recipe} | {last_rewrite(event.text_)}")]

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
        began = self._began.pop(event.key, None)
        if event.outcome in ("installed", "deployed"):
            took = f" ({format_seconds(ts - began)})" if began is not None else ""
            return [_remark(Importance.NOTE, f"{event.outcome} {event.key}{took}")]
        where = f" at {event.asset_path}" if event.asset_path else ""
        return [_remark(Importance.DETAIL, f"{event.outcome} {event.key}{where}")]

    def _recipe_aborted(self, event: events.RecipeAborted, _ts: float) -> list[Remark]:
        text = f"not built {event.key}: {event.dependency} failed"
        return [_remark(Importance.DETAIL, text)]


_LEVELS = {
    "debug": Importance.DETAIL,
    "info": Importance.NOTE,
    "warn": Importance.WARNING,
    "error": Importance.FAILURE,
}
_PREFIXES = {"debug": "debug: ", "warn": "warning: ", "error": "error: "}


def _remark(importance: Importance, text: str) -> Remark:
    return Remark(importance, safe_line(text))


def _numbered_first(lines: list[str]) -> list[tuple[bool, str]]:
    return [(index == 0, line) for index, line in enumerate(lines)]
