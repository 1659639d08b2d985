"""Folders for what a command needs for a moment, outside of the cache.

A command that is cancelled may exit while a thread still waits for a server: whoever ends the
process calls `remove_scratch`, so that nothing stays in the folder for temporary files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

_present: set[str] = set()


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Make a folder that only this user may enter; it is removed afterwards.

    Raises:
        OSError: it cannot be made.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix=f"envy-{purpose}-", ignore_cleanup_errors=True) as name:
        _present.add(name)
        try:
            yield Path(name)
        finally:
            _present.discard(name)


def remove_scratch() -> None:
    """Remove the folders that are in use, before the process exits; a failure is ignored."""
    import shutil

    for name in tuple(_present):
        shutil.rmtree(name, ignore_errors=True)
