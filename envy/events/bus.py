"""The bus: it numbers events and hands them to the listeners.

Guarantees
  `seq` counts 1, 2, … in the order of delivery; `seq`, not `ts`, is the order of events. Events
  that are not written to files carry the number of the event before.
  Listeners are called one at a time, under no lock of the engine's, and may not call the engine.
  With no listener, an event costs the test of `bus.listening` (or of `bus.detailed`, for events
  that only a trace wants) and nothing else.
"""

import dataclasses
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from envy.events.base import Event, fields_of
from envy.events.output import LogMessage, StandardOutput
from envy.phase import RecipePhase


@dataclass(frozen=True, slots=True)
class Stamped:
    """An event as it was delivered: `ts` is seconds since the epoch."""

    seq: int
    ts: float
    event: Event

    def as_json(self) -> dict[str, Any]:
        """The object that a line of `--trace=file:…` holds."""
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
        """The human line."""
        values = {
            field.name: value.label if isinstance(value, RecipePhase) else value
            for field in dataclasses.fields(self.event)  # type: ignore[arg-type]
            for value in [getattr(self.event, field.name)]
        }
        return self.event.text.format(**values)


class Listener(Protocol):
    """Whoever wants to hear. Called for each event, in order, one at a time.

    One that has an attribute `detailed` that is false does not want to hear of slots, threads,
    targets, gates, locks and edges; they are then not even made. One whose attribute `explaining`
    is false does not show why a package is missing from the cache, which takes a search. One that
    has an attribute `heard` hears of events of those classes, and maybe of others.
    """

    def on_event(self, stamped: Stamped) -> None:
        """Take note of one event; quickly, and without calling the engine."""

    def close(self) -> None:
        """No more will come."""


class EventBus:
    """Stamps events and hands them to the listeners."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._lock = threading.Lock()
        self._listeners = tuple(listeners)
        self._seq = 0
        self.listening = bool(self._listeners)
        self.detailed = any(getattr(one, "detailed", True) for one in self._listeners)
        self._heard = _heard_by(self._listeners)
        self.explaining = any(getattr(one, "explaining", True) for one in self._listeners)

    def hears(self, kind: type[Event]) -> bool:
        """Whether any listener wants events of this class; to be asked before one is made."""
        return self.listening and (self._heard is None or kind in self._heard)

    def emit(self, event: Event) -> None:
        """Deliver one event. Callers on a hot path test `listening` before building it."""
        if not self.hears(type(event)):
            return
        with self._lock:
            # Without gaps in a trace file, so that a reader sees whether it has all lines.
            self._seq += event.in_files
            stamped = Stamped(self._seq, time.time(), event)
            for listener in self._listeners:
                listener.on_event(stamped)

    def log(self, level: str, message: str, *, recipe: str = "") -> None:
        """Emit a message about a recipe or the manifest; `level` is debug, info, warn or error."""
        self.emit(LogMessage(recipe=recipe, level=level, message=message))

    def standard_output(self, message: str, *, recipe: str) -> None:
        """Emit a line that a recipe or a manifest printed for the user."""
        self.emit(StandardOutput(recipe=recipe, message=message))

    def close(self) -> None:
        """Flush and close every listener."""
        with self._lock:
            self.listening = self.detailed = self.explaining = False
            for listener in self._listeners:
                listener.close()
            self._listeners = ()


def _heard_by(listeners: Sequence[Listener]) -> frozenset[type[Event]] | None:
    """The classes that any of them hears; None: all."""
    heard: set[type[Event]] = set()
    for listener in listeners:
        classes = getattr(listener, "heard", None)
        if classes is None:
            return None
        heard |= classes
    return frozenset(heard)
