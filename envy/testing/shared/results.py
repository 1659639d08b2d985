"""The results of packages that machines share: what others found, and what this one found.

Guarantees
  A result is taken only if it is a complete pass of this package, under the same key, and all that
  it rests on has the same content here. Everything else is a miss with a reason.
  Only complete passes that this machine remembers, too, are given away.
  Whatever the server does, the tests end as they would without it.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from envy import events as ev
from envy.content.json_text import parse_json
from envy.events import EventBus
from envy.interpreter import released
from envy.masking import masked
from envy.sharing.result_names import Offers, ResultName, ResultToStore
from envy.testing.consulted import Unkept
from envy.testing.events import ENDINGS, DamagedRun, StreamEvent, as_json, event_of
from envy.testing.package import Driver, PackageRun
from envy.testing.result_cache import KeptResult, ResultCache
from envy.testing.shared.evidence import (
    Row,
    decode_rows,
    differing,
    encode_rows,
    local_facts,
    rows_of,
)
from envy.testing.shared.places import NamedPlaces, SharedKey, Unshared

_FORMAT = "envy-test 1"
_MOST_EVENTS = 1_000_000
_TOGETHER = 16 << 20  # bytes that wait to be stored
_TEXTS = ("output", "path", "reason", "value")
_NAMES = ("package", "test", "key", "import_path", "output_type", "signal")  # stay as they are
_ACTIONS = ENDINGS | {"start", "run", "output", "pause", "cont", "bench", "attr", "artifacts"}
Check = Callable[[], None]  # raises Cancelled


class ResultShelf(Protocol):
    """Where results of all machines are: a server."""

    shown: str
    writes: bool

    def find(self, names: Sequence[ResultName], check: Check) -> Mapping[str, Offers]:
        """Return what there is, by key."""

    def read(self, digests: Sequence[Any], check: Check) -> Mapping[str, bytes | str]:
        """Return blobs by hash, or why there is none."""

    def store(self, results: Sequence[ResultToStore], check: Check) -> Mapping[str, int | str]:
        """Store results; return the bytes that were sent by key, or why they are not there."""


class SharedResults:
    """The shared results in use by one command."""

    def __init__(
        self, open_shelf: Callable[[], ResultShelf], places: NamedPlaces, events: EventBus
    ) -> None:
        """`open_shelf` is called when the first result is asked for."""
        self._open_shelf = open_shelf
        self._opened: ResultShelf | None = None
        self._places = places
        self._bus = events
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, ResultToStore]] = []  # with the names of packages
        self._size = 0

    @property
    def _shelf(self) -> ResultShelf:
        with self._lock:
            if self._opened is None:
                self._opened = self._open_shelf()
            return self._opened

    # -- taking ------------------------------------------------------------------------------------

    def find(
        self, runs: Sequence[PackageRun], driver: Driver, results: ResultCache, check: Check
    ) -> None:
        """Set the result of each package that has one elsewhere, and is not remembered here."""
        wanted: dict[str, PackageRun] = {}
        for run in runs:
            run.shared = None
            if run.kept_result is not None or not run.package.has_tests or run.unkept:
                continue
            try:
                run.shared = driver.shared_key(run, self._places)
            except Unshared as error:
                run.unshared = str(error)
                self._not_taken(run, f"it is not shared: {error}")
                continue
            if results.reads and not _is_remembered(run, run.shared, driver, results):
                wanted[run.shared.digest] = run
        if not wanted:
            return
        names = [_name_of(run.shared) for run in wanted.values() if run.shared is not None]
        with released():
            offers = self._shelf.find(names, check)
        chosen: dict[str, tuple[list[Row], Any]] = {}
        for key, run in wanted.items():
            try:
                chosen[key] = self._choose(run, offers[key], driver.environment)
            except ValueError as error:
                self._not_taken(run, str(error))
        with released():
            blobs = self._shelf.read([digest for _, digest in chosen.values()], check)
        for key, (rows, digest) in chosen.items():
            self._take(wanted[key], rows, blobs[digest.hash], driver, results)

    def _choose(
        self, run: PackageRun, offers: Offers, environment: Mapping[str, str]
    ) -> tuple[list[Row], Any]:
        """Return what the result that holds here rests on, and the digest of its events.

        Raises:
            ValueError: none does; the text says why.
        """
        assert run.shared is not None
        reasons = []
        for offer in offers.found:
            try:
                rows = _evidence_of(offer.evidence, run.shared, run.package.name)
            except ValueError as error:
                reasons.append(f"its result cannot be used: {error}")
                continue
            changed = differing(rows, run.shared.places, environment)
            if not changed:
                return rows, offer.events
            reasons.append(", ".join(changed))
        raise ValueError(reasons[0] if reasons else offers.missed)

    def _take(
        self,
        run: PackageRun,
        rows: Sequence[Row],
        blob: bytes | str,
        driver: Driver,
        results: ResultCache,
    ) -> None:
        assert run.shared is not None
        places, name = run.shared.places, run.package.name
        if isinstance(blob, str):
            self._not_taken(run, blob)
            return
        try:
            events = _events_of(blob, name, places)
        except (ValueError, DamagedRun) as error:
            self._not_taken(run, f"its result cannot be used: {error}")
            return
        kept = KeptResult(facts=(), events=events, origin=self._shelf.shown)
        run.result_key = run.result_key or run.shared.digest
        try:
            facts = (
                driver.consulted(run, since=results.since)
                if run.shared.holds_files
                else local_facts(rows, places, driver.environment, since=results.since)
            )
            results.keep(run.result_key, facts, events)
            kept = dataclasses.replace(kept, facts=facts)
        except Unkept as error:
            run.unkept = str(error)  # it is asked for again the next time
        run.kept_result = kept
        self._bus.emit(ev.TestResultTaken(package=name, server=self._shelf.shown, bytes=len(blob)))

    def _not_taken(self, run: PackageRun, reason: str) -> None:
        server = self._shelf.shown
        run.not_taken = f"{server}: {reason}"
        self._bus.emit(
            ev.TestResultNotTaken(package=run.package.name, server=server, reason=reason)
        )

    # -- storing -----------------------------------------------------------------------------------

    def note(
        self,
        run: PackageRun,
        events: Sequence[StreamEvent],
        environment: Mapping[str, str],
        check: Check,
    ) -> None:
        """Store a complete pass that was just remembered, together with others."""
        if run.shared is None or not self._shelf.writes:
            return
        try:
            result = _result_of(run, run.shared, events, environment)
        except Unshared as error:
            run.unshared = str(error)
            self._not_stored(run.package.name, f"it is not shared: {error}")
            return
        with self._lock:
            self._waiting.append((run.package.name, result))
            self._size += len(result.evidence) + len(result.events)
            is_enough = self._size >= _TOGETHER
        if is_enough:
            self.flush(check)

    def flush(self, check: Check) -> None:
        """Store what waits for it."""
        with self._lock:
            waiting, self._waiting, self._size = self._waiting, [], 0
        if not waiting:
            return
        with released():
            stored = self._shelf.store([result for _, result in waiting], check)
        for name, result in waiting:
            sent = stored[result.name.key]
            if isinstance(sent, str):
                self._not_stored(name, sent)
            else:
                server = self._shelf.shown
                self._bus.emit(ev.TestResultStored(package=name, server=server, bytes=sent))

    def _not_stored(self, package: str, reason: str) -> None:
        server = self._shelf.shown
        self._bus.emit(ev.TestResultNotStored(package=package, server=server, reason=reason))


def _is_remembered(
    run: PackageRun, shared: SharedKey, driver: Driver, results: ResultCache
) -> bool:
    """Use a result that was taken before the local key of the package was known."""
    if run.result_key:
        return False
    kept, _ = results.find(shared.digest, driver.environment)
    if kept is not None:
        run.kept_result, run.result_key = kept, shared.digest
    return kept is not None


def _name_of(shared: SharedKey) -> ResultName:
    return ResultName(shared.digest, shared.toolchain)


def _result_of(
    run: PackageRun,
    shared: SharedKey,
    events: Sequence[StreamEvent],
    environment: Mapping[str, str],
) -> ResultToStore:
    """Return a result as it is stored.

    Raises:
        Unshared: it means something on this machine only, or holds a secret.
    """
    rows = [] if shared.holds_files else rows_of(run.facts, shared.places, environment)
    head = [_FORMAT, shared.digest, run.package.name]
    if any("\n" in text for text in head):
        raise Unshared("its name has two lines")
    for name in {getattr(event, field) for event in events for field in _NAMES}:
        _check_name(name, shared.places)
    text = "\n".join(as_json(_moved(event, shared.places)) for event in events)
    try:
        evidence = "\n".join([*head, encode_rows(rows)]).encode()
        return ResultToStore(_name_of(shared), evidence, text.encode())
    except UnicodeEncodeError as error:
        raise Unshared("its output, or the name of a file, is not UTF-8") from error


def _moved(event: StreamEvent, places: NamedPlaces) -> StreamEvent:
    """Return an event without the paths of this machine."""
    changed: dict[str, Any] = {}
    for name in _TEXTS:
        text = getattr(event, name)
        if not text:
            continue
        name_itself = next((mark for mark in places.folders if mark in text), "")
        if name_itself:
            raise Unshared(f"its output has the text {name_itself} itself")
        if masked(text) != text:
            raise Unshared("its output has a secret")
        changed[name] = places.text(text)
    return dataclasses.replace(event, time=0.0, **changed)


def _check_name(text: str, places: NamedPlaces) -> None:
    """Raise Unshared if a name is not the same on every machine, or holds a secret."""
    if masked(text) != text:
        raise Unshared("the name of a test has a secret")
    if places.are_in(text):
        raise Unshared("the name of a test has a path of this machine")


def _evidence_of(data: bytes, shared: SharedKey, package: str) -> list[Row]:
    """Return the rows of a result.

    Raises:
        ValueError: it is damaged, or that of another key.
    """
    form, _, rest = data.decode().partition("\n")
    key, _, rest = rest.partition("\n")
    name, _, rows = rest.partition("\n")
    if form != _FORMAT:
        raise ValueError("it has another format")
    if (key, name) != (shared.digest, package):
        raise ValueError("it is that of another key")
    return decode_rows(rows, shared.places)


def _events_of(data: bytes, package: str, places: NamedPlaces) -> list[StreamEvent]:
    """Return the events of a complete pass.

    Raises:
        ValueError, DamagedRun: it is damaged, or something else.
    """
    lines = data.decode().split("\n")
    if len(lines) > _MOST_EVENTS:
        raise ValueError(f"it has more than {_MOST_EVENTS} events")
    events = [_here(event_of(parse_json(line), where="it"), places) for line in lines]
    for event in events:
        if event.package != package or event.action not in _ACTIONS or event.failed_build:
            raise ValueError("it has events of something else")
        if event.attempt or event.cached or (event.action == "fail" and not event.test):
            raise ValueError("it is not that of passed tests")
    last = events[-1]
    if last.action != "pass" or last.test:
        raise ValueError("it is not that of passed tests")
    return events


def _here(event: StreamEvent, places: NamedPlaces) -> StreamEvent:
    """Return an event with the paths of this machine."""
    changed = {}
    for field in _TEXTS:
        text = getattr(event, field)
        for name, path in places.folders.items() if text and "<" in text else ():
            text = text.replace(name, path) if path else text
        if text:
            changed[field] = text
    return dataclasses.replace(event, **changed) if changed else event
