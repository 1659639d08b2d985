"""Creation of entries: begin an attempt, publish it, record its deploy, or discard it.

The caller holds the entry's lock throughout.

Guarantees
  The marker is written last, when the payload, the fingerprint, the ingredients and the directories
  that name them are on the disk. Wherever the process ends, a marker therefore implies a complete
  payload. For the same reason the marker is removed first, and its removal reaches the disk before
  any part of the payload is removed.
  Downloads survive a failed attempt, and are removed only when the marker is on the disk.
  An attempt that another process has superseded detects this, and never publishes.
  Published files and directories are read-only, unless the package is `writable`. They are not
  files of anything else, but for unpacked wheels: see `separate`.
"""

import contextlib
import os
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from envy.cache.explanation import parse_key_record
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.fingerprint import take_fingerprint
from envy.cache.layout import EntryPaths
from envy.cache.marker import Marker, encode_marker
from envy.cache.names import (
    ASSET,
    ATTEMPT,
    BEFORE_KEY,
    DEPLOYED,
    FETCH,
    FINGERPRINT,
    INGREDIENTS,
    MARKER,
    ORIGIN,
    SHIMS_FOLDER,
    STAGE,
    TMP,
    UV_FOLDER,
    WORK,
    entry_folder,
)
from envy.cache.read import open_nonblocking
from envy.cache.separate import separated_members
from envy.cache.trees import Member
from envy.content.atomic import temporary_name
from envy.content.count_files import CountFiles
from envy.content.written_digests import WrittenDigests
from envy.errors import CacheError
from envy.interpreter import BriefWaits, released

_NOTHING: Mapping[bytes, str] = MappingProxyType({})
_MANY = 16  # files; flushing so many takes long on any disk
_flushes = BriefWaits()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at building an entry; `token` distinguishes it from all others."""

    entry: EntryPaths
    key_hex: str
    token: bytes
    files: FileSystem

    def is_current(self) -> bool:
        """Return whether no other process began an attempt or published since this attempt began.

        This must be checked after the lock was released at a closed gate and acquired again.

        Raises:
            CacheError: the attempt's file cannot be read.
        """
        path = self.entry.at(ATTEMPT)
        try:
            descriptor = open_nonblocking(path, os.O_RDONLY)
            try:
                return os.read(descriptor, len(self.token) + 1) == self.token
            finally:
                os.close(descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise explained(error, doing="read an attempt in the cache", path=path) from error


def begin_attempt(entry: EntryPaths, key_hex: str, *, files: FileSystem = REAL) -> Attempt:
    """Create the entry's directories, empty except for earlier downloads.

    Raises:
        CacheError: a file or directory cannot be removed or created.
    """
    attempt = Attempt(entry, key_hex, os.urandom(16), files)
    try:
        if not files.make_dir(entry.location):
            unpublish(entry, files)
            with released():
                for name in (ASSET, WORK, SHIMS_FOLDER):
                    files.remove_tree(entry.at(name))
                for name in (temporary_name(MARKER), FINGERPRINT, INGREDIENTS, ORIGIN):
                    _remove_unless_file(entry.at(name), files)
                files.remove(entry.at(ORIGIN))
        files.watch_disk(entry.location)
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
    report: CountFiles | None = None,
    spellings: Collection[str] = (),
    written: WrittenDigests | None = None,
) -> None:
    """Make the payload visible, permanently, even if it is empty.

    `forbidden` maps paths that the payload must not contain to the dependency that each belongs to.
    `report` is called with the number of members read so far and of all members.
    `spellings` are other paths of the cache, which other entries contain.
    `written` has digests of files that nothing may have touched since; see `take_fingerprint`.

    Raises:
        CacheError: a file contains such a path, a file cannot be read or written, or the attempt
            was superseded. Then nothing becomes visible, and the next attempt starts over.
    """
    entry, files = attempt.entry, attempt.files
    if not attempt.is_current():
        raise CacheError(
            f"cannot publish {entry.location}: another attempt has begun since",
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
            spellings=spellings,
            files=files,
            report=report,
            written=written,
        )
    except OSError as error:
        raise explained(error, doing="publish to the cache", path=entry.location) from error
    # This may fail: leftovers beside a marker are harmless, and gc removes them with the entry.
    with contextlib.suppress(OSError):
        clear_away(entry, files)


def seal(
    entry: EntryPaths,
    key_hex: str,
    ingredients_json: str,
    *,
    forbidden: Mapping[bytes, str] = _NOTHING,
    writable: bool = False,
    spellings: Collection[str] = (),
    files: FileSystem = REAL,
    report: CountFiles | None = None,
    written: WrittenDigests | None = None,
    listed: Sequence[Member] | None = None,
) -> None:
    """Write the fingerprint, make the payload read-only, and write the marker, all on the disk.

    `listed` is everything in the payload, if that was listed just now.

    Raises:
        CacheError: a file contains a forbidden path.
        OSError: a step failed.
    """
    if os.path.islink(entry.at(ASSET)):
        raise CacheError(
            f"cannot publish {entry.at(ASSET)}: it was replaced by a link",
            path=entry.asset_dir,
            hint="put links, or the files they lead to, inside the install directory",
        )
    fingerprint = take_fingerprint(
        entry.root,
        entry.at(ASSET),
        payload=separated_members(
            entry.at(ASSET),
            wheels="" if writable else os.path.join(entry.root, UV_FOLDER),
            files=files,
            listed=listed,
        ),
        forbidden=forbidden,
        writable=writable,
        spellings=spellings,
        report=report,
        written=written,
        others=_names_of_dependencies(entry, ingredients_json),
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
        files.flush_tree(fingerprint.files, fingerprint.dirs[::-1], fingerprint.size)
        files.write_flushed(made)
        files.flush_dirs([entry.location, above, os.path.dirname(above)])
        files.rename(temporary_name(entry.at(MARKER)), entry.at(MARKER))
        files.flush_dirs([entry.location])


def _names_of_dependencies(entry: EntryPaths, ingredients_json: str) -> list[str]:
    """Return the names of the entries that an entry was made of, for its own platform."""
    record = parse_key_record(ingredients_json)
    if record is None:
        return []
    platform = entry.name.partition("/")[2].rpartition(BEFORE_KEY)[0]
    return [
        f"{canonical.partition('{')[0]}/{entry_folder(platform, key)}"
        for canonical, key in record.dependencies.items()
    ]


def clear_away(entry: EntryPaths, files: FileSystem) -> None:
    """Remove the working directories of an attempt, which are usually empty by now."""
    files.remove(entry.at(ATTEMPT))
    left = [
        name for name in (STAGE, TMP, WORK, FETCH) if not files.remove_empty_dir(entry.at(name))
    ]
    if left:
        with released():
            files.remove_tree(entry.at(WORK))
            files.remove_tree(entry.at(FETCH))


def record_deploy(entry: EntryPaths, *, files: FileSystem = REAL) -> None:
    """Record that the deploy of the published payload succeeded.

    Raises:
        CacheError: the record cannot be written.
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
    """Remove the whole entry; the workspace of a user-managed package ends this way.

    Raises:
        CacheError: a file cannot be removed.
    """
    try:
        if os.path.lexists(entry.location):
            unpublish(entry, files)
            with released():
                files.remove_tree(entry.location)
    except OSError as error:
        raise explained(error, doing="remove an entry of the cache", path=entry.location) from error


def prune_logs(log_root: Path, *, keep: int = 5, files: FileSystem = REAL) -> None:
    """Keep only the logs of the last attempts at a key; a failure to remove one is ignored."""
    with contextlib.suppress(OSError):
        if os.path.islink(log_root):
            return  # the link's target is not envy's
        for name in sorted(os.listdir(log_root))[: -keep or None]:
            files.remove_tree(os.path.join(log_root, name))


def _make_real_dir(path: str, files: FileSystem) -> None:
    try:
        files.make_dir(path)
    except FileExistsError:
        # A script created a file there, or a link that would lead downloads elsewhere.
        files.remove_tree(path)
        files.make_dir(path)


def _remove_unless_file(path: str, files: FileSystem) -> None:
    """Remove whatever is at a path unless it is a regular file, which can be overwritten."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            files.remove_tree(path)


def unpublish(entry: EntryPaths, files: FileSystem) -> None:
    """Remove the marker and the deploy record, on the disk, before the payload is changed.

    Raises:
        OSError: a step failed.
    """
    for name in (MARKER, DEPLOYED):
        _remove_unless_file(entry.at(name), files)
    if files.remove(entry.at(MARKER)):
        with released():
            files.flush_dirs([entry.location])
    files.remove(entry.at(DEPLOYED))
