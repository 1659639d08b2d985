"""The pipe of a jobserver: it contains one byte, a token, for each job that may be started.

Guarantees
  envy reads the pipe without blocking, by an open file of its own: a tool that changes the flags of
  its descriptors (GNU make 4.3 makes them non-blocking) affects neither envy nor the tools of
  another script.
  A FIFO has its name in the folder only while some process has it open. So a FIFO without a reader
  belongs to a killed process, and the next command that creates one removes it.
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

from envy.content.atomic import SUFFIX, temporary_beside
from envy.jobserver.makeflags import OuterJobserver

# Shell scripts, above all those of autoconf, use the descriptors 3 to 9 for their own files.
_LOWEST = 100
_UNFINISHED = 3600.0  # seconds after which no process is still creating a FIFO


class TokenPipe:
    """An open pipe of tokens, with a name or inherited."""

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
        """Take a token; returns b"" if there is none."""
        try:
            return os.read(self.reading, 1)
        except BlockingIOError:
            return b""

    def put(self, tokens: bytes) -> None:
        """Return tokens: the very bytes that were taken."""
        if tokens:
            os.write(self._writing, tokens)

    def count(self) -> int:
        """Return how many tokens the pipe contains at this moment."""
        answer = fcntl.ioctl(self.reading, termios.FIONREAD, b"\0" * 4)
        found: int = struct.unpack("i", answer)[0]
        return found

    def open_for_tool(self) -> tuple[int, int]:
        """Return two descriptors for a child to inherit; close them once the child has started."""
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
        """Close the pipe, and remove its FIFO if that is envy's own."""
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
    """Create an empty pipe, as a FIFO in `folder`, and remove the FIFOs of dead processes.

    Raises:
        OSError: the folder cannot be written, or its file system has no FIFOs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _remove_dead(folder)
    final = folder / name
    with temporary_beside(final) as new:
        os.mkfifo(new, 0o600)
        # Open for both reading and writing, so that neither end is ever missing.
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
                # A recent one may still be in creation.
                if time.time() - path.stat().st_mtime > _UNFINISHED:
                    path.unlink()
                continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError as error:
                if error.errno == errno.ENXIO:
                    path.unlink()


def join_pipe(named: OuterJobserver) -> TokenPipe | None:
    """Return the pipe of the jobserver that envy was started under; None if it is unusable.

    Descriptors are used only if they are inherited ends of a pipe: a make that does not know that
    envy takes part has closed them, and the numbers may belong to other files by now.
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
    # Opened again, it has flags of its own. Without, a read of envy might block.
    own = Path(f"/proc/self/fd/{reading}")
    if not own.exists():
        return None
    return TokenPipe(
        os.open(own, os.O_RDONLY | os.O_NONBLOCK),
        writing=fcntl.fcntl(writing, fcntl.F_DUPFD_CLOEXEC, 3),
        inherited=(reading, writing),
    )
