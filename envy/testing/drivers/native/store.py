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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from blake3 import blake3

from envy.content.atomic import atomic_write
from envy.content.json_text import parse_json
from envy.errors import EnvyError
from envy.testing.drivers.go_build import BinaryStore

RECORD = "record.json"
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
        self._known: dict[str, tuple[tuple[int, int, int], str]] = {}
        self._listed: dict[str, list[str]] = {}

    def of(self, path: str, *, fresh: bool = False) -> str:
        """Return the digest of a file, "" if it cannot be read.

        `fresh` compares the file's status with that at the time of reading.
        """
        known = self._known.get(path)
        if known is not None and (not fresh or known[0] == _status(path)):
            return known[1]
        status = _status(path)
        try:
            with open(path, "rb") as file:  # noqa: PTH123  many small files
                digest = str(blake3(file.read()).hexdigest(length=16))
        except OSError:
            digest = ""
        self._known[path] = (status, digest)
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

    def unchanged_since(self, path: str, moment_ns: int) -> bool:
        """Return whether a file was last written before a moment, by the clock of files."""
        known = self._known.get(path)
        return known is not None and known[0][1] < moment_ns and known[0] == _status(path)


def _status(path: str) -> tuple[int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (-1, -1, -1)
    return (status.st_size, status.st_mtime_ns, status.st_ino)


def key_of(*parts: str | Sequence[str]) -> str:
    """Return the key of texts and lists of texts."""
    return str(blake3(json.dumps(parts).encode()).hexdigest(length=16))
