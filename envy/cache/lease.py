"""Leases: what running commands rely upon, so that gc leaves it alone.

Guarantees
  An entry that is found complete after its lease was written stays until the lease ends: leases are
  written, and entries moved away, under one lock, which is held for moments only.
  The lease of a process that died counts no more; gc clears it away.
  A cache that cannot be written to can be used without.
Lock order: an entry lock, then the gate, then the lock of a lease.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from envy.cache.layout import CacheLayout
from envy.cache.lock import FileLock
from envy.errors import CacheError


@contextlib.contextmanager
def gate(layout: CacheLayout) -> Iterator[None]:
    """Nobody writes a lease, or moves an entry away, meanwhile.

    Raises:
        CacheError: its lock cannot be taken.
    """
    lock = FileLock(layout.shared_lock_path("leases"))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Lease:
    """What one command relies upon; it may come to rely upon more as it goes."""

    __slots__ = ("_alive", "_layout", "_names", "_stem")

    def __init__(self, layout: CacheLayout) -> None:
        self._layout = layout
        self._stem = os.path.join(layout.leases_root, f"{os.getpid()}-{os.urandom(6).hex()}")
        self._alive = FileLock(f"{self._stem}.lock")
        self._names: set[str] = set()

    def hold(self, entries: Iterable[str]) -> None:
        """Rely upon these entries, given by name, from now on."""
        names = set(entries)
        if names <= self._names:
            return
        with contextlib.suppress(CacheError, OSError), gate(self._layout):
            if self._alive.held or self._alive.try_acquire():
                self._names |= names
                with open(f"{self._stem}.json", "w", encoding="ascii") as file:
                    json.dump(sorted(self._names), file)

    def release(self) -> None:
        """Rely upon nothing any more."""
        if self._alive.held:
            _forget(self._stem)
            self._alive.release()
            self._names.clear()


def leased_entries(layout: CacheLayout) -> set[str]:
    """The entries of all leases that are held; the gate must be held. Clears dead ones away.

    Raises:
        CacheError: whether a lease is held cannot be told.
    """
    found: set[str] = set()
    for path in sorted(Path(layout.leases_root).glob("*.json")):
        stem = str(path.with_suffix(""))
        alive = FileLock(f"{stem}.lock")
        if alive.try_acquire():
            _forget(stem)
            alive.release()
            continue
        with contextlib.suppress(OSError, ValueError, TypeError):
            found.update(json.loads(path.read_text(encoding="ascii")))
    return found


def _forget(stem: str) -> None:
    for suffix in (".json", ".lock"):
        with contextlib.suppress(OSError):
            os.unlink(stem + suffix)
