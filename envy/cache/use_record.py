"""Where the record of a use is, and whether it is recent: what each warm command asks.

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

FRESH = 3600.0  # seconds for which a record is not renewed
RUN, BUILD = "run", "build"


def record_path(root: str, project: str, entries: Iterable[tuple[str, str]], *, whole: bool) -> str:
    """The record of a project's use of these entries, each with what for.

    The same set has the same name, so that using it again finds its record.
    """
    # The names of entries hold nothing that JSON would have to escape.
    rows = ", ".join([f'["{name}", "{purpose}"]' for name, purpose in sorted(entries)])
    name = _short(f"[{'true' if whole else 'false'}, [{rows}]]")
    return f"{root}/{PROJECTS_FOLDER}/{_short(project)}/{name}{RECORD}"


def is_recent(record: str) -> bool:
    """Whether what this is the record of was noted within the hour."""
    try:
        recorded = os.stat(record).st_mtime
    except OSError:
        return False
    return 0 <= time.time() - recorded < FRESH


def _short(text: str) -> str:
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
