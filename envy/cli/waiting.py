"""Waiting for a lock of the cache in commands that have no engine to report the wait."""

from __future__ import annotations

import sys
import threading

from envy.cache.lock import FileLock
from envy.console.text import safe_line, write_line

PATIENCE = 2.0  # seconds


def wait_for(lock: FileLock) -> None:
    """Acquire a lock; if that takes long, print which process holds it.

    Raises:
        CacheError: the lock file cannot be used.
    """
    if lock.try_acquire():
        return
    timer = threading.Timer(PATIENCE, _report, [lock])
    timer.daemon = True
    timer.start()
    try:
        lock.acquire()
    finally:
        timer.cancel()


def _report(lock: FileLock) -> None:
    owner = lock.owner() or "another process"
    write_line(sys.stderr, safe_line(f"waiting: the lock {lock.path} is held by {owner}"))
