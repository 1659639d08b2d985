"""Leases: what running commands use, so that gc does not remove it.

A lease names entries by `EntryPaths.name`, and folders of recipe files as
`recipes/<identity>/<folder>`.

Guarantees
  An entry that is complete after its lease was written stays until the lease ends: one lock, the
  gate, is held for each write of a lease and each removal of an entry, and only for moments.
  The lease of a process that died has no effect; gc removes it.
  A cache that cannot be written to can be used without leases.
Lock order: an entry lock, then the gate, then the lock of a lease.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator

from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout
from envy.cache.lock import FileLock
from envy.cache.names import LEASES_LOCK, LOCK, RECORD
from envy.content.atomic import atomic_write, temporary_name
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.errors import CacheError
from envy.limits import CACHE_FILE


@contextlib.contextmanager
def gate(layout: CacheLayout) -> Iterator[None]:
    """Hold the gate: no other process writes a lease or removes an entry.

    Raises:
        CacheError: its lock cannot be acquired.
    """
    lock = FileLock(layout.shared_lock_path(LEASES_LOCK))
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Lease:
    """The lease of one command; it grows as the command uses more."""

    __slots__ = ("_alive", "_layout", "_names", "_stem")

    def __init__(self, layout: CacheLayout) -> None:
        self._layout = layout
        self._stem = os.path.join(layout.leases_root, f"{os.getpid()}-{os.urandom(6).hex()}")
        self._alive = FileLock(f"{self._stem}{LOCK}")
        self._names: set[str] = set()

    def hold(self, entries: Iterable[str]) -> None:
        """Add these names to the lease."""
        names = set(entries)
        if names <= self._names:
            return
        with contextlib.suppress(CacheError, OSError), gate(self._layout):
            if self._alive.is_locked or self._alive.try_acquire():
                # Replaced as a whole: on a full disk, the former lease stays valid.
                text = json.dumps(sorted(self._names | names))
                atomic_write(f"{self._stem}{RECORD}", text.encode("ascii"), sole_writer=True)
                self._names |= names

    def release(self) -> None:
        """End the lease."""
        if self._alive.is_locked:
            _forget(self._stem)
            self._alive.release()
            self._names.clear()


def leased_names(layout: CacheLayout) -> set[str]:
    """Return the names in all current leases, and remove those of dead processes.

    The caller holds the gate.

    Raises:
        CacheError: it cannot be determined whether a lease is current, or what it names.
    """
    found: set[str] = set()
    top = str(layout.leases_root)
    try:
        names = os.listdir(top)
    except (FileNotFoundError, NotADirectoryError):
        return found
    except OSError as error:
        raise explained(error, doing="read the leases of the cache", path=top) from error
    # A process may have died and left any one of its files.
    for stem in sorted({os.path.join(top, name.partition(".")[0]) for name in names}):
        alive = FileLock(f"{stem}{LOCK}")
        if alive.try_acquire():
            _forget(stem)
            alive.release()
            continue
        found |= _named_by(f"{stem}{RECORD}")
    return found


def _named_by(path: str) -> set[str]:
    try:
        return set(parse_json(read_plain(path, CACHE_FILE)))
    except (FileNotFoundError, ValueError, TypeError):
        return set()
    except OSError as error:
        # What a command uses must not seem unused.
        raise explained(error, doing="read a lease of the cache", path=path) from error


def _forget(stem: str) -> None:
    for suffix in (RECORD, temporary_name(RECORD), LOCK):
        with contextlib.suppress(OSError):
            os.unlink(stem + suffix)
