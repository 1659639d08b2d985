"""The folders in which a pattern of `envy test` looks for files of tests, as evidence of a run."""

from __future__ import annotations

import os
from pathlib import Path

from envy.testing.basis import Collector
from envy.testing.evidence import FOLDER

PASSED_OVER = frozenset({"node_modules", "testdata", "vendor"})  # and what begins with . or _


def add_pattern(rows: Collector, root: Path, pattern: str) -> None:
    """Add the folders that a pattern names: in one of them, a new file would match.

    Raises:
        Unkept: a folder cannot be evidence; OSError: one cannot be read.
    """
    if not (pattern == "..." or pattern.endswith("/...")):
        named = Path(os.path.normpath(root / pattern))
        rows.add(FOLDER, str(named if named.is_dir() else named.parent))
        return
    stack = [os.path.normpath(root / pattern[:-3])]
    while stack:
        folder = stack.pop()
        rows.add(FOLDER, folder)
        with os.scandir(folder) as entries:
            stack += [
                entry.path
                for entry in entries
                if entry.name[0] not in "._"
                and entry.name not in PASSED_OVER
                and entry.is_dir(follow_symlinks=False)
            ]
