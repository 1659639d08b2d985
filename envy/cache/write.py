"""Making an entry: begin an attempt, publish it, record its deploy, throw it away.

All of it happens under the entry's lock, which the caller holds.

Guarantees
  The marker is put in place last, when payload, fingerprint, ingredients and the directories that
  name them are on the disk; so whenever it is there, all of the payload is, whatever happened and
  wherever the process ended. For the same reason it is the first to go, on the disk, before
  anything of a payload is removed.
  Downloads outlive a failed attempt, and are removed only once the marker is on the disk.
  An attempt that somebody else has followed up notices, and never publishes.
  What is published cannot be written any more, files and directories, unless it is `writable`.
"""

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.fingerprint import take_fingerprint
from envy.cache.layout import EntryPaths
from envy.cache.marker import Marker, encode_marker
from envy.cache.names import (
    ASSET,
    ATTEMPT,
    DEPLOYED,
    FETCH,
    FINGERPRINT,
    INGREDIENTS,
    MARKER,
    STAGE,
    TMP,
    WORK,
)
from envy.content.atomic import temporary_name
from envy.errors import CacheError
from envy.interpreter import BriefWaits, released

_NOTHING: Mapping[bytes, str] = MappingProxyType({})
_MANY = 16  # files whose flushes take long anywhere
_flushes = BriefWaits()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at making an entry; `token` tells it from every other."""

    entry: EntryPaths
    key_hex: str
    token: bytes
    files: FileSystem

    def is_current(self) -> bool:
        """Whether nobody else began an attempt, or published, since this one began.

        Asked after the lock was let go at a closed gate and taken again.

        Raises:
            CacheError: that cannot be told, for want of descriptors say.
        """
        path = self.entry.at(ATTEMPT)
        try:
            descriptor = os.open(path, os.O_RDONLY)
            try:
                return os.read(descriptor, len(self.token) + 1) == self.token
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise explained(error, doing="look after an attempt in the cache", path=path) from error


def begin_attempt(entry: EntryPaths, key_hex: str, *, files: FileSystem = REAL) -> Attempt:
    """Make the entry's directories, empty but for what was downloaded.

    Raises:
        CacheError: something cannot be removed or made.
    """
    attempt = Attempt(entry, key_hex, os.urandom(16), files)
    try:
        if not files.make_dir(entry.location):
            unpublish(entry, files)
            with released():
                for name in (ASSET, WORK):
                    files.remove_tree(entry.at(name))
                for name in (temporary_name(MARKER), FINGERPRINT, INGREDIENTS):
                    _remove_unless_file(entry.at(name), files)
        for name in (ASSET, FETCH, WORK, STAGE, TMP):
            _make_real_dir(entry.at(name), files)
        files.write_file(entry.at(ATTEMPT), attempt.token)
    except OSError as error:
        raise explained(
            error, doing="prepare an entry of the cache", path=entry.location
        ) from error
    return attempt


def publish(
    attempt: Attempt,
    ingredients_json: str,
    *,
    forbidden: Mapping[bytes, str] = _NOTHING,
    writable: bool = False,
) -> None:
    """Make the payload visible, for good. An empty one is published too.

    `forbidden` are paths that the payload may not hold, each with the dependency it belongs to.

    Raises:
        CacheError: a file holds such a path; something cannot be read or written; or the attempt is
            no longer ours. Nothing is visible then, and the next attempt begins anew.
    """
    entry, files = attempt.entry, attempt.files
    if not attempt.is_current():
        raise CacheError(
            f"cannot publish {entry.location}: another attempt at it was begun meanwhile",
            path=entry.directory,
            hint="was the cache, or its locks folder, removed during the run? run envy again",
        )
    try:
        seal(
            entry,
            attempt.key_hex,
            ingredients_json,
            forbidden=forbidden,
            writable=writable,
            files=files,
        )
    except OSError as error:
        raise explained(error, doing="publish to the cache", path=entry.location) from error
    # What is left beside a marker is harmless, and is removed later; so this may fail.
    with contextlib.suppress(OSError):
        _clear_away(entry, files)


def seal(
    entry: EntryPaths,
    key_hex: str,
    ingredients_json: str,
    *,
    forbidden: Mapping[bytes, str] = _NOTHING,
    writable: bool = False,
    files: FileSystem = REAL,
) -> None:
    """Write down what the payload is, close it, and put the marker in place, all on the disk.

    Raises:
        CacheError: a file holds a forbidden path; OSError: a step failed.
    """
    if os.path.islink(entry.at(ASSET)):
        raise CacheError(
            f"cannot publish {entry.at(ASSET)}: a link was put in its place",
            path=entry.asset_dir,
            hint="put links, or what they lead to, inside the install directory",
        )
    fingerprint = take_fingerprint(
        entry.root, entry.at(ASSET), forbidden=forbidden, writable=writable
    )
    files.start_flushing(fingerprint.files)
    for path, mode in fingerprint.modes:
        files.set_mode(path, mode)
    marker = Marker(key_hex=key_hex, root=entry.root, holds_root=fingerprint.holds_root)
    made = {
        entry.at(FINGERPRINT): fingerprint.text.encode("ascii"),
        entry.at(INGREDIENTS): ingredients_json.encode("utf-8", "surrogateescape"),
        temporary_name(entry.at(MARKER)): encode_marker(marker),
    }
    above = os.path.dirname(entry.location)
    few = len(fingerprint.files) < _MANY
    with _flushes.waiting() if few else released():
        files.flush(fingerprint.files)
        files.write_flushed(made)
        files.flush_dirs(
            [*reversed(fingerprint.dirs), entry.location, above, os.path.dirname(above)]
        )
        files.rename(temporary_name(entry.at(MARKER)), entry.at(MARKER))
        files.flush_dirs([entry.location])


def _clear_away(entry: EntryPaths, files: FileSystem) -> None:
    """Remove what an attempt worked in; most of the time it is empty by now."""
    files.remove(entry.at(ATTEMPT))
    left = [
        name for name in (STAGE, TMP, WORK, FETCH) if not files.remove_empty_dir(entry.at(name))
    ]
    if left:
        with released():
            files.remove_tree(entry.at(WORK))
            files.remove_tree(entry.at(FETCH))


def record_deploy(entry: EntryPaths, *, files: FileSystem = REAL) -> None:
    """Note that the deploy of what is published succeeded.

    Raises:
        CacheError: it cannot be written.
    """
    path = entry.at(DEPLOYED)
    try:
        files.write_file(path, b"")
        with released():
            files.flush([path])
            files.flush_dirs([entry.location])
    except OSError as error:
        raise explained(error, doing="record a deploy in the cache", path=path) from error


def discard(entry: EntryPaths, *, files: FileSystem = REAL) -> None:
    """Remove the whole entry, as the workspace of a user-managed package is.

    Raises:
        CacheError: something cannot be removed.
    """
    try:
        if os.path.lexists(entry.location):
            unpublish(entry, files)
            with released():
                files.remove_tree(entry.location)
    except OSError as error:
        raise explained(error, doing="remove an entry of the cache", path=entry.location) from error


def prune_logs(log_root: Path, *, keep: int = 5, files: FileSystem = REAL) -> None:
    """Keep the logs of the last attempts at a key; what cannot be removed stays until later."""
    with contextlib.suppress(OSError):
        if os.path.islink(log_root):
            return  # what it leads to is not envy's
        for name in sorted(os.listdir(log_root))[: -keep or None]:
            files.remove_tree(os.path.join(log_root, name))


def _make_real_dir(path: str, files: FileSystem) -> None:
    try:
        files.make_dir(path)
    except FileExistsError:
        # A script put a file or a link there, through which downloads would land elsewhere.
        files.remove_tree(path)
        files.make_dir(path)


def _remove_unless_file(path: str, files: FileSystem) -> None:
    """Remove what is no plain file from a place where one will be written."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            files.remove_tree(path)


def unpublish(entry: EntryPaths, files: FileSystem) -> None:
    """Remove what says that a payload is there, on the disk too, before the payload is touched.

    Raises:
        OSError: a step failed.
    """
    for name in (MARKER, DEPLOYED):
        _remove_unless_file(entry.at(name), files)
    if files.remove(entry.at(MARKER)):
        with released():
            files.flush_dirs([entry.location])
    files.remove(entry.at(DEPLOYED))
