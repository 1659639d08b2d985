"""The inventory of the cache: every entry with its size and its times, read without a lock.

Other processes may add and remove entries at the same time; an entry that disappears while it is
read is left out. Anything else below `assets` (a file or a link instead of a folder, a name that
envy does not use) is reported as foreign and never touched.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from envy.cache.explanation import read_key_record
from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import ASSET, ENTRY_PATTERN, FINGERPRINT, IDENTITY_PATTERN, MARKER
from envy.cache.read import open_nonblocking, read_marker
from envy.content.json_text import parse_json

IDENTITY = re.compile(IDENTITY_PATTERN, re.ASCII)
_FOLDER = re.compile(ENTRY_PATTERN, re.ASCII)
_HEADER_LIMIT = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReport:
    """An entry as it was found. Times are seconds since the epoch, sizes are bytes."""

    paths: EntryPaths
    identity: str
    key: str  # canonical; only the identity if the key is unknown
    entry_key: str  # "" without a marker
    complete: bool
    size: int
    changed_at: float  # when it was published, or last worked on


@dataclass(slots=True)
class Inventory:
    """The content of `assets`: entries, and paths that envy did not create."""

    entries: list[EntryReport] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


def take_inventory(layout: CacheLayout) -> Inventory:
    """Read every entry.

    Raises:
        CacheError: the cache cannot be read.
    """
    inventory = Inventory()
    try:
        for paths in _entries(layout, inventory.foreign):
            with contextlib.suppress(FileNotFoundError):
                inventory.entries.append(_report(paths))
    except OSError as error:
        raise explained(error, doing="read the cache", path=str(layout.root)) from error
    return inventory


def other_sizes(layout: CacheLayout) -> dict[str, int]:
    """Return the bytes that the cache contains besides its entries, by folder."""
    folders = (layout.recipes_root, layout.logs_root, layout.answers_root, layout.trash_root)
    return {folder.name: measure_tree(str(folder))[0] for folder in folders}


def _entries(layout: CacheLayout, foreign: list[str]) -> Iterator[EntryPaths]:
    for identity in _listing(str(layout.assets_root)):
        if not IDENTITY.fullmatch(identity.name) or not identity.is_dir(follow_symlinks=False):
            foreign.append(identity.path)
            continue
        for entry in _listing(identity.path):
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                yield EntryPaths(str(layout.root), entry.path)
            else:
                foreign.append(entry.path)


def _listing(directory: str) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def _report(paths: EntryPaths) -> EntryReport:
    identity = paths.name.partition("/")[0]
    marker = read_marker(paths)
    changed_at = 0.0
    with contextlib.suppress(FileNotFoundError):
        changed_at = os.lstat(paths.at(MARKER)).st_mtime
    kept = read_key_record(paths) if marker is not None else None
    size, newest = _size(paths, recorded=marker is not None)
    return EntryReport(
        paths=paths,
        identity=identity,
        key=kept.key if kept is not None else identity,
        entry_key=marker.key_hex if marker is not None else "",
        complete=marker is not None,
        size=size,
        changed_at=changed_at or newest,
    )


def _size(paths: EntryPaths, *, recorded: bool) -> tuple[int, float]:
    """Return the bytes of an entry, and the last change of a file in it or a folder below it."""
    payload = _recorded_size(paths) if recorded else None
    total, newest = payload or 0, os.lstat(paths.location).st_mtime
    for entry in _listing(paths.location):
        status = entry.stat(follow_symlinks=False)
        newest = max(newest, status.st_mtime)
        if not stat.S_ISDIR(status.st_mode):
            total += status.st_size
        elif entry.name != ASSET or payload is None:
            size, below = measure_tree(entry.path)
            total, newest = total + size, max(newest, below)
    return total, newest


def _recorded_size(paths: EntryPaths) -> int | None:
    """Return the size in the fingerprint, which saves a look at every file."""
    try:
        with open(paths.at(FINGERPRINT), "rb", opener=open_nonblocking) as file:
            return int(parse_json(file.readline(_HEADER_LIMIT))["size"])
    except (OSError, ValueError, TypeError, KeyError):
        return None


def measure_tree(top: str) -> tuple[int, float]:
    """Return the bytes of all files below a folder, and when one of its folders last changed."""
    total, newest = 0, 0.0
    for directory, _, names in os.walk(top):
        with contextlib.suppress(FileNotFoundError):
            newest = max(newest, os.lstat(directory).st_mtime)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(directory, name)).st_size
    return total, newest
