"""A file that is read while it is being written, from its begin to its end, by a download.

Readers wait for what has not arrived. A zip has its list of names at the end: while the list is
being read, what is missing may be asked for; `is_confirmed` then compares that with what arrived.
That all bytes arrived says nothing of the file that the download ends with: a digest may be wrong,
and another content may take the place of this one, even after its last byte. So what readers made
of it is worth something only if `is_accepted` says so in the end, under the digest of that file.

Guarantees
  If `is_accepted` and `is_confirmed` return true, readers got the bytes of a file with that digest.
  What was given up is never accepted, in whatever order things happen.
  No reader waits any more after `end` or `give_up`.
"""

import io
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from envy.limits import ARCHIVE_INDEX

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_TAIL = 1 << 16  # bytes; the end of a zip, in which it says where its list of names is

# Returns the bytes from one offset to another.
AskFor = Callable[[int, int], bytes]


class GivenUp(Exception):
    """The file does not arrive, or not as it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """An archive that was unpacked while it arrived: its name, and its number of files.

    `plan` is what was unpacked of it below `root`, to compare with what a stage unpacks.
    """

    name: str
    root: str
    plan: object
    count: int
    seconds: float


class Follower(Protocol):
    """What reads a file while it arrives."""

    def wants(self, *, received: int, left: int, seconds: float) -> bool:
        """Return whether to start now, when so many bytes were received in so many seconds."""

    def start(self, arriving: "Arriving") -> None:
        """Read in another thread, and close the file in the end; called once."""

    def accept(self, sha256: str) -> None:
        """Know the digest of the file that was verified, and that is there now."""

    def give_up(self) -> None:
        """Know that what may have been read is not the file; another address may have it."""


class Arriving:
    """The `total` bytes of a file that another thread writes, of which some have arrived.

    The event is set once readers have given up, for whoever answers what they ask for.
    """

    def __init__(
        self,
        path: str,
        descriptor: int,
        total: int,
        ask_for: AskFor,
        given_up: threading.Event | None = None,
    ) -> None:
        self.path = path
        self.total = total
        self._descriptor = os.dup(descriptor)
        self._ask_for = ask_for
        self._arrived = 0
        self._given_up = given_up or threading.Event()  # never cleared
        self._is_asking = False
        self._may_ask = True
        self._sha256 = ""  # of all that arrived, once that is all
        self.is_left = False  # whether nobody waits for a reader that waits for an answer
        self._changed = threading.Condition()
        self._asked: list[tuple[int, bytes]] = []  # offsets, and what is there

    def close(self) -> None:
        """Close the file, when no reader is left."""
        os.close(self._descriptor)

    # -- for whoever writes it -------------------------------------------------------------------

    def note(self, arrived: int) -> None:
        """Let readers have the first `arrived` bytes, which are written.

        More than the whole file, or fewer than before, are another file.
        """
        with self._changed:
            if not self._arrived <= arrived <= self.total or self._sha256:
                self._given_up.set()
            self._arrived = arrived
            self._changed.notify_all()

    def end(self, sha256: str) -> None:
        """Tell the digest of what arrived, now that nothing follows."""
        with self._changed:
            self._sha256 = sha256

    def give_up(self) -> None:
        """Let every reader fail: the file will be another, or none."""
        with self._changed:
            self._given_up.set()
            self._changed.notify_all()

    def give_up_asking(self) -> bool:
        """Give up if a reader waits for an answer, which may take long; return whether one does.

        From now on, none asks.
        """
        with self._changed:
            self._may_ask = False
            self.is_left = self._is_asking
            if self.is_left:
                self._given_up.set()
            self._changed.notify_all()
            return self.is_left

    def is_accepted(self, sha256: str) -> bool:
        """Return whether what arrived is the whole of a file that was verified under a digest.

        False if that is "", or once anything was given up.
        """
        with self._changed:
            return (
                not self._given_up.is_set()
                and self._arrived == self.total
                and self._sha256 == sha256 != ""
            )

    # -- for readers, in any thread --------------------------------------------------------------

    def pread(self, size: int, at: int) -> bytes:
        """Return bytes as `os.pread` does once they have arrived; fewer at the end of the file.

        Raises:
            GivenUp: they will not arrive.
        """
        end = min(at + size, self.total)
        self._wait(end)
        data = os.pread(self._descriptor, max(0, end - at), at) if end > at else b""
        if len(data) < end - at:
            self.give_up()  # cut off by somebody
            raise GivenUp
        return data

    def read_some(self, size: int, at: int) -> bytes:
        """Return what has arrived of some bytes, at least one of them; b"" at the end of the file.

        Raises:
            GivenUp: they will not arrive.
        """
        self._wait(min(at + 1, self.total))
        return self.pread(min(size, self._arrived - at), at) if at < self._arrived else b""

    def _wait(self, end: int) -> None:
        if self._arrived < end or self._given_up.is_set():
            with self._changed:
                self._changed.wait_for(lambda: self._given_up.is_set() or self._arrived >= end)
                if self._given_up.is_set():
                    raise GivenUp

    def stream(self) -> "ArrivingStream":
        """Return the file as a stream, which waits."""
        return ArrivingStream(self)

    def read_ahead(self, at: int, size: int) -> bytes:
        """Return bytes near the end, which are asked for if they have not arrived.

        Raises:
            GivenUp: there are too many of them, or asking for them failed.
        """
        stop = min(at + size, self.total)
        if stop <= at:
            return b""
        if stop <= self._arrived:
            return self.pread(size, at)
        if not self._asked:
            self._ask(max(0, self.total - _TAIL), self.total)
        known = self._asked[-1][0]
        if at < known:
            self._ask(at, known)
        return b"".join(
            data[max(0, at - begin) : max(0, stop - begin)] for begin, data in self._asked[::-1]
        )

    def _ask(self, begin: int, stop: int) -> None:
        if stop - begin > ARCHIVE_INDEX.value:
            raise GivenUp
        with self._changed:
            if not self._may_ask:
                raise GivenUp
            self._is_asking = True
        try:
            data = self._ask_for(begin, stop)
        finally:
            with self._changed:
                self._is_asking = False
        if len(data) != stop - begin or self._given_up.is_set():
            raise GivenUp
        self._asked.append((begin, data))

    def is_confirmed(self) -> bool:
        """Wait for the whole file; return whether what was asked for is what arrived."""
        try:
            self.pread(0, self.total)
            return all(self.pread(len(data), begin) == data for begin, data in self._asked)
        except GivenUp:
            return False


class ArrivingStream(io.RawIOBase):
    """The file from its begin on, and from any other place that is sought."""

    def __init__(self, arriving: Arriving) -> None:
        self._arriving = arriving
        self._at = 0
        self.name = arriving.path
        self.may_ask = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._arriving.total}[whence]
        if base + offset < 0:
            raise OSError("a place before the begin of the file")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        if self.may_ask:
            data = self._arriving.read_ahead(self._at, len(view))
        else:
            data = self._arriving.read_some(len(view), self._at)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)
