"""Garbage collection of what nobody needs a report about.

These are lock files with nothing to lock, empty folders, and unfinished or lost records.

Guarantees
  Only files that were not used for a day are removed. A file that cannot be removed stays.
  A lock file is removed only while its lock is held, and only by `FileLock.remove`.
"""

import contextlib
import os
import re

from envy.cache.layout import CacheLayout
from envy.cache.leftovers import keys_below, named_below
from envy.cache.lock import FileLock
from envy.cache.names import (
    EXCLUSIVE_FOLDER,
    EXCLUSIVE_LOCK_PATTERN,
    LOCK_PATTERN,
    PROJECT_PATTERN,
    UNFINISHED_RECORD_PATTERN,
    lock_file,
)
from envy.cache.resolutions import remove_lost
from envy.cache.run_once import tidy_run_once
from envy.cache.usage import DAY
from envy.errors import CacheError

_HALF_RECORD = re.compile(UNFINISHED_RECORD_PATTERN)
_PROJECT = re.compile(PROJECT_PATTERN)
_LOCK = re.compile(LOCK_PATTERN, re.ASCII)
_EXCLUSIVE = re.compile(EXCLUSIVE_LOCK_PATTERN)


def tidy(layout: CacheLayout, *, now: float) -> int:
    """Remove lock files with nothing to lock, and empty folders; return the number of lock files.

    Only files that were not used for a day are removed. A file that cannot be removed stays.

    Raises:
        CacheError: the cache cannot be read.
    """
    with contextlib.suppress(OSError, CacheError):
        _tidy_projects(layout, now=now)
    with contextlib.suppress(OSError, CacheError):
        remove_lost(str(layout.resolutions_root), before=now - DAY)
    tidy_run_once(layout, now=now)
    kept = {
        *keys_below(str(layout.assets_root)),
        *keys_below(str(layout.recipes_root)),
    }
    names = {lock_file(identity, key) for identity, key in kept}
    removed = 0
    exclusive = layout.locks_root / EXCLUSIVE_FOLDER
    for folder, pattern in ((layout.locks_root, _LOCK), (exclusive, _EXCLUSIVE)):
        for path in named_below(str(folder), pattern):
            if os.path.basename(path) not in names:
                with contextlib.suppress(OSError, CacheError):
                    removed += _remove_lock(path, now=now)
    return removed


def _remove_lock(path: str, *, now: float) -> bool:
    # Acquiring and releasing a lock write to its file, so its time is that of the last use.
    if now - os.lstat(path).st_mtime < DAY:
        return False
    lock = FileLock(path)
    if not lock.try_acquire():
        return False
    lock.remove()
    return True


def _tidy_projects(layout: CacheLayout, *, now: float) -> None:
    for folder in named_below(str(layout.projects_root), _PROJECT):
        for path in named_below(folder, _HALF_RECORD):
            if now - os.lstat(path).st_mtime > DAY:
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # only if it is empty
