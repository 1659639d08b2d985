"""Waiting for a lock of the cache, where there is no engine whose listeners would tell of it."""

from __future__ import annotations

import sys
import threading

from envy.cache.lock import FileLock
from envy.console.text import safe_line, write_line

PATIENCE = 2.0  # seconds


def wait_for(lock: FileLock) -> None:
    """Take a lock; if that lasts, say who has it.

    Raises:
        CacheError: the lock file cannot be used.
    """
    if lock.try_acquire():
        return
    timer = threading.Timer(PATIENCE, _tell, [lock])
    timer.daemon = True
    timer.start()
    try:
        lock.acquire()
    finally:
        timer.cancel()


def _tell(lock: FileLock) -> None:
    owner = lock.owner() or "another process"
    write_line(sys.stderr, safe_line(f"waiting: the lock {lock.path} is held by {owner}"))
