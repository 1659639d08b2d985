"""The state of a run in progress, built from events only: what is at work, done and awaited.

`display` says how it looks. Every time here is that of an event, in seconds since the epoch.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from envy import events
from envy.console.text import last_rewrite
from envy.events import Event, Stamped
from envy.phase import RecipePhase

# The rate of the downloads is that of the last seconds.
RATE_SECONDS = 5.0
_SAMPLE_SECONDS = 0.25


@dataclass(slots=True)
class Transfer:
    """A download: the bytes so far, the size (0: unknown), and when bytes last arrived."""

    url: str
    changed: float
    bytes: int = 0
    total: int = 0
    ended: bool = False


@dataclass(slots=True)
class Files:
    """Files that are unpacked or hashed one by one; `total` is 0 if their number is unknown."""

    action: str
    done: int
    total: int


@dataclass(slots=True)
class Activity:
    """A recipe that is running one of its phases."""

    recipe: str
    key: str
    phase: RecipePhase
    started: float
    detail: str = ""
    changed: float = 0.0  # when the detail last changed
    runs: bool = False  # a script or program is running
    files: Files | None = None
    transfers: dict[str, Transfer] = field(default_factory=dict)  # by URL

    @property
    def under_way(self) -> list[Transfer]:
        """The downloads that have not ended, the oldest first."""
        return [transfer for transfer in self.transfers.values() if not transfer.ended]


class DisplayState:
    """The recipes at work and the outcomes so far. `apply` must get every event, in order."""

    def __init__(self) -> None:
        self.started: float | None = None
        self.activities: dict[str, Activity] = {}  # by key, longest-running first
        self.wanted = 0  # packages that this run has to work on
        self.done = 0  # of these
        self.failed = 0
        self.aborted = 0
        # Of phases that have ended: received, and the size that was expected.
        self._received = self._expected = 0
        self._samples: deque[tuple[float, int]] = deque()  # time, bytes received until then
        self._steps: dict[type[Event], Callable[[Any, float], None]] = {
            events.PackagesWanted: self._packages_wanted,
            events.PhaseStart: self._phase_start,
            events.PhaseComplete: self._phase_end,
            events.PhaseFailure: self._phase_failure,
            events.LuaCtxFetchStart: self._fetch_start,
            events.DownloadProgress: self._download_progress,
            events.LuaCtxFetchComplete: self._fetch_complete,
            events.FilesProgress: self._files_progress,
            events.LuaCtxRunStart: self._run_start,
            events.LuaCtxRunComplete: self._run_complete,
            events.LuaCtxExtractStart: self._extract_start,
            events.LuaCtxExtractComplete: self._extract_complete,
            events.OutputLine: self._output_line,
            events.LockBlocked: self._lock_blocked,
            events.LockAcquired: self._lock_acquired,
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

    def downloads(self) -> tuple[int, int, bool]:
        """Return the bytes received and expected in this run, and whether more are on their way.

        The expected size is 0 if that of a download under way is unknown. A download without an
        answer so far adds nothing.
        """
        received, expected, active, known = self._received, self._expected, False, True
        for activity in self.activities.values():
            for transfer in activity.transfers.values():
                received += transfer.bytes
                expected += max(transfer.total, transfer.bytes)
                active = active or not transfer.ended
                known = known and bool(transfer.ended or transfer.total or not transfer.bytes)
        return received, expected if known else 0, active

    def rate(self, now: float) -> float:
        """Return the bytes per second of the last seconds; 0.0 while too little is known."""
        recent = [sample for sample in self._samples if sample[0] >= now - RATE_SECONDS]
        since, before = recent[0] if recent else self._samples[-1] if self._samples else (now, 0)
        seconds = now - since
        return (self.downloads()[0] - before) / seconds if seconds >= 1.0 else 0.0

    # -- packages --------------------------------------------------------------------------------

    def _packages_wanted(self, event: events.PackagesWanted, _ts: float) -> None:
        self.wanted += event.missing

    def _phase_start(self, event: events.PhaseStart, ts: float) -> None:
        self._end(event.key)
        self.activities[event.key] = Activity(event.recipe, event.key, event.phase, ts)

    def _phase_end(self, event: events.PhaseComplete, _ts: float) -> None:
        self._end(event.key)

    def _phase_failure(self, event: events.PhaseFailure, _ts: float) -> None:
        self._end(event.key)
        self.failed += 1

    def _recipe_complete(self, event: events.RecipeComplete, _ts: float) -> None:
        self._end(event.key)
        self.done += event.outcome not in {"cached", "taken"}

    def _recipe_aborted(self, event: events.RecipeAborted, _ts: float) -> None:
        self._end(event.key)
        self.aborted += 1

    def _end(self, key: str) -> None:
        activity = self.activities.pop(key, None)
        for transfer in activity.transfers.values() if activity else ():
            self._received += transfer.bytes
            self._expected += transfer.bytes

    # -- downloads -------------------------------------------------------------------------------

    def _fetch_start(self, event: events.LuaCtxFetchStart, ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.transfers[event.url] = Transfer(event.url, ts)
            self._sample(ts)

    def _download_progress(self, event: events.DownloadProgress, ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if not activity:
            return
        self._sample(ts)
        transfer = activity.transfers.setdefault(event.url, Transfer(event.url, ts))
        if event.bytes != transfer.bytes:
            transfer.changed = ts
        transfer.bytes, transfer.total = event.bytes, event.total
        transfer.ended = 0 < event.total <= event.bytes

    def _fetch_complete(self, event: events.LuaCtxFetchComplete, _ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity and event.url in activity.transfers:
            activity.transfers[event.url].ended = True

    def _sample(self, ts: float) -> None:
        """Remember how much had arrived before this event, so that a rate can be told."""
        samples = self._samples
        if samples and ts - samples[-1][0] < _SAMPLE_SECONDS:
            return
        samples.append((ts, self.downloads()[0]))
        while len(samples) > 1 and samples[1][0] < ts - RATE_SECONDS:
            samples.popleft()

    # -- files, scripts and locks ----------------------------------------------------------------

    def _files_progress(self, event: events.FilesProgress, _ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.files = Files(event.action, event.files, event.total)

    def _run_start(self, event: events.LuaCtxRunStart, ts: float) -> None:
        self._set_detail(event, f"$ {event.command}", ts)
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.runs, activity.files = True, None

    def _run_complete(self, event: events.LuaCtxRunComplete, _ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.runs = False

    def _extract_start(self, event: events.LuaCtxExtractStart, ts: float) -> None:
        name = event.archive_path.replace("\\", "/").rpartition("/")[2]
        self._set_detail(event, f"extracting {name}", ts)

    def _extract_complete(self, event: events.LuaCtxExtractComplete, _ts: float) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.files = None

    def _output_line(self, event: events.OutputLine, ts: float) -> None:
        text = last_rewrite(event.text_).strip()
        activity = self._activity_of(event.recipe, phase=event.phase)
        if activity and text:
            activity.detail, activity.changed = text, ts

    def _lock_blocked(self, event: events.LockBlocked, ts: float) -> None:
        self._set_detail(event, f"waiting for {event.held_by or 'another process'}", ts)

    def _lock_acquired(self, event: events.LockAcquired, ts: float) -> None:
        self._set_detail(event, "", ts)

    def _set_detail(
        self,
        event: events.LuaCtxRunStart
        | events.LuaCtxExtractStart
        | events.LockBlocked
        | events.LockAcquired,
        text: str,
        ts: float,
    ) -> None:
        activity = self._activity_of(event.recipe, key=event.key)
        if activity:
            activity.detail, activity.changed = text, ts

    def _activity_of(
        self, recipe: str, *, key: str = "", phase: RecipePhase | None = None
    ) -> Activity | None:
        """Return the activity of a key; else the latest of an identity, preferably in `phase`."""
        if key:
            return self.activities.get(key)
        mine = [activity for activity in self.activities.values() if activity.recipe == recipe]
        matching = [activity for activity in mine if activity.phase == phase]
        return next(reversed(matching or mine), None)
