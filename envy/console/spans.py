"""Conversion of events to spans: pieces of work with a beginning and an end.

The timeline draws spans and the profile counts them. An event says that something begins or ends; a
span has both, and every beginning leads to a span, however the work ended.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from envy import events

PHASE, SLOT, QUEUE, GATE, LOCK = "phase", "slot", "slot wait", "dependency wait", "lock wait"
SCRIPT, DOWNLOAD, EXTRACT = "script", "download", "extract"
TEST_PHASE, TEST_BUILD = "test phase", "test build"

# Work within a phase; it has ended at the latest when the phase has.
_OF_A_PHASE = frozenset({LOCK, SCRIPT, DOWNLOAD, EXTRACT})
# Several of these run at once; each gets a lane of its own.
_IN_LANES = frozenset({SLOT, DOWNLOAD, TEST_BUILD})

FAILED, CUT_SHORT = "failed", "cut short"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Work that lasted from `start` to `end`, in seconds of the listener's clock."""

    kind: str
    key: str  # of the recipe, or the name of a test package
    name: str
    start: float
    end: float
    lane: int = 0  # among spans of its kind (and pool) that run at once
    ended: str = ""  # FAILED or CUT_SHORT if it did not end normally
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """The duration."""
        return self.end - self.start


@dataclass(slots=True)
class _OpenSpan:
    kind: str
    key: str
    name: str
    start: float
    lane: int
    details: dict[str, Any]


class SpanBuilder:
    """Takes events in order, with their times, and returns the spans that end with each.

    Apart from downloads, the spans of one recipe are nested or follow one another.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str, str], _OpenSpan] = {}
        self._by_key: dict[str, list[_OpenSpan]] = {}
        self._lanes: dict[str, set[int]] = {}
        self._last_end: dict[str, float] = {}
        self._handlers: dict[type[events.Event], Callable[[Any, float], Iterable[Span]]] = {
            events.PhaseStart: self._phase_start,
            events.PhaseComplete: self._phase_complete,
            events.PhaseFailure: self._phase_failure,
            events.PhaseBlocked: self._blocked,
            events.PhaseUnblocked: self._unblocked,
            events.SlotAcquired: self._slot_acquired,
            events.SlotReleased: self._slot_released,
            events.LockBlocked: self._lock_blocked,
            events.LockAcquired: self._lock_acquired,
            events.LuaCtxRunStart: self._run_start,
            events.LuaCtxRunComplete: self._run_complete,
            events.LuaCtxFetchStart: self._fetch_start,
            events.LuaCtxFetchComplete: self._fetch_complete,
            events.LuaCtxExtractStart: self._extract_start,
            events.LuaCtxExtractComplete: self._extract_complete,
            events.TestPhaseStart: self._test_phase_start,
            events.TestPhaseComplete: self._test_phase_complete,
            events.TestBuildStart: self._test_build_start,
            events.TestBuildComplete: self._test_build_complete,
        }

    def on_event(self, event: events.Event, now: float) -> list[Span]:
        """Process an event; return the spans that it ends, inner spans first."""
        handler = self._handlers.get(type(event))
        return list(handler(event, now)) if handler else []

    def close(self, now: float) -> list[Span]:
        """End all open spans, inner spans first."""
        return [
            self._end(span, now, ended=CUT_SHORT) for span in reversed(list(self._open.values()))
        ]

    # -- beginning and ending ----------------------------------------------------------------------

    def _begin(self, kind: str, key: str, name: str, now: float, **details: Any) -> list[Span]:
        # The same work twice at once, such as one file fetched twice: the first span ends here.
        ended = list(self._end_of(kind, key, name, now, ended=CUT_SHORT))
        lane = 0
        if kind in _IN_LANES:
            taken = self._lanes.setdefault(_group(kind, name), set())
            lane = next(number for number in range(len(taken) + 1) if number not in taken)
            taken.add(lane)
        span = _OpenSpan(kind, key, name, now, lane, details)
        self._open[kind, key, name] = span
        self._by_key.setdefault(key, []).append(span)
        return ended

    def _end(self, span: _OpenSpan, now: float, *, ended: str = "", **details: Any) -> Span:
        del self._open[span.kind, span.key, span.name]
        self._by_key[span.key].remove(span)
        if span.kind in _IN_LANES:
            self._lanes[_group(span.kind, span.name)].discard(span.lane)
        if span.kind != DOWNLOAD:
            self._last_end[span.key] = now
        return Span(
            kind=span.kind,
            key=span.key,
            name=span.name,
            start=span.start,
            end=now,
            lane=span.lane,
            ended=ended,
            details={**span.details, **details},
        )

    def _end_of(
        self, kind: str, key: str, name: str, now: float, *, ended: str = "", **details: Any
    ) -> Iterator[Span]:
        """End an open span, if it exists, and the spans that began within it."""
        span = self._open.get((kind, key, name))
        if span is None:
            return
        if kind not in _IN_LANES:
            began_later = self._by_key[key][self._by_key[key].index(span) + 1 :]
            for inner in reversed(began_later):
                if inner.kind not in _IN_LANES:
                    yield self._end(inner, now, ended=CUT_SHORT)
        yield self._end(span, now, ended=ended, **details)

    def _open_spans(self, key: str, kinds: Iterable[str]) -> list[_OpenSpan]:
        """Return the open spans of a recipe, of these kinds, inner spans first."""
        return [span for span in reversed(self._by_key.get(key, [])) if span.kind in kinds]

    # -- events ------------------------------------------------------------------------------------

    def _phase_start(self, event: events.PhaseStart, now: float) -> Iterable[Span]:
        return self._begin(PHASE, event.key, event.phase.label, now)

    def _phase_complete(self, event: events.PhaseComplete, now: float) -> Iterator[Span]:
        for span in self._open_spans(event.key, _OF_A_PHASE):
            yield self._end(span, now, ended=CUT_SHORT)
        yield from self._end_of(PHASE, event.key, event.phase.label, now)

    def _phase_failure(self, event: events.PhaseFailure, now: float) -> Iterator[Span]:
        for span in self._open_spans(event.key, _OF_A_PHASE):
            yield self._end(span, now, ended=FAILED)
        name = event.phase.label
        yield from self._end_of(PHASE, event.key, name, now, ended=FAILED, error=event.error)

    def _blocked(self, event: events.PhaseBlocked, now: float) -> Iterable[Span]:
        return self._begin(GATE, event.key, event.phase.label, now, waiting_for=event.waiting_for)

    def _unblocked(self, event: events.PhaseUnblocked, now: float) -> Iterator[Span]:
        return self._end_of(GATE, event.key, event.phase.label, now)

    def _slot_acquired(self, event: events.SlotAcquired, now: float) -> Iterator[Span]:
        if event.wait_ms:
            # The wait is rounded to milliseconds: it must not begin before the span before it.
            within = [span.start for span in self._by_key.get(event.key, [])]
            floor = max([self._last_end.get(event.key, 0.0), *within])
            start = min(now, max(now - event.wait_ms / 1000, floor))
            yield Span(kind=QUEUE, key=event.key, name=event.pool, start=start, end=now)
            self._last_end[event.key] = now
        yield from self._begin(SLOT, event.key, event.pool, now)

    def _slot_released(self, event: events.SlotReleased, now: float) -> Iterator[Span]:
        if not self._open_spans(event.key, {LOCK}):
            # A cancelled phase has no event of its own.
            for span in self._open_spans(event.key, _OF_A_PHASE | {PHASE}):
                yield self._end(span, now, ended=CUT_SHORT)
        yield from self._end_of(SLOT, event.key, event.pool, now)

    def _lock_blocked(self, event: events.LockBlocked, now: float) -> Iterable[Span]:
        return self._begin(LOCK, event.key, event.lock_path, now, held_by=event.held_by)

    def _lock_acquired(self, event: events.LockAcquired, now: float) -> Iterator[Span]:
        return self._end_of(LOCK, event.key, event.lock_path, now)

    def _run_start(self, event: events.LuaCtxRunStart, now: float) -> Iterable[Span]:
        return self._begin(SCRIPT, event.key, event.command, now, cwd=event.cwd)

    def _run_complete(self, event: events.LuaCtxRunComplete, now: float) -> Iterator[Span]:
        code = event.exit_code
        ended = FAILED if code else ""
        return self._end_of(SCRIPT, event.key, event.command, now, ended=ended, exit_code=code)

    def _fetch_start(self, event: events.LuaCtxFetchStart, now: float) -> Iterable[Span]:
        return self._begin(DOWNLOAD, event.key, event.url, now)

    def _fetch_complete(self, event: events.LuaCtxFetchComplete, now: float) -> Iterator[Span]:
        return self._end_of(DOWNLOAD, event.key, event.url, now, bytes=event.bytes_downloaded)

    def _extract_start(self, event: events.LuaCtxExtractStart, now: float) -> Iterable[Span]:
        return self._begin(EXTRACT, event.key, event.archive_path, now)

    def _extract_complete(self, event: events.LuaCtxExtractComplete, now: float) -> Iterator[Span]:
        files = event.files_extracted
        return self._end_of(EXTRACT, event.key, event.archive_path, now, files=files)

    def _test_phase_start(self, event: events.TestPhaseStart, now: float) -> Iterable[Span]:
        return self._begin(TEST_PHASE, event.package, event.phase, now)

    def _test_phase_complete(self, event: events.TestPhaseComplete, now: float) -> Iterator[Span]:
        return self._end_of(TEST_PHASE, event.package, event.phase, now)

    def _test_build_start(self, event: events.TestBuildStart, now: float) -> Iterable[Span]:
        return self._begin(TEST_BUILD, event.packages, "build", now)

    def _test_build_complete(self, event: events.TestBuildComplete, now: float) -> Iterator[Span]:
        return self._end_of(TEST_BUILD, event.packages, "build", now)


def _group(kind: str, name: str) -> str:
    """Return the group that shares lanes: a pool for slots, otherwise the kind."""
    return f"{kind} {name}" if kind == SLOT else kind
