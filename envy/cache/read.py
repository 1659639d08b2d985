"""Lookup of entries, without a lock.

Guarantees
  A hit means that the payload was complete and on the disk when its marker was written.
  A lookup opens one file. It changes nothing and never waits.
"""

import errno
import os
import stat
from dataclasses import dataclass

from envy.cache.filesystem import explained
from envy.cache.layout import EntryPaths
from envy.cache.marker import Marker, decode_marker
from envy.cache.names import ASSET, DEPLOYED, MARKER

_MARKER_LIMIT = 65536
_NONBLOCKING = getattr(os, "O_NONBLOCK", 0)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Whether an entry can be used; `reason` says why not."""

    hit: bool
    reason: str = ""
    elsewhere: bool = False  # complete, but built under another root, whose path it contains
    spelling: str = ""  # another path of the same root, which the payload contains


_HIT = Lookup(hit=True)
_NO_MARKER = Lookup(hit=False, reason="it is incomplete")


def lookup(entry: EntryPaths, key_hex: str, *, explain: bool = True) -> Lookup:
    """Check whether the entry is complete and was built for exactly this key.

    With `explain`, a missing marker costs one more system call to find out the reason.

    Raises:
        CacheError: the marker exists but cannot be read.
    """
    try:
        data = _read(entry.at(MARKER))
        if data is None:
            if not explain:
                return _NO_MARKER
            return Lookup(hit=False, reason=_why_without_marker(entry))
        marker = decode_marker(data)
        if marker is None:
            reason = "its marker is damaged, or was written by another version of envy"
        elif marker.key_hex != key_hex:
            reason = f"the entry there was built for another key ({marker.key_hex})"
        elif marker.holds_root and not is_same_root(marker.root, entry.root):
            reason = f"it was built under {marker.root} and contains that path"
            return Lookup(hit=False, reason=reason, elsewhere=True)
        elif not _is_directory(entry.at(ASSET)):
            reason = f"it has a marker, but {entry.at(ASSET)} is missing"
        elif marker.holds_root and marker.root != entry.root:
            return Lookup(hit=True, spelling=marker.root)
        else:
            return _HIT
        return Lookup(hit=False, reason=reason)
    except OSError as error:
        raise explained(error, doing="read the cache", path=entry.location) from error


def is_same_root(recorded: str, root: str) -> bool:
    """Return whether two paths lead to one folder: a cache may have several spellings."""
    if recorded == root:
        return True
    try:
        return os.path.samestat(os.stat(recorded), os.stat(root))
    except (OSError, ValueError):
        return False  # the recorded path leads nowhere now


def read_marker(entry: EntryPaths) -> Marker | None:
    """Read the marker of an entry; None if it is missing or damaged.

    Raises:
        CacheError: the marker exists but cannot be read.
    """
    try:
        data = _read(entry.at(MARKER))
    except OSError as error:
        raise explained(error, doing="read the cache", path=entry.location) from error
    return decode_marker(data) if data is not None else None


def deploy_recorded(entry: EntryPaths) -> bool:
    """Return whether a deploy of the published payload has succeeded."""
    return os.path.exists(entry.at(DEPLOYED))


def payload_is_empty(entry: EntryPaths) -> bool:
    """Return whether the payload is empty or missing."""
    try:
        with os.scandir(entry.at(ASSET)) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return True
    except OSError as error:
        raise explained(error, doing="read the cache", path=entry.at(ASSET)) from error


def open_nonblocking(path: str, flags: int) -> int:
    """Open a file without waiting, even if it is a pipe, which then reads as empty."""
    return os.open(path, flags | _NONBLOCKING)


def names_in(directory: str) -> list[str]:
    """Return the names in a directory of the cache, sorted.

    Raises:
        CacheError: it cannot be read.
    """
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        raise explained(error, doing="read the cache", path=directory) from error


def _read(path: str) -> bytes | None:
    try:
        descriptor = open_nonblocking(path, os.O_RDONLY)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno != errno.ENXIO:  # a socket
            raise
        return b""
    try:
        return os.read(descriptor, _MARKER_LIMIT)
    except (IsADirectoryError, BlockingIOError):
        return b""  # a directory or a device has the marker's name: it counts as damaged
    finally:
        os.close(descriptor)


def _why_without_marker(entry: EntryPaths) -> str:
    if os.path.isdir(entry.location):
        return "an earlier attempt did not complete"
    return "it has not been built yet"


def _is_directory(path: str) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except FileNotFoundError:
        return False
