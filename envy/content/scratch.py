"""Folders for what a command needs for a moment, outside of the cache.

A command that is cancelled may exit while a thread still waits for a server: whoever ends the
process calls `remove_scratch`, so that nothing stays in the folder for temporary files.

Guarantees
  What a killed process left is removed by a later one of this user, at least an hour later. A
  folder in use is locked, and stays.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "envy-scratch-"
_NAME = re.compile(rf"{_PREFIX}.+-[a-z0-9_]{{8}}")
_YOUNG = 3600  # seconds, in which nobody removes a folder that is perhaps not locked yet
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_present: set[str] = set()
_swept: set[str] = set()  # the folders for temporary files in which this process has looked


@contextlib.contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """Make a folder that only this user may enter; it is removed afterwards.

    Raises:
        OSError: it cannot be made.
    """
    import tempfile

    above = tempfile.gettempdir()
    if above not in _swept:
        _swept.add(above)
        remove_abandoned(above)
    with tempfile.TemporaryDirectory(
        prefix=f"{_PREFIX}{purpose}-", dir=above, ignore_cleanup_errors=True
    ) as name:
        _present.add(name)
        descriptor = os.open(name, _OPEN)
        try:
            _is_locked(descriptor)
            yield Path(name)
        finally:
            os.close(descriptor)
            _present.discard(name)


def remove_scratch() -> None:
    """Remove the folders that are in use, before the process exits; a failure is ignored."""
    for name in tuple(_present):
        _remove(name)


def remove_abandoned(above: str) -> None:
    """Remove what killed processes of this user left in a folder; a failure is ignored."""
    before = time.time() - _YOUNG
    with contextlib.suppress(OSError), os.scandir(above) as rows:
        for row in rows:
            if not _NAME.fullmatch(row.name):
                continue
            with contextlib.suppress(OSError):
                status = row.stat(follow_symlinks=False)
                if status.st_uid == os.geteuid() and status.st_mtime < before:
                    _remove_unless_in_use(row.path)


def _remove_unless_in_use(path: str) -> None:
    descriptor = os.open(path, _OPEN)
    try:
        if _is_locked(descriptor):
            _remove(path)
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    """Lock a folder until the descriptor is closed; return whether that was possible."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # another process has it, or the file system has no locks
        return False
    return True


def _remove(path: str) -> None:
    import shutil

    for folder, _, _ in os.walk(path):
        with contextlib.suppress(OSError):
            Path(folder).chmod(0o700)  # an unpacked package cannot be written
    shutil.rmtree(path, ignore_errors=True)
