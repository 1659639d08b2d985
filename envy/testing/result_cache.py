"""The results of packages: a complete pass, and what it rests on.

Guarantees
  Failures are never kept, and never served. Nor is anything that needed a second attempt.
  A damaged file, or a folder that cannot be written, costs one warning and a run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.cache.names import TEST_KEPT_FOLDER, TEST_LISTINGS_FOLDER, TEST_RUNS_FOLDER
from envy.content.json_text import parse_json
from envy.limits import TEST_RESULT
from envy.testing.changes import KnownReads
from envy.testing.consulted import Unkept
from envy.testing.events import DamagedRun, StreamEvent, as_json, event_of
from envy.testing.evidence import Fact, changes, decode_facts, encode_facts
from envy.testing.records import (
    RESULT_FORMAT,
    Damaged,
    mark_used,
    read_sections,
    result_path,
    write_sections,
)

_EVENT_SIZE = 200  # bytes of an event beside its output, about
_MOST_CHANGES = 3  # named in an explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptResult:
    """What the tests of a package did when they last passed, without times of day."""

    facts: Sequence[Fact]
    events: Sequence[StreamEvent]
    origin: str = ""  # the server that it was taken from

    def forget_events(self) -> None:
        """Free the memory of the events, which may be large, once they are shown."""
        object.__setattr__(self, "events", ())

    @property
    def ran_tests(self) -> bool:
        """Whether any test ran, and not only the package."""
        return any(event.test for event in self.events)

    def replayed(self) -> list[StreamEvent]:
        """Return the events as they are shown again, marked and with the present time."""
        now = time.time()
        is_remote = bool(self.origin)
        return [
            dataclasses.replace(event, time=now, cached=True, remote=is_remote)
            for event in self.events
        ]


class Recording:
    """Collects the events of a package while they are shown, up to the size that can be kept."""

    def __init__(self, emit: Callable[[StreamEvent], None]) -> None:
        self._emit = emit
        self._events: list[StreamEvent] = []
        self._size = 0

    def take(self, event: StreamEvent) -> None:
        """Pass on an event, and collect it."""
        self._size += len(event.output or "") + _EVENT_SIZE
        if self._size <= TEST_RESULT.value:
            self._events.append(event)
        else:
            self._events.clear()
        self._emit(event)

    @property
    def events(self) -> list[StreamEvent]:
        """The events.

        Raises:
            Unkept: there are more than can be kept.
        """
        if self._size > TEST_RESULT.value:
            raise _too_large()
        return self._events


def _too_large() -> Unkept:
    return Unkept(f"its output exceeds {TEST_RESULT.shown}, the limit {TEST_RESULT.name}")


class ResultCache:
    """The results of one cache; `reads` and `writes` say what a command does with them."""

    def __init__(
        self,
        root: str,
        *,
        settle: int,
        warn: Callable[[str], None],
        reads: bool = True,
        writes: bool = True,
    ) -> None:
        self.root = root
        self.reads = reads
        self.writes = writes
        self._settle = settle
        self.since = time.time_ns() - settle
        self._warn = warn
        self._warned = False
        self._lock = threading.Lock()

    def rewritten(self) -> ResultCache:
        """Return the same cache for a run that reads none of its results."""
        return ResultCache(
            self.root, settle=self._settle, warn=self._warn, reads=False, writes=self.writes
        )

    def begin(self) -> None:
        """Note that a run starts: what changes from now on is not what it has seen."""
        self.since = time.time_ns() - self._settle

    @property
    def settled(self) -> int:
        """The moment after which a change may have left the same times, in nanoseconds."""
        return time.time_ns() - self._settle

    def find(self, key: str, environment: Mapping[str, str]) -> tuple[KeptResult | None, str]:
        """Return the result under a key if all it rests on is unchanged; else why there is none."""
        if not self.reads:
            return None, "results are not read"
        path = result_path(self.root, key)
        try:
            kept = read_result(path)
        except Damaged as error:
            self.report(str(error))
            return None, "its result is damaged"
        if kept is None:
            return None, ""
        found, renewed = changes(kept.facts, environment, settled=self.settled, most=_MOST_CHANGES)
        if found:
            return None, ", ".join(found)
        mark_used(path, time.time())
        if renewed and self.writes:
            self._write(path, kept)
        return kept, ""

    def known(self, key: str, environment: Mapping[str, str]) -> KnownReads:
        """Return what the tests under a key read, and why that may not hold any more."""
        if not (self.reads or self.writes):
            return KnownReads(missing="what its tests read is not known: results are not read")
        try:
            kept = read_result(result_path(self.root, key))
        except Damaged as error:
            self.report(str(error))
            kept = None
        if kept is None:
            return KnownReads(missing="what its tests read is not known: no result is remembered")
        found, _ = changes(kept.facts, environment, settled=self.settled)
        return KnownReads(facts=kept.facts, missing=", ".join(found))

    def keep(self, key: str, facts: Sequence[Fact], events: Sequence[StreamEvent]) -> None:
        """Keep a complete pass.

        Raises:
            Unkept: it could not be written, or is too large.
        """
        if not self.writes:
            raise Unkept("results are not kept")
        if not self._write(result_path(self.root, key), KeptResult(facts=facts, events=events)):
            raise Unkept("it could not be written")

    def report(self, problem: str) -> None:
        """Warn, once in a command."""
        with self._lock:
            warned, self._warned = self._warned, True
        if not warned:
            self._warn(f"results of tests are not remembered: {problem}")

    def _write(self, path: str, kept: KeptResult) -> bool:
        lines = [as_json(dataclasses.replace(event, time=0.0)) for event in kept.events]
        try:
            sections = [RESULT_FORMAT, encode_facts(kept.facts), "\n".join(lines)]
            if not write_sections(path, sections):
                raise _too_large()
        except OSError as error:
            self.report(f"cannot write {path}: {error.strerror}")
            return False
        return True


def read_result(path: str) -> KeptResult | None:
    """Return a result; None if there is none.

    Raises:
        Damaged: it cannot be used.
    """
    sections = read_sections(path, 3)
    if sections is None or sections[0] != RESULT_FORMAT:
        return None
    try:
        rows = parse_json(f"[{sections[2].replace(chr(10), ',')}]")
        events = [event_of(row, where=path) for row in rows]
        if not events:
            raise ValueError("no events")
        sections[2].encode()
        if "\\ud" in sections[2].lower():  # it may be half of a pair, which no stream accepts
            "".join(map(as_json, events)).encode()
        return KeptResult(facts=decode_facts(sections[1]), events=events)
    except (DamagedRun, ValueError) as error:
        raise Damaged(f"{path} is damaged") from error


def clean_results(root: str) -> int:
    """Remove all results and records of runs; return the number of bytes freed."""
    freed = 0
    for name in (TEST_KEPT_FOLDER, TEST_RUNS_FOLDER, TEST_LISTINGS_FOLDER):
        folder = Path(root, name)
        for path in folder.glob("*"):
            with contextlib.suppress(OSError):
                size = path.lstat().st_size
                path.unlink()
                freed += size
    return freed
