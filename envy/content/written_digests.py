"""Digests of files, made from the bytes while they are written, for whoever needs them later.

Owns the proof that a file is still the one that was written: its inode, size, time of content and
time of status. A file system counts these times in ticks of some milliseconds, and a change that
follows within the tick of the last would not show. So a digest counts only after `settle`, which
is called before anything else can change the files, and forgets those of the present tick.

A file with one of the `needles` in it is not recorded: whoever searches for such texts reads it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence

from blake3 import blake3

from envy.content.open_file import write_all

_LARGE = 8 << 20  # reading so much again takes longer than a tick
_TICK = 0.01  # seconds; no common system has longer ones
# Times that end in so many zeros come from a file system that counts in longer ticks.
_COARSE = 1_000_000

# On Linux CLOCK_REALTIME_COARSE, which goes in ticks; Python has no name for it.
_TIME_OF_FILES = 5 if sys.platform.startswith("linux") else time.CLOCK_REALTIME

_Key = tuple[int, int]
_Status = tuple[int, int, int]


def _clock() -> int:
    """Return the time as file systems take it, in nanoseconds."""
    return time.clock_gettime_ns(_TIME_OF_FILES)


class WrittenDigests:
    """The BLAKE3 digests of files, by what identifies each; may be used by several threads."""

    def __init__(self, needles: Sequence[bytes] = (), *, clock: Callable[[], int] = _clock) -> None:
        self.needles = tuple(needles)
        self._overlap = max(map(len, needles), default=1) - 1
        self._clock = clock
        self._known: dict[_Key, tuple[_Status, str]] = {}
        self._fresh: dict[_Key, tuple[_Status, str]] = {}  # until `settle`

    def begin(self) -> None:
        """Call before an archive is unpacked; what an earlier one left unsettled is forgotten."""
        self._fresh.clear()

    def write(self, descriptor: int, pieces: Iterable[bytes]) -> str:
        """Write pieces to a file; return their digest, or "" if a needle is in them."""
        if isinstance(pieces, tuple) and len(pieces) == 1:
            # Nearly all files of nearly all archives.
            write_all(descriptor, pieces[0])
            digest: str = blake3(pieces[0]).hexdigest()
            return "" if self._holds_needle(pieces[0], b"") else digest
        hasher = blake3()
        tail = b""
        is_clean = True
        for piece in pieces:
            write_all(descriptor, piece)
            hasher.update(piece)
            if is_clean:
                is_clean = not self._holds_needle(piece, tail)
                tail = self._tail(tail, piece)
        return hasher.hexdigest() if is_clean else ""

    def _holds_needle(self, piece: bytes, tail: bytes) -> bool:
        seam = tail + piece[: self._overlap] if tail else b""
        for needle in self.needles:  # noqa: SIM110 - a generator for each file is dearer
            if needle in piece or (seam and needle in seam):
                return True
        return False

    def _tail(self, tail: bytes, piece: bytes) -> bytes:
        size = self._overlap
        whole = piece if len(piece) >= size else tail + piece
        return whole[-size:] if size else b""

    def note(self, status: os.stat_result, digest: str) -> None:
        """Record the digest of a file that is written and closed but for reading its status."""
        key = _key(status)
        self._known.pop(key, None)
        if digest and status.st_ctime_ns % _COARSE:
            self._fresh[key] = (_identity(status), digest)
        else:
            self._fresh.pop(key, None)

    def forget(self, status: os.stat_result) -> None:
        """Forget a file, whose inode may be that of one that was removed."""
        key = _key(status)
        self._fresh.pop(key, None)
        self._known.pop(key, None)

    def settle(self) -> None:
        """Let the files count that could not be changed any more without a change of their status.

        The others are forgotten.
        """
        now = self._clock()
        if sum(seen[0] for seen, _digest in self._fresh.values() if seen[2] >= now) >= _LARGE:
            # Until the next tick: a part of what reading them again would take.
            threading.Event().wait(_TICK)
            now = self._clock()
        self._known.update((key, row) for key, row in self._fresh.items() if row[0][2] < now)
        self._fresh.clear()

    def find(self, status: os.stat_result) -> str | None:
        """Return the digest of a file; None unless it is one of these, and unchanged."""
        known = self._known.get(_key(status))
        return known[1] if known is not None and known[0] == _identity(status) else None


def _key(status: os.stat_result) -> _Key:
    return status.st_dev, status.st_ino


def _identity(status: os.stat_result) -> _Status:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
