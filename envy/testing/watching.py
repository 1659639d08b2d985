"""Waiting until a file below some folders changes, by what the kernel tells (Linux's inotify).

Guarantees
  A change made while tests run is not lost: watching goes on from `Watcher` to `close`.
  `stop` ends a wait, from any thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
from pathlib import Path

from envy.errors import UsageError

# modify, attrib, close after writing, moved from and to, create, delete
_EVENTS = 0x2 | 0x4 | 0x8 | 0x40 | 0x80 | 0x100 | 0x200
_QUIET = 100  # milliseconds without a change, so that a checkout is one change
_LEFT_OUT = frozenset({".git", ".hg", "node_modules"})


class Watcher:
    """Watches a tree of folders."""

    def __init__(self, root: Path) -> None:
        """Begin.

        Raises:
            UsageError: this system has no inotify, or no more of it for this user.
        """
        self._root = root
        self._libc = ctypes.CDLL(None, use_errno=True)
        if not hasattr(self._libc, "inotify_init1"):
            raise UsageError("--watch needs inotify, which only Linux has")
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise UsageError(f"--watch: {os.strerror(ctypes.get_errno())}")
        self._reading, self._writing = os.pipe()
        self._add_folders()

    def wait(self) -> bool:
        """Block until something changed, and then is quiet; False when stopped."""
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        poller.register(self._reading, select.POLLIN)
        patience: float | None = None
        while True:
            ready = [descriptor for descriptor, _ in poller.poll(patience)]
            if self._reading in ready:
                return False
            if not ready:
                self._add_folders()
                return True
            if self._drain():
                patience = _QUIET

    def stop(self) -> None:
        """End the wait that goes on, or the next."""
        with contextlib.suppress(OSError):
            os.write(self._writing, b"\0")

    def close(self) -> None:
        """Let go of the descriptors."""
        for descriptor in (self._descriptor, self._reading, self._writing):
            os.close(descriptor)

    def _add_folders(self) -> None:
        """Watch every folder; one that is watched already stays so."""
        for folder, names, _files in os.walk(self._root):
            names[:] = [name for name in names if name not in _LEFT_OUT]
            self._libc.inotify_add_watch(
                self._descriptor, os.fsencode(folder), ctypes.c_uint32(_EVENTS)
            )

    def _drain(self) -> bool:
        """Read what happened; tells whether anything of it counts."""
        counts = False
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._descriptor, 1 << 16):
                counts = counts or any(_counts(name) for name in _names(data))
        return counts


def _names(data: bytes) -> list[str]:
    found = []
    position = 0
    while position + 16 <= len(data):
        length = int.from_bytes(data[position + 12 : position + 16], "little")
        name = data[position + 16 : position + 16 + length].rstrip(b"\0")
        found.append(name.decode("utf-8", "surrogateescape"))
        position += 16 + length
    return found


def _counts(name: str) -> bool:
    """Editors' own files do not change what tests would say."""
    return bool(name) and not name.endswith(("~", ".swp", ".swx", ".tmp")) and name != "4913"
