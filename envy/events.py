"""Typed events: the engine's only voice.

Each class here is one row of the contract: its name is the event's name in snake case, its fields
are the fields of the JSON, and `text` is the human line. JSON, human text and the printed schema
are all read off these classes, so they cannot drift.

Guarantees
  `seq` counts 1, 2, … in the order of delivery; it, not `ts`, is the order of events. Those that
  are not written to files have the number of the one before.
  Listeners are called one at a time, under no lock of the engine's, and may not call the engine.
  With no listener, an event costs the test of `bus.listening` (or `bus.detailed`, for those that
  only a trace wants) and nothing else.
"""

import dataclasses
import re
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol, TypeVar, dataclass_transform

from envy.phase import RecipePhase

# A field that listeners see and that is no part of the contract of traces.
_WITHIN = {"within": True}


class Event:
    """Something that happened. Subclasses are dataclasses that nobody may change."""

    __slots__ = ()
    name: ClassVar[str]
    text: ClassVar[str]
    in_files: ClassVar[bool] = True  # False: too many, or too large, for --trace

    def __init_subclass__(cls) -> None:
        cls.name = re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


_E = TypeVar("_E", bound=Event)


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def _event(cls: type[_E]) -> type[_E]:
    """A dataclass of an event, frozen to the type checker.

    Without what nobody asks of an event (to be compared, to be shown, to refuse a change): for some
    forty classes, that took a fifth of the start of every command that is not warm.
    """
    cls.__doc__ = cls.__doc__ or cls.name  # else one is put together from the signature
    return dataclass(slots=True, kw_only=True, eq=False, repr=False)(cls)


@_event
class RecipeRegistered(Event):
    text: ClassVar[str] = "{key} registered"
    recipe: str
    key: str


@_event
class DependencyAdded(Event):
    text: ClassVar[str] = "{parent} needs {dependency} ({kind}, by {needed_by})"
    parent: str
    dependency: str
    kind: str
    needed_by: RecipePhase


@_event
class ReferenceResolved(Event):
    text: ClassVar[str] = "{recipe}: {query} ({kind}) is {provider}"
    recipe: str
    query: str
    kind: str
    provider: str
    by_fallback: bool


@_event
class ThreadStart(Event):
    text: ClassVar[str] = "{recipe}: worker started, target {target_phase}"
    recipe: str
    target_phase: RecipePhase


@_event
class ThreadComplete(Event):
    text: ClassVar[str] = "{recipe}: worker rests after {final_phase}"
    recipe: str
    final_phase: RecipePhase


@_event
class TargetExtended(Event):
    text: ClassVar[str] = "{recipe}: target {old_target} → {new_target}"
    recipe: str
    old_target: RecipePhase
    new_target: RecipePhase


@_event
class PhaseStart(Event):
    text: ClassVar[str] = "{recipe}: {phase}"
    recipe: str
    key: str
    phase: RecipePhase


@_event
class PhaseComplete(Event):
    text: ClassVar[str] = "{recipe}: {phase} done in {duration_ms} ms"
    recipe: str
    key: str
    phase: RecipePhase
    duration_ms: int


@_event
class PhaseFailure(Event):
    text: ClassVar[str] = "{recipe}: {phase} failed: {error}"
    recipe: str
    key: str
    phase: RecipePhase
    error: str


PhaseFailure.name = "phase_failed"


@_event
class PhaseBlocked(Event):
    text: ClassVar[str] = "{recipe}: {phase} waits for {waiting_for}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    phase: RecipePhase
    waiting_for: str
    target_phase: RecipePhase


@_event
class PhaseUnblocked(Event):
    text: ClassVar[str] = "{recipe}: {phase} waited {wait_ms} ms for {waiting_for}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    phase: RecipePhase
    waiting_for: str
    target_phase: RecipePhase
    wait_ms: int


@_event
class SlotAcquired(Event):
    text: ClassVar[str] = "{recipe}: {pool} slot after {wait_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    pool: str
    wait_ms: int


@_event
class SlotRefused(Event):
    text: ClassVar[str] = "{recipe}: waits for a job of the {pool} slots: {reason}"
    recipe: str
    pool: str
    reason: str


@_event
class SlotReleased(Event):
    text: ClassVar[str] = "{recipe}: {pool} slot held {hold_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    pool: str
    hold_ms: int


@_event
class CacheHit(Event):
    text: ClassVar[str] = "{recipe}: cached at {asset_path}"
    recipe: str
    cache_key: str
    asset_path: str
    fast_path: bool


@_event
class CacheMiss(Event):
    text: ClassVar[str] = "{recipe}: not cached: {reason}"
    recipe: str
    cache_key: str
    asset_path: str
    reason: str


@_event
class LockBlocked(Event):
    """Somebody else has the lock; `held_by` is "" where that is not known."""

    text: ClassVar[str] = "{recipe}: waits for the lock {lock_path}, held by {held_by}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    lock_path: str
    held_by: str


@_event
class LockAcquired(Event):
    text: ClassVar[str] = "{recipe}: lock {lock_path} after {wait_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    lock_path: str
    wait_ms: int


@_event
class LockReleased(Event):
    text: ClassVar[str] = "{recipe}: lock {lock_path} held {hold_ms} ms"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    lock_path: str
    hold_ms: int


@_event
class LuaCtxRunStart(Event):
    text: ClassVar[str] = "{recipe}: $ {command}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    command: str
    cwd: str


@_event
class LuaCtxRunComplete(Event):
    text: ClassVar[str] = "{recipe}: exited {exit_code} after {duration_ms} ms: {command}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    command: str
    cwd: str
    exit_code: int
    duration_ms: int


@_event
class LuaCtxFetchStart(Event):
    text: ClassVar[str] = "{recipe}: fetching {url}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    url: str
    destination: str


@_event
class LuaCtxFetchComplete(Event):
    text: ClassVar[str] = "{recipe}: fetched {url} ({bytes_downloaded} bytes, {duration_ms} ms)"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    url: str
    destination: str
    bytes_downloaded: int
    duration_ms: int


@_event
class LuaCtxExtractStart(Event):
    text: ClassVar[str] = "{recipe}: extracting {archive_path}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    archive_path: str
    destination: str


@_event
class LuaCtxExtractComplete(Event):
    text: ClassVar[str] = "{recipe}: {files_extracted} files from {archive_path}"
    recipe: str
    key: str = dataclasses.field(default="", metadata=_WITHIN)
    archive_path: str
    destination: str
    files_extracted: int
    duration_ms: int


@_event
class LuaCtxAssetAccess(Event):
    text: ClassVar[str] = "{recipe}: ctx.asset({target}) → {provider}: {reason}"
    recipe: str
    target: str
    provider: str
    current_phase: RecipePhase
    needed_by: RecipePhase
    allowed: bool
    reason: str


@_event
class LuaCtxProductAccess(Event):
    text: ClassVar[str] = "{recipe}: ctx.product({product}) → {provider}: {reason}"
    recipe: str
    product: str
    provider: str
    current_phase: RecipePhase
    needed_by: RecipePhase
    allowed: bool
    reason: str


@_event
class DownloadProgress(Event):
    text: ClassVar[str] = "{recipe}: {bytes} of {total} bytes of {url}"
    in_files: ClassVar[bool] = False
    recipe: str
    url: str
    bytes: int
    total: int  # 0 when the server did not say


@_event
class OutputLine(Event):
    text: ClassVar[str] = "{recipe} | {text_}"
    in_files: ClassVar[bool] = False
    recipe: str
    phase: RecipePhase
    stream: str
    text_: str


@_event
class LogMessage(Event):
    """What a recipe says with envy.info and its kin, and what envy says about a recipe."""

    text: ClassVar[str] = "{recipe}: {level}: {message}"
    recipe: str
    level: str  # debug, info, warn, error
    message: str


@_event
class StandardOutput(Event):
    """A line that a recipe or a manifest printed with envy.stdout."""

    text: ClassVar[str] = "{message}"
    recipe: str
    message: str


@_event
class PhaseSilent(Event):
    """A phase that has said nothing for a minute."""

    text: ClassVar[str] = "{recipe}: {phase} silent for {seconds} s (pid {pid}: {command})"
    recipe: str
    phase: RecipePhase
    pid: int
    command: str
    seconds: int


@_event
class RecipeComplete(Event):
    """A recipe at its completion: `outcome` is cached, installed, satisfied or changed."""

    text: ClassVar[str] = "{recipe}: {outcome}"
    recipe: str
    key: str
    outcome: str
    asset_path: str


@_event
class RecipeAborted(Event):
    text: ClassVar[str] = "{recipe}: aborted, because {dependency} failed"
    recipe: str
    key: str
    dependency: str


@_event
class TestBuildStart(Event):
    """`envy test` calls a compiler, for these packages."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "building the tests of {packages}"
    packages: str  # their names, spaces between


@_event
class TestBuildComplete(Event):
    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "built in {duration_ms} ms: {packages}"
    packages: str  # their names, spaces between
    duration_ms: int


@_event
class TestPhaseStart(Event):
    """A phase of a test package, such as key, run or report."""

    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: {phase}"
    package: str
    phase: str


@_event
class TestPhaseComplete(Event):
    __test__: ClassVar[bool] = False
    text: ClassVar[str] = "{package}: {phase} done in {duration_ms} ms"
    package: str
    phase: str
    duration_ms: int


def fields_of(event_class: type[Event]) -> tuple[dataclasses.Field[Any], ...]:
    """The fields of an event that traces write."""
    fields = dataclasses.fields(event_class)  # type: ignore[arg-type]
    return tuple(field for field in fields if not field.metadata.get("within"))


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


def event_classes() -> list[type[Event]]:
    """Every event of the contract, in the order of this file."""
    # A slotted dataclass is made twice; the later of the two is the one in use.
    return list({cls.__name__: cls for cls in Event.__subclasses__()}.values())
