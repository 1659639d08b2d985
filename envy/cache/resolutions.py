"""The last resolution of each unpinned source of a project: the commit of a branch, say.

There is one small file for each manifest, below `resolutions/`. The next commands that only use
what is installed take sources to be what they were; a sync asks, and falls back to this if nobody
answers. A resolution never serves another project: what one project has looked up must not decide
what another builds.

Guarantees
  A file exists as a whole, or not at all; one that is missing or damaged means that nothing is
  known. A failure to write it is ignored.
  Only digests of addresses and of packages are stored, because they may contain secrets.
"""

from __future__ import annotations

import contextlib
import enum
import json
import os
import re
from collections.abc import Iterable, Mapping

from blake3 import blake3

from envy.cache.names import DIGITS, RECORD, RECORD_PATTERN, UNFINISHED_RECORD_PATTERN
from envy.content.atomic import atomic_write

FORMAT = 1

Rows = dict[
    str, dict[str, str]
]  # by digests of package and source: what the source was resolved to


class Upstream(enum.Enum):
    """Whether a command looks unpinned sources up where they are."""

    ASKED = "asked"  # each; if nobody answers, it is what it was the last time
    REMEMBERED = "remembered"  # only one of which there is no last resolution
    LEFT_ALONE = "left alone"  # none, and nothing is fetched


class Resolutions:
    """The resolutions of one manifest; without a path, they are not stored.

    The file is read at the first call. Threads may note at any time.
    """

    def __init__(self, path: str | None = None, manifest: str = "") -> None:
        self._path = path
        self._manifest = manifest
        self._rows: Rows | None = None
        self._noted: Rows = {}

    def last(self, source: str) -> str | None:
        """Return what a source was resolved to the last time, for any package; None if unknown."""
        found = (row[source] for row in self._read().values() if source in row)
        return next(found, None)

    def note(self, package: str, source: str, found: str) -> None:
        """Record what a source of a package is in this run."""
        self._noted.setdefault(_digest(package), {})[source] = found

    def store(self, *, settled: Iterable[str], known: Iterable[str] | None) -> None:
        """Store what this run noted, beside what it did not look at.

        All sources of the packages in `settled` were noted. `known` are all packages of the
        project; None if there may be others.
        """
        before = self._read()
        if not before and not self._noted:
            return  # as in most projects
        looked_at = set(map(_digest, settled))
        if known is not None:
            looked_at.update(before.keys() - set(map(_digest, known)))
        rows: Rows = {}
        for package in sorted({*before, *self._noted}):
            old = {} if package in looked_at else before.get(package, {})
            row = {**old, **self._noted.get(package, {})}
            if row:
                rows[package] = row
        if self._path is None or rows == before:
            return
        record = {"format": FORMAT, "manifest": self._manifest, "rows": rows}
        with contextlib.suppress(OSError):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            atomic_write(self._path, json.dumps(record, sort_keys=True).encode("ascii"))
            self._rows = rows

    def _read(self) -> Rows:
        if self._rows is None:
            _manifest, self._rows = _load(self._path) if self._path is not None else ("", {})
        return self._rows


def resolutions_path(folder: str, manifest: str) -> str:
    """Return the path of a manifest's file in the folder of resolutions."""
    return os.path.join(folder, f"{_digest(manifest)}{RECORD}")


def source_name(*parts: str) -> str:
    """Return the name of a source in the record, from what is declared of it."""
    return _digest("\0".join(parts))


def manifest_of(path: str) -> str:
    """Return the manifest that a file belongs to; "" if the file is damaged."""
    manifest, _rows = _load(path)
    return manifest


def remove_lost(folder: str, *, before: float) -> None:
    """Remove files that were written before a time, and that nobody can ask for any more.

    Their manifest was removed, or they were never finished.

    Raises:
        OSError: the folder cannot be read, or a file cannot be removed.
    """
    if not os.path.isdir(folder):
        return
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        is_whole = re.fullmatch(RECORD_PATTERN, name) is not None
        if not is_whole and re.fullmatch(UNFINISHED_RECORD_PATTERN, name) is None:
            continue
        is_lost = not is_whole or not os.path.exists(manifest_of(path))
        if is_lost and os.lstat(path).st_mtime < before:
            os.unlink(path)


def _digest(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _load(path: str) -> tuple[str, Rows]:
    try:
        with open(path, "rb") as file:
            record = json.load(file)
        if record["format"] != FORMAT:
            return "", {}
        return str(record["manifest"]), {
            str(package): _texts(row) for package, row in record["rows"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return "", {}


def _texts(row: Mapping[str, object]) -> dict[str, str]:
    return {str(source): str(found) for source, found in row.items()}
