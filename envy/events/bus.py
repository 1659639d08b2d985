"""The bus, which numbers events and delivers them to the listeners.

Guarantees
  `seq` counts 1, 2, … in the order of delivery; `seq`, not `ts`, is the order of events. An event
  that is not written to files has the number of the event before it.
  Listeners are called one at a time, outside all locks of the engine, and may not call the engine.
  No event that reaches a listener holds a secret (`envy.masking`).
  Without a listener, an event costs only the test of `bus.listening` (or of `bus.detailed`, for
  events that only a trace wants).
"""

import dataclasses
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from envy.events.base import Event, fields_of, masked_event
from envy.events.output import LogMessage, StandardOutput
from envy.phase import RecipePhase


class Stamped(NamedTuple):
    """A delivered event; `ts` is in seconds since the epoch.

    A tuple, because making a frozen data class takes longer than the rest of a delivery.
    """

    seq: int
    ts: float
    event: Event

    def as_json(self) -> dict[str, Any]:
        """Return the object that a line of `--trace=file:…` contains."""
        moment = datetime.fromtimestamp(self.ts, tz=UTC)
        row: dict[str, Any] = {
            "ts": moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z",
            "seq": self.seq,
            "event": self.event.name,
        }
        for field in fields_of(type(self.event)):
            value = getattr(self.event, field.name)
            name = field.name.rstrip("_")
            if isinstance(value, RecipePhase):
                row[name] = value.label
                row[f"{name}_num"] = int(value)
            else:
                row[name] = value
        return row

    def as_text(self) -> str:
        """Return the line for people."""
        values = {
            field.name: value.label if isinstance(value, RecipePhase) else value
            for field in dataclasses.fields(self.event)  # type: ignore[arg-type]
            for value in [getattr(self.event, field.name)]
        }
        return self.event.text.format(**values)


class Listener(Protocol):
    """Receives events, in order and one at a time.

    Three optional attributes save work. `detailed` is false if the listener ignores slots, threads,
    targets, gates, locks and edges, whose events may then not be constructed. `explaining` is false
    if it does not show why a package is missing from the cache, which takes a search. `heard` is
    the set of event classes that it needs; it may receive others too.
    """

    def on_event(self, stamped: Stamped) -> None:
        """Receive one event; return quickly, and do not call the engine."""

    def close(self) -> None:
        """Finish: no more events will follow."""


class EventBus:
    """Stamps events and delivers them to the listeners."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._lock = threading.Lock()
        self._listeners = tuple(listeners)
        self._seq = 0
        self._held: list[Stamped] | None = None
        self._at_close: Callable[[], None] = self.release
        self.listening = bool(self._listeners)
        self.detailed = any(getattr(listener, "detailed", True) for listener in self._listeners)
        self._heard = _heard_by(self._listeners)
        self.explaining = any(getattr(listener, "explaining", True) for listener in self._listeners)

    def hears(self, kind: type[Event]) -> bool:
        """Return whether any listener wants events of this class; call before constructing one."""
        return self.listening and (self._heard is None or kind in self._heard)

    def emit(self, event: Event) -> None:
        """Deliver one event. Callers on a hot path test `listening` before building it."""
        if not self.hears(type(event)):
            return
        with self._lock:
            # No gaps in a trace file, so that a reader can tell whether lines are missing.
            self._seq += event.in_files
            if self._held is None:
                self._deliver(self._seq, time.time(), event)
            else:
                self._held.append(Stamped(self._seq, time.time(), event))

    def _deliver(self, seq: int, ts: float, event: Event) -> None:
        stamped = Stamped(seq, ts, masked_event(event))
        for listener in self._listeners:
            listener.on_event(stamped)

    def hold(self, at_close: Callable[[], None]) -> None:
        """Deliver events later, since it is not known yet which of their texts are secret.

        If the bus is closed meanwhile, `at_close` is called before they are delivered.
        """
        with self._lock:
            self._held, self._at_close = [], at_close

    def release(self) -> None:
        """Deliver the events that were held, and from now on each at once."""
        with self._lock:
            held, self._held = self._held or (), None
            for stamped in held:
                self._deliver(*stamped)

    def log(self, level: str, message: str, *, recipe: str = "") -> None:
        """Emit a message about a recipe or the manifest; `level` is debug, info, warn or error."""
        self.emit(LogMessage(recipe=recipe, level=level, message=message))

    def standard_output(self, message: str, *, recipe: str) -> None:
        """Emit a line that a recipe or a manifest printed for the user."""
        self.emit(StandardOutput(recipe=recipe, message=message))

    def close(self) -> None:
        """Flush and close every listener."""
        if self._held is not None:
            self._at_close()
            self.release()
        with self._lock:
            self.listening = self.detailed = self.explaining = False
            for listener in self._listeners:
                listener.close()
            self._listeners = ()


def _heard_by(listeners: Sequence[Listener]) -> frozenset[type[Event]] | None:
    """Return the event classes that any of the listeners needs; None for all."""
    heard: set[type[Event]] = set()
    for listener in listeners:
        classes = getattr(listener, "heard", None)
        if classes is None:
            return None
        heard |= classes
    return frozenset(heard)
