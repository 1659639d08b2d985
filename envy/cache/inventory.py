"""The inventory of the cache: every entry with its size and its times, read without a lock.

Sizes are those of the disk blocks in use, as `du` counts them: a file with several names counts
once, and folders count. Other processes may add and remove entries at the same time; an entry that
disappears while it is read is left out. An entry that cannot be read is reported with the reason.
Anything else below `assets` (a file or a link instead of a folder, a name that envy does not use)
is reported as foreign and never touched.
"""

import contextlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field

from envy.cache.disk_usage import DiskUsage, listing, readable_listing
from envy.cache.explanation import read_key_record
from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import ASSETS_FOLDER, ENTRY_PATTERN, IDENTITY_PATTERN, MARKER
from envy.cache.read import read_marker
from envy.errors import CacheError

IDENTITY = re.compile(IDENTITY_PATTERN, re.ASCII)
_FOLDER = re.compile(ENTRY_PATTERN, re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryReport:
    """An entry as it was found. Times are seconds since the epoch, sizes are bytes on the disk."""

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
    unreadable: list[CacheError] = field(default_factory=list)


def take_inventory(layout: CacheLayout, usage: DiskUsage | None = None) -> Inventory:
    """Read every entry.

    Raises:
        CacheError: the cache cannot be read.
    """
    inventory, usage = Inventory(), usage or DiskUsage()
    try:
        identities = listing(str(layout.assets_root))
    except OSError as error:
        raise explained(error, doing="read the cache", path=str(layout.root)) from error
    for identity in identities:
        for paths in _entries(layout, identity, inventory):
            try:
                inventory.entries.append(_report(paths, usage))
            except FileNotFoundError:
                continue
            except OSError as error:
                inventory.unreadable.append(_unreadable(error, paths.location))
            except CacheError as error:
                inventory.unreadable.append(error)
    return inventory


def other_sizes(
    layout: CacheLayout, inventory: Inventory, usage: DiskUsage | None = None
) -> dict[str, int]:
    """Return the bytes on the disk besides the entries, by name in the root of the cache.

    "assets" stands for its folders and for what is not an entry in them, and "." for the root.
    """
    usage = usage or DiskUsage()
    root = str(layout.root)
    sizes: dict[str, int] = {}
    for item in readable_listing(root):
        if item.name != ASSETS_FOLDER:
            sizes[item.name] = usage.measure(item.path)[0]
            continue
        folders = [item.path]
        folders += [
            identity.path
            for identity in readable_listing(item.path)
            if IDENTITY.fullmatch(identity.name) and identity.is_dir(follow_symlinks=False)
        ]
        alone = sum(_alone(usage, path) for path in folders)
        sizes[item.name] = alone + sum(usage.measure(path)[0] for path in inventory.foreign)
    sizes["."] = _alone(usage, root)
    return sizes


def _alone(usage: DiskUsage, path: str) -> int:
    """Return the bytes of a folder itself."""
    try:
        return usage.of(os.lstat(path))
    except OSError:
        return 0


def _unreadable(error: OSError, path: str) -> CacheError:
    return explained(error, doing="read an entry of the cache", path=path)


def _entries(
    layout: CacheLayout, identity: "os.DirEntry[str]", inventory: Inventory
) -> Iterator[EntryPaths]:
    if not IDENTITY.fullmatch(identity.name) or not identity.is_dir(follow_symlinks=False):
        inventory.foreign.append(identity.path)
        return
    try:
        entries = listing(identity.path)
    except OSError as error:
        inventory.unreadable.append(_unreadable(error, identity.path))
        return
    for entry in entries:
        if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
            yield EntryPaths(str(layout.root), entry.path)
        else:
            inventory.foreign.append(entry.path)


def _report(paths: EntryPaths, usage: DiskUsage) -> EntryReport:
    identity = paths.name.partition("/")[0]
    marker = read_marker(paths)
    changed_at = 0.0
    with contextlib.suppress(FileNotFoundError):
        changed_at = os.lstat(paths.at(MARKER)).st_mtime
    kept = read_key_record(paths) if marker is not None else None
    size, newest = _size(paths, usage)
    return EntryReport(
        paths=paths,
        identity=identity,
        key=kept.key if kept is not None else identity,
        entry_key=marker.key_hex if marker is not None else "",
        complete=marker is not None,
        size=size,
        changed_at=changed_at or newest,
    )


def _size(paths: EntryPaths, usage: DiskUsage) -> tuple[int, float]:
    """Return the bytes of an entry, and the last change of a file in it or a folder below it."""
    status = os.lstat(paths.location)
    total, newest = usage.of(status), status.st_mtime
    for entry in listing(paths.location):
        status = entry.stat(follow_symlinks=False)
        newest = max(newest, status.st_mtime)
        if not stat.S_ISDIR(status.st_mode):
            total += usage.of(status)
        else:
            size, below = usage.measure(entry.path)
            total, newest = total + size, max(newest, below)
    return total, newest
