"""The pipe of a jobserver: one byte in it for each job that somebody may start beside their own.

Guarantees
  envy reads it without blocking, by an open file of its own: what a tool does to the flags of the
  descriptors that it was given (GNU make 4.3 makes them non-blocking) changes nothing for envy, nor
  for the tools of another script.
  A FIFO has its name in the folder only while somebody has it open. So one that nobody reads any
  more is of a process that was killed, and whoever makes the next one removes it.
"""

import contextlib
import errno
import fcntl
import os
import stat
import struct
import termios
import time
from pathlib import Path

from envy.atomic import SUFFIX, temporary_beside
from envy.jobserver.makeflags import Named

# Shell scripts, those of autoconf first of all, open files as 3 to 9 without asking.
_LOWEST = 100
_UNFINISHED = 3600.0  # seconds after which nobody is still making a FIFO


class TokenPipe:
    """A pipe of tokens that is there, with a name or inherited."""

    __slots__ = ("_inherited", "_owned", "_writing", "fifo", "reading")

    def __init__(
        self,
        reading: int,
        *,
        writing: int | None = None,
        fifo: str = "",
        owned: bool = False,
        inherited: tuple[int, int] | None = None,
    ) -> None:
        self.reading = reading
        self.fifo = fifo
        self._writing = reading if writing is None else writing
        self._owned = owned
        self._inherited = inherited

    def take(self) -> bytes:
        """A token, or nothing if there is none."""
        try:
            return os.read(self.reading, 1)
        except BlockingIOError:
            return b""

    def put(self, tokens: bytes) -> None:
        """Give tokens back, the very bytes that were taken."""
        if tokens:
            os.write(self._writing, tokens)

    def count(self) -> int:
        """How many tokens are there at this moment."""
        answer = fcntl.ioctl(self.reading, termios.FIONREAD, b"\0" * 4)
        found: int = struct.unpack("i", answer)[0]
        return found

    def open_for_tool(self) -> tuple[int, int]:
        """Two descriptors for a child to inherit; to be closed when it was started, or later."""
        with contextlib.ExitStack() as undo:
            pair = []
            for end, flags in enumerate((os.O_RDONLY, os.O_WRONLY)):
                if self._inherited is not None:
                    descriptor = _high(self._inherited[end])
                else:
                    low = os.open(self.fifo, flags)
                    try:
                        descriptor = _high(low)
                    finally:
                        os.close(low)
                undo.callback(os.close, descriptor)
                pair.append(descriptor)
            undo.pop_all()
        return pair[0], pair[1]

    def close(self) -> None:
        """Let go of it; if it is envy's own, it is gone."""
        if self._owned:
            with contextlib.suppress(OSError):
                Path(self.fifo).unlink()
        os.close(self.reading)
        if self._writing != self.reading:
            os.close(self._writing)


def _high(descriptor: int) -> int:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _LOWEST)
    except OSError:  # the limit of open files is lower
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)


def make_pipe(folder: Path, name: str) -> TokenPipe:
    """An empty pipe of envy's own, as a FIFO in `folder`; those of dead processes are removed.

    Raises:
        OSError: the folder cannot be written, or has no FIFOs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_dead(folder)
    final = folder / name
    with temporary_beside(final) as new:
        os.mkfifo(new, 0o600)
        # Not for nothing read and write: with both, neither end is ever missing.
        reading = os.open(new, os.O_RDWR | os.O_NONBLOCK)
        try:
            new.rename(final)
        except BaseException:
            os.close(reading)
            raise
    return TokenPipe(reading, fifo=str(final), owned=True)


def _remove_dead(folder: Path) -> None:
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if path.suffix == SUFFIX:
                # It may be in the making, if it is new indeed.
                if time.time() - path.stat().st_mtime > _UNFINISHED:
                    path.unlink()
                continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno == errno.ENXIO:
                    path.unlink()


def join_pipe(named: Named) -> TokenPipe | None:
    """The pipe of the jobserver that envy was started under; None if it cannot be used.

    Descriptors count only if they are the ends of a pipe that was inherited: a make that did not
    take envy for a make has closed them, and the numbers may mean something else by now.
    """
    try:
        if named.fifo:
            return _join_fifo(named.fifo)
        if named.descriptors is not None:
            return _join_descriptors(*named.descriptors)
    except (OSError, OverflowError):
        pass
    return None


def _join_fifo(path: str) -> TokenPipe | None:
    if not Path(path).is_fifo():
        return None
    return TokenPipe(os.open(path, os.O_RDWR | os.O_NONBLOCK), fifo=path)


def _join_descriptors(reading: int, writing: int) -> TokenPipe | None:
    for descriptor, mode in ((reading, os.O_RDONLY), (writing, os.O_WRONLY)):
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE
        if flags not in {mode, os.O_RDWR} or not os.get_inheritable(descriptor):
            return None
        if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            return None
    # Opened anew, it has flags of its own. Where that cannot be, a read of envy's might block.
    own = Path(f"/proc/self/fd/{reading}")
    if not own.exists():
        return None
    return TokenPipe(
        os.open(own, os.O_RDONLY | os.O_NONBLOCK),
        writing=fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, 3),
        inherited=(reading, writing),
    )
