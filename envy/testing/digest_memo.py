"""Digests of files that hardly ever change, such as a toolchain's sources, by their status.

A file whose size, times and inode are those of the memo is not read again. Another status leads to
the content, so that a toolchain that was only touched is the same toolchain.
"""

from __future__ import annotations

import contextlib
import threading

from envy.testing.evidence import FILE, MISSING, is_settled, mark_of, value_of
from envy.testing.records import Damaged, read_sections, tree_path, write_sections

_FORMAT = "memo 1"


class DigestMemo:
    """The digests of one toolchain; `root` is the folder of tests, "" remembers nothing."""

    def __init__(self, root: str, name: str, *, settled: int) -> None:
        self._path = tree_path(root, f"memo {name}") if root else ""
        self._settled = settled  # nanoseconds: what changed since may change again unnoticed
        self._rows: dict[str, tuple[str, str]] | None = None
        self._is_new = False
        self._lock = threading.Lock()

    def digest(self, path: str) -> str:
        """Return the digest of a file."""
        with self._lock:
            if self._rows is None:
                self._rows = self._read()
            mark = mark_of(path)
            known = self._rows.get(path)
            if known is not None and known[0] == mark:
                return known[1]
            value = value_of(FILE, path, {})
            if mark != MISSING and is_settled(mark, self._settled) and mark_of(path) == mark:
                self._rows[path] = (mark, value)
                self._is_new = True
            return value

    def save(self) -> None:
        """Write what is new; a memo that cannot be written is computed again."""
        with self._lock:
            if not self._path or not self._is_new or self._rows is None:
                return
            lines = [
                f"{mark}\t{value}\t{path}"
                for path, (mark, value) in self._rows.items()
                if "\n" not in path and "\t" not in path
            ]
            with contextlib.suppress(OSError):
                write_sections(self._path, [_FORMAT, "\n".join(lines)])
            self._is_new = False

    def _read(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        try:
            sections = read_sections(self._path, 2) if self._path else None
            if sections is None or sections[0] != _FORMAT:
                return {}
            for line in sections[1].split("\n") if sections[1] else ():
                mark, value, path = line.split("\t")
                found[path] = (mark, value)
        except (Damaged, ValueError):
            return {}  # it is written again
        return found
