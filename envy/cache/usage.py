"""Records of use: which entries the syncs of each project used, and when. gc decides by them.

A project is a manifest. There is one small file for each set of entries that a project used
together. Its modification time is the time of the last use, so a repeated use at most sets a new
time.

Guarantees
  A record exists as a whole, or not at all.
  A failure to record never fails a command: a cache that cannot be written to can still be used.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envy.cache.filesystem import explained
from envy.cache.layout import CacheLayout
from envy.cache.names import RECORD
from envy.cache.run_once import is_run_once
from envy.cache.use_record import BUILD, FRESH, RUN, is_recent, record_path
from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.content.plain_file import read_plain
from envy.declarations.manifest_search import MANIFEST_NAME
from envy.limits import CACHE_FILE

__all__ = [
    "BUILD",
    "FRESH",
    "RUN",
    "RecordedUse",
    "UseSet",
    "Uses",
    "is_fresh",
    "read_uses",
    "record_use",
]

FORMAT = 1
DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class UseSet:
    """The entries that a project used together, by name, each with its purpose."""

    manifest: str
    whole: bool  # includes everything that the project's manifest lists
    entries: Mapping[str, str]

    @property
    def project(self) -> str:
        """The name of the project: see `project_of`."""
        return project_of(self.manifest)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedUse:
    """One recorded use of an entry: the project, the purpose and the last time."""

    project: str
    purpose: str
    at: float
    current: bool  # used by the last whole sync of a project whose manifest exists
    holds: bool = False  # that sync needs it to run, so it stays whatever its age


@dataclass(slots=True)
class Uses:
    """All recorded uses, by entry name."""

    by_entry: dict[str, list[RecordedUse]] = field(default_factory=dict)
    files: dict[str, float] = field(default_factory=dict)  # record files with their times
    kept: set[str] = field(default_factory=set)  # record files that define what is current
    manifests: dict[str, str] = field(default_factory=dict)  # manifest of each record file
    projects: set[str] = field(default_factory=set)


def is_fresh(layout: CacheLayout, used: UseSet) -> bool:
    """Return whether this same use was recorded within the last hour."""
    return is_recent(_path_of(layout, used))


def record_use(layout: CacheLayout, used: UseSet) -> None:
    """Record that these entries are used now."""
    path = _path_of(layout, used)
    with contextlib.suppress(OSError):
        try:
            os.utime(path)
        except FileNotFoundError:
            row = {
                "format": FORMAT,
                "manifest": used.manifest,
                "whole": used.whole,
                "entries": dict(used.entries),
            }
            _write_whole(path, json.dumps(row))


def _write_whole(path: str, text: str) -> None:
    while True:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            return atomic_write(path, text.encode("ascii"))
        except FileNotFoundError:
            continue  # gc removed the folder while it was empty


def read_uses(layout: CacheLayout) -> Uses:
    """Read all records; damaged ones are ignored.

    Raises:
        CacheError: a record cannot be read: the entries it names must not seem unused.
    """
    uses = Uses()
    for folder in _names(str(layout.projects_root)):
        directory = os.path.join(layout.projects_root, folder)
        found = [
            (path, at, used)
            for path, at in _records_in(directory)
            if (used := _read(path)) is not None
        ]
        newest = max((row for row in found if row[2].whole), key=lambda row: row[1], default=None)
        for path, at, used in found:
            uses.files[path] = at
            uses.manifests[path] = used.manifest
            uses.projects.add(used.project)
            # Without a whole sync, every record may be current.
            current = (newest is None or path == newest[0]) and _exists(used.manifest)
            current = current and not is_run_once(str(layout.root), used.manifest)
            if current:
                uses.kept.add(path)
            for name, purpose in used.entries.items():
                use = RecordedUse(
                    project=used.project,
                    purpose=purpose,
                    at=at,
                    current=current,
                    holds=current and used.whole and purpose == RUN,
                )
                uses.by_entry.setdefault(name, []).append(use)
    return uses


def forget_project(layout: CacheLayout, project: str) -> tuple[set[str], int]:
    """Remove the records of a project; return its manifests, and how many records it had.

    Raises:
        CacheError: a record cannot be read or removed.
    """
    manifests: set[str] = set()
    removed = 0
    for path, manifest in read_uses(layout).manifests.items():
        if project_of(manifest) == project:
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise explained(error, doing="remove a record of use", path=path) from error
            manifests.add(manifest)
            removed += 1
    return manifests, removed


def project_of(manifest: str) -> str:
    """Return the folder of a manifest, or the manifest itself if it has a name of its own."""
    folder, name = os.path.split(manifest)
    return folder if name == MANIFEST_NAME else manifest


def used_since(layout: CacheLayout, known: Uses) -> set[str]:
    """Return the entries in records that changed since `known` was read.

    Raises:
        CacheError: a record cannot be read.
    """
    names: set[str] = set()
    for folder in _names(str(layout.projects_root)):
        for path, at in _records_in(os.path.join(layout.projects_root, folder)):
            if known.files.get(path) != at and (used := _read(path)) is not None:
                names.update(used.entries)
    return names


def _path_of(layout: CacheLayout, used: UseSet) -> str:
    return record_path(str(layout.root), used.manifest, used.entries.items(), whole=used.whole)


def _exists(manifest: str) -> bool:
    try:
        os.stat(manifest)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # another user's project, perhaps
    return True


def _names(directory: str) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise explained(error, doing="read a record of use", path=directory) from error


def _records_in(directory: str) -> Iterable[tuple[str, float]]:
    for name in _names(directory):
        path = os.path.join(directory, name)
        if name.endswith(RECORD):
            try:
                yield path, os.stat(path).st_mtime
            except FileNotFoundError:
                continue
            except OSError as error:
                raise explained(error, doing="read a record of use", path=path) from error


def _read(path: str) -> UseSet | None:
    try:
        row = parse_json(read_plain(path, CACHE_FILE))
        if row["format"] != FORMAT:
            return None
        entries = {str(name): str(purpose) for name, purpose in row["entries"].items()}
        # An earlier envy recorded the folder of the manifest.
        manifest = row.get("manifest") or os.path.join(row["project"], MANIFEST_NAME)
        return UseSet(manifest=str(manifest), whole=bool(row["whole"]), entries=entries)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explained(error, doing="read a record of use", path=path) from error
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
