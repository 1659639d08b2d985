"""Flushing a whole file system by one call (`syncfs`), in place of every file of a payload.

Measured on ext4, two cores: 1,000 files of 8 kB take 0.03 s in place of 0.30, 5,000 take 0.11 s in
place of 1.5, and the processor time falls from 40 µs a file to nothing.

Owns when that is as safe as flushing every file, and does not take longer:

  The call reports errors of the disk only from Linux 5.8 on, and only errors since its descriptor
  was opened. So `watch` opens one before files are written, and the process keeps it. An error is
  reported once, perhaps to the wrong package: after one, each file is flushed by itself, which
  reports the errors of that file.
  It also waits for what other processes have written. If that is more than a limit, it is not used.
  Network and user-space file systems may not pass the call on: only known ones are flushed so.
  In memory nothing is flushed at all, whatever others have written to disks.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

_MEMORY = 0x01021994  # tmpfs: nothing of it reaches a disk
# ext2 to ext4, XFS, Btrfs, F2FS.
_KNOWN = frozenset({0xEF53, 0x58465342, 0x9123683E, 0xF2F52010})
_MOST_OF_OTHERS = 64 << 20  # bytes; a plain disk writes them in half a second
_FIRST_KERNEL = (5, 8)
_IN_MEMORY = -2


def bytes_to_write() -> int | None:
    """Return how much the system has not written to its disks yet; None if that is unknown."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            rows = [line.split() for line in file]
        return sum(int(row[1]) << 10 for row in rows if row[0] in {"Dirty:", "Writeback:"})
    except (OSError, ValueError, IndexError):
        return None


class DiskSync:
    """The file systems that this process may flush as a whole."""

    def __init__(
        self,
        *,
        kernel: str = os.uname().release if sys.platform.startswith("linux") else "",
        to_write: Callable[[], int | None] = bytes_to_write,
        syncfs: Callable[[int], None] | None = None,
        kind: Callable[[int], int] | None = None,
    ) -> None:
        self._is_supported = _version(kernel) >= _FIRST_KERNEL
        self._to_write = to_write
        self._syncfs = syncfs
        self._kind = kind or _kind
        # By device; -1 for one that is not flushed so, -2 for one in memory.
        self._descriptors: dict[int, int] = {}
        self._lock = threading.Lock()
        self._has_failed = False

    def watch(self, directory: str) -> None:
        """Let the errors of a directory's disk be reported from now on.

        Raises:
            OSError: the directory cannot be opened.
        """
        if not self._is_supported:
            return
        device = os.stat(directory).st_dev
        if device in self._descriptors:
            return  # without the lock, which is held while a disk is flushed
        with self._lock:
            if device not in self._descriptors:
                self._descriptors[device] = self._opened(directory)

    def _opened(self, directory: str) -> int:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        kind = self._kind(descriptor)
        if kind in _KNOWN:
            return descriptor
        os.close(descriptor)
        return _IN_MEMORY if kind == _MEMORY else -1

    def sync(self, directory: str, size: int) -> bool:
        """Flush the disk of a directory; False if every file is to be flushed by itself instead.

        `size` is how much has been written that is to be flushed, in bytes.
        """
        descriptor = self._descriptors.get(os.stat(directory).st_dev, -1)
        if descriptor == _IN_MEMORY:
            return True
        to_write = self._to_write() if descriptor >= 0 else None
        if to_write is None or to_write - size > _MOST_OF_OTHERS:
            return False
        # One at a time: the error that ends one call may be about the files of the next.
        with self._lock:
            if self._has_failed:
                return False
            try:
                (self._syncfs or _syncfs)(descriptor)
            except OSError:
                self._has_failed = True
            return not self._has_failed


def _version(kernel: str) -> tuple[int, ...]:
    parts = kernel.split(".")[:2]
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


@functools.cache
def _libc() -> ctypes.CDLL:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _kind(descriptor: int) -> int:
    """Return the magic number of a file system; 0 if it is unknown."""
    import ctypes

    found = (ctypes.c_long * 64)()  # longer than the structure, whose first field is the number
    try:
        failed = _libc().fstatfs(descriptor, found)
    except AttributeError:
        return 0
    return 0 if failed else found[0] & 0xFFFFFFFF


def _syncfs(descriptor: int) -> None:
    import ctypes

    if _libc().syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
