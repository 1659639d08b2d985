"""Digests of content, and the one place where they are compared with the expected ones.

Reads and writes nothing.
"""

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from envy.content.digest_text import is_digest
from envy.declarations.sources import SourceItem
from envy.errors import DigestMismatch, FetchError
from envy.limits import shortened
from envy.locking.lock import UNKNOWN, update_command
from envy.transport.context import FetchContext

BUFFER = 1 << 19  # bytes that are received at once, at most
_MOST_PENDING = 8  # pieces of a stream
RECIPE = "the recipe"
LOCK = "envy.lock"


_Piece = tuple[bytes | memoryview, bytearray | None]


class _Hash(Protocol):
    def update(self, data: bytes | memoryview, /) -> object: ...
    def hexdigest(self) -> str: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedDigest:
    """A digest that content must have; `by` names its author.

    If that is the lock, `package` is the one whose entry has the digest. `size` is that of the
    content, in bytes, if the lock has it for `owner`.

    Raises:
        FetchError: its author gives a text that is no digest.
    """

    algorithm: str
    hexdigest: str
    by: str = RECIPE
    package: str = ""
    size: int | None = None
    owner: str = ""

    def __post_init__(self) -> None:
        if not is_digest(self.algorithm, self.hexdigest):
            raise FetchError(
                f"{self.by} gives a {self.algorithm} digest that is none: "
                f"{shortened(repr(self.hexdigest))}",
                uri="",
                hint="" if self.by in {RECIPE, LOCK} else "inform the operators of the server",
            )


def expected_digests(item: SourceItem) -> tuple[ExpectedDigest, ...]:
    """Return the digests that the recipe declares for a source."""
    given = (("sha256", item.sha256), ("blake3", item.blake3), ("sha512", item.sha512))
    return tuple(
        ExpectedDigest(algorithm=name, hexdigest=value.lower()) for name, value in given if value
    )


def wanted_digests(item: SourceItem, context: FetchContext) -> tuple[ExpectedDigest, ...]:
    """Return the digests that the recipe declares for a source, or else those of the lock.

    After them come those that checksum files list.
    """
    declared = expected_digests(item)
    locked = context.locked(item)
    listed = tuple(
        ExpectedDigest(algorithm=each.algorithm, hexdigest=each.hexdigest, by=each.by)
        for each in context.listed
    )
    if locked is None:
        return declared + listed
    size = int(locked.size) if locked.size != UNKNOWN else None
    if declared:
        sized = (replace(each, size=size, owner=locked.package) for each in declared)
        return (*sized, *listed)
    algorithm, _, hexdigest = locked.digest.partition(":")
    return (
        ExpectedDigest(
            algorithm=algorithm,
            hexdigest=hexdigest,
            by=LOCK,
            package=locked.package,
            size=size,
            owner=locked.package,
        ),
        *listed,
    )


def check_size(uri: str, size: int, expected: Sequence[ExpectedDigest], *, is_all: bool) -> None:
    """Compare the size of content with that in the lock, before the content is read to its end.

    Unless `is_all`, `size` is what was read so far.

    Raises:
        FetchError: the lock has another size.
    """
    for each in expected:
        if each.size is None or size == each.size or (size < each.size and not is_all):
            continue
        more = "" if is_all else "more than "
        raise FetchError(
            f"the size of {uri} is {more}{size if is_all else each.size} bytes, but {LOCK} has "
            f"{each.size} for {each.owner}: if what changed is right, run "
            f"{update_command(each.owner)}",
            uri=uri,
        )


class Hasher:
    """Computes the digests of one stream: sha256 always, and each expected algorithm."""

    def __init__(self, expected: Sequence[ExpectedDigest]) -> None:
        self._expected = tuple(expected)
        self.restart()

    def restart(self) -> None:
        """Forget all content, for a download that starts again."""
        names = {"sha256", *(digest.algorithm for digest in self._expected)}
        self._hashes = {name: _new_hash(name) for name in sorted(names)}
        self.size = 0  # bytes so far

    def update(self, data: bytes | memoryview) -> None:
        self.size += len(data)
        for each in self._hashes.values():
            each.update(data)

    @property
    def sha256(self) -> str:
        return self._hashes["sha256"].hexdigest()

    @property
    def digests(self) -> dict[str, str]:
        """The digests of the content so far, by algorithm."""
        return {name: each.hexdigest() for name, each in self._hashes.items()}

    def matches(self) -> bool:
        """Return whether the content has every expected digest."""
        return all(
            self._hashes[each.algorithm].hexdigest() == each.hexdigest for each in self._expected
        )

    def verify(self, uri: str) -> bool:
        """Verify every expected digest; return whether any was expected.

        Raises:
            FetchError: as for `verify_digest`.
        """
        for expected in self._expected:
            verify_digest(self._hashes[expected.algorithm].hexdigest(), expected, uri=uri)
        return bool(self._expected)


class HashingThread:
    """Computes the digests of a stream in a thread of its own, in the order of the updates.

    Whoever updates it waits while too much is still to be done. It has the buffers that the stream
    is received into: a new one for each piece would cost as much as to hash it.
    """

    def __init__(self, hasher: Hasher) -> None:
        self._hasher = hasher
        self._failure: MemoryError | None = None
        # A queue of the class Queue takes a dozen calls to the system for each piece.
        self._free: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        for _ in range(_MOST_PENDING):
            self._free.put(None)  # it is created when it is needed
        self._next: bytearray | None = None
        self._pending: queue.SimpleQueue[_Piece | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="envy-digest", daemon=True)
        self._thread.start()

    def buffer(self) -> bytearray:
        """Return what the next piece is received into; the next update gives it away."""
        if self._next is None:
            self._next = self._free.get() or bytearray(BUFFER)
        return self._next

    def update(self, data: bytes | memoryview) -> None:
        """Add a piece, which is in the buffer or stays as it is."""
        buffer, self._next = self._next, None
        self._pending.put((data, self._free.get() if buffer is None else buffer))

    def catch_up(self) -> None:
        """Wait until everything so far is part of the digests."""
        if self._thread.is_alive():
            reached = threading.Event()
            self._pending.put(reached)
            reached.wait()
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """End the thread."""
        self._pending.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (piece := self._pending.get()) is not None:
            if isinstance(piece, threading.Event):
                piece.set()
                continue
            try:
                self._hasher.update(piece[0])
            except MemoryError as error:
                self._failure = error
            self._free.put(piece[1])


def verify_content(content: bytes, expected: Sequence[ExpectedDigest], *, uri: str) -> None:
    """Verify every expected digest of content that is in memory.

    Raises:
        FetchError: as for `verify_digest`.
    """
    if expected:
        hasher = Hasher(expected)
        hasher.update(content)
        hasher.verify(uri)


def verify_digest(actual: str, expected: ExpectedDigest, *, uri: str) -> None:
    """Raise an error that shows both digests, unless they are equal.

    Raises:
        DigestMismatch: the recipe declares a different digest.
        FetchError: the lock has a different digest, or a registry lists one.
    """
    if actual == expected.hexdigest:
        return
    if expected.by == RECIPE:
        raise DigestMismatch(
            uri=uri, algorithm=expected.algorithm, expected=expected.hexdigest, actual=actual
        )
    if expected.by == LOCK:
        raise FetchError(
            f"{expected.algorithm} of {uri} is {actual}, but {LOCK} has {expected.hexdigest} for "
            f"{expected.package}: if what changed is right, run {update_command(expected.package)}",
            uri=uri,
        )
    raise FetchError(
        f"{expected.algorithm} of {uri} is not what {expected.by} says\n"
        f"  expected {expected.hexdigest}\n  actual   {actual}",
        uri=uri,
        hint="the file was damaged or replaced on its way; try again, and if that does not help, "
        "inform the operators of the server",
    )


def _new_hash(name: str) -> _Hash:
    if name == "blake3":
        from blake3 import blake3

        hasher: _Hash = blake3()
        return hasher
    import hashlib

    return hashlib.new(name, usedforsecurity=False)
