"""What an engine needs of a place of finished entries: a depot, or a remote cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.verify import RecordedFingerprint, Row
from envy.errors import EnvyError
from envy.transport.context import FetchContext


class OtherPayload(EnvyError):
    """A place has another payload for a key than this machine: `paths` differ."""

    def __init__(self, place: str, name: str, paths: Sequence[str]) -> None:
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if paths[5:] else "")
        super().__init__(
            f"{place} has another payload for {name}: {shown} differ",
            hint="what the recipe makes is not reproducible; the first one stays there",
        )
        self.paths = paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """The result of asking a place for an entry; `missed` says why it was not taken, or is ""."""

    ABSENT: ClassVar[str] = "it does not have it"

    missed: str = ""
    size: int = 0  # bytes that were sent
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Signer:
    """A secret key: called with a text, it returns the content of a signature file.

    `number` is that of the key, as minisign shows it, and `public` the public key of minisign.
    """

    number: str
    public: str
    sign: Callable[[bytes], bytes]

    def __call__(self, text: bytes) -> bytes:
        return self.sign(text)


class EntryPlace(Protocol):
    """A place of finished entries, in use by one command and several of its threads."""

    shown: str  # its URL without credentials

    takes_nothing: bool  # whether it has said that it stores nothing for this user, or is full

    @property
    def is_off(self) -> bool:
        """Whether it is not asked again in this run, nor stored in."""

    def ask_ahead(self, wanted: Sequence[tuple[EntryPaths, str]], context: FetchContext) -> None:
        """Prepare for questions about entries, with their full keys."""

    def end_asking(self) -> None:
        """Forget what was prepared: a later question is a new one."""

    def take(
        self, layout: CacheLayout, entry: EntryPaths, key_hex: str, context: FetchContext
    ) -> Taken:
        """Publish an entry from the place, if it has one that this cache can use.

        The caller holds the entry's lock, and the entry is missing. What is wrong with the place is
        a warning, and the reason of the miss.

        Raises:
            Cancelled: the run was cancelled; CacheError: this cache cannot be written.
        """

    def push(
        self,
        entry: EntryPaths,
        context: FetchContext,
        *,
        workers: int,
        sign: Signer | None,
    ) -> int:
        """Store a complete entry; return the bytes that were sent, 0 if it was there.

        Raises:
            OtherPayload: the place has another payload for the same key.
            FetchError: it cannot be stored; CacheError: the entry cannot be read.
        """

    def report(self, error: EnvyError, context: FetchContext) -> None:
        """Warn that an entry could not be stored; that the place takes nothing, only once.

        A place that does not answer is off from then on: each further entry would take as long.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPlaces:
    """The places of a command, in the order to ask them.

    `writes` are those in which it stores what it builds; `sign` signs what is stored in depots.
    `unasked` says which place is not asked and why, for users who expect it; "" if there is none.
    """

    asked: tuple[EntryPlace, ...]
    writes: tuple[EntryPlace, ...] = ()
    sign: Signer | None = None
    unasked: str = ""


def differing_paths(mine: RecordedFingerprint, theirs: RecordedFingerprint) -> Sequence[str]:
    """Return the paths of the members in which two payloads differ."""
    return sorted(
        path
        for path in mine.rows.keys() | theirs.rows.keys()
        if _content(mine.rows.get(path)) != _content(theirs.rows.get(path))
    )


def _content(row: Row | None) -> tuple[object, ...]:
    """Return what of a member is the same wherever it was made."""
    if row is None:
        return ()
    # What holds the path of a cache differs with that path.
    return (row.kind, row.mode) if row.holds else (row.kind, row.mode, row.size, row.digest)
