"""The path of a record of use, and whether it is recent, which every warm command asks.

`usage` writes and reads the records.
"""

from __future__ import annotations

import os
import time

from blake3 import blake3

from envy.cache.names import DIGITS, PROJECTS_FOLDER, RECORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

FRESH = 3600.0  # seconds before a record is renewed
RUN, BUILD = "run", "build"


def record_path(
    root: str, manifest: str, entries: Iterable[tuple[str, str]], *, whole: bool
) -> str:
    """Return the path of the record of a project's use of entries, given as (name, purpose).

    The same set has the same path, so using it again finds its record.
    """
    # The names of entries contain nothing that JSON would escape.
    rows = ", ".join([f'["{name}", "{purpose}"]' for name, purpose in sorted(entries)])
    name = _short(f"[{'true' if whole else 'false'}, [{rows}]]")
    return f"{records_folder(root, manifest)}/{name}{RECORD}"


def records_folder(root: str, manifest: str) -> str:
    """Return the folder of the records of a project."""
    return f"{root}/{PROJECTS_FOLDER}/{_short(manifest)}"


def is_recent(record: str) -> bool:
    """Return whether a record was written or renewed within the last hour."""
    try:
        recorded = os.stat(record).st_mtime
    except OSError:
        return False
    return 0 <= time.time() - recorded < FRESH


def _short(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
