"""What earlier builds of native tests left in the cache, addressed by content.

Guarantees
  What is kept is complete: it is written elsewhere and its folder is renamed into place.
  A record is replaced by a rename, and a damaged one counts as missing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.errors import EnvyError
from envy.testing.drivers.go_build import BinaryStore

RECORD = "record.json"
_TICK = 20_000_000  # ns; the clock of files may be that much behind
HEADER_SUFFIXES = (".h", ".hh", ".hpp", ".hxx", ".inc", ".def")


class NativeStore:
    """The bitcode, executables and records of native packages, by key."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._binaries = BinaryStore(root)
        self.build_dir = self._binaries.build_dir
        self.prune = self._binaries.prune
        self.clean = self._binaries.clean

    def find(self, key: str, name: str) -> Path | None:
        """Return a kept file, and mark its folder as used; None if there is none, or it is empty.

        A file is empty when the machine stopped before its content reached the disk.
        """
        path = self._folder(key) / name
        try:
            if not path.stat().st_size:
                return None
            os.utime(path.parent)
        except OSError:
            return None
        return path

    def keep(self, key: str, files: Mapping[str, Path]) -> None:
        """Move finished files into the store; keep those of a process that was faster."""
        first = next(iter(files.values()))
        staging = first.parent / f"keep-{key}-{first.name}"
        folder = self._folder(key)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            staging.mkdir()
            for name, path in files.items():
                path.rename(staging / name)
            if not self._has(key, {name: staging / name for name in files}):
                shutil.rmtree(folder, ignore_errors=True)  # truncated by a full disk or a crash
            with contextlib.suppress(OSError):
                staging.rename(folder)
        except OSError as error:
            raise EnvyError(
                f"cannot keep the test binary in {folder}: {error.strerror}",
                hint="choose another cache with --cache-root",
            ) from error

    def _has(self, key: str, files: Mapping[str, Path]) -> bool:
        """Return whether files are kept in the size of these."""
        for name, path in files.items():
            kept = self.find(key, name)
            if kept is None or kept.stat().st_size != path.stat().st_size:
                return False
        return True

    def read_record(self, key: str) -> dict[str, Any]:
        """Return the record of a package's last build; empty if there is none."""
        try:
            record = parse_json((self._folder(key) / RECORD).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    def write_record(self, key: str, record: Mapping[str, Any]) -> None:
        """Replace the record of a package."""
        folder = self._folder(key)
        with contextlib.suppress(OSError):  # without a record, the next run builds again
            folder.mkdir(parents=True, exist_ok=True)
            atomic_write(str(folder / RECORD), json.dumps(record).encode("utf-8"))
            os.utime(folder)

    def _folder(self, key: str) -> Path:
        return self.root / key[:2] / key


class Digests:
    """The digests of files by content, each read at most once unless the file changes."""

    def __init__(self) -> None:
        self._known: dict[str, _Reading] = {}
        self._listed: dict[str, list[str]] = {}

    def of(self, path: str, *, fresh: bool = False) -> str:
        """Return the digest of a file, "" if it cannot be read.

        `fresh` compares the file's status with that at the time of reading.
        """
        known = self._known.get(path)
        if known is not None and (not fresh or known.status == _status(path)):
            return known.digest
        now, status = time.time_ns(), _status(path)
        digest = _content(path)
        self._known[path] = _Reading(status, digest, now)
        return digest

    def headers_in(self, folder: str) -> list[str]:
        """Return the names of headers in a folder, sorted, as they were when first asked for."""
        names = self._listed.get(folder)
        if names is None:
            try:
                found = os.listdir(folder)  # noqa: PTH208
            except OSError:
                found = []
            names = sorted(name for name in found if name.endswith(HEADER_SUFFIXES))
            self._listed[folder] = names
        return names

    def is_settled(self, path: str, since: int) -> bool:
        """Return whether a file has the content that it had at a moment in the past.

        It has if it was written some time before, or if its content was the same before.
        """
        known = self._known.get(path)
        if known is None or known.status != _status(path):
            return False
        if known.status[1] < since - _TICK:
            return True
        return known.taken < since and _content(path) == known.digest


class _Reading(NamedTuple):
    status: tuple[int, int, int]
    digest: str
    taken: int  # in nanoseconds


def _content(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123  many small files
            return str(blake3(file.read()).hexdigest(length=16))
    except OSError:
        return ""


def _status(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (-1, -1, -1)
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def key_of(*parts: str | Sequence[str]) -> str:
    """Return the key of texts and lists of texts."""
    return str(blake3(json.dumps(parts).encode()).hexdigest(length=16))
