"""The programs of a run of tests, recorded so that the next run ends what a killed one left.

Each run holds a lock of its own, in which its process groups are recorded as those of scripts are.
Runs do not wait for each other.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from envy.cache.lock import FileLock
from envy.cache.names import LOCK
from envy.errors import CacheError
from envy.host.children import Children
from envy.host.process_table import process_start_time


@contextlib.contextmanager
def recorded_children(folder: Path, children: Children) -> Iterator[Children]:
    """Provide a registry that records its programs in `folder`; end those of dead runs first.

    Where no lock can be taken, nothing is recorded.

    Raises:
        CacheError: there is no permission to end a program of a dead run.
    """
    _end_orphans(folder)
    lock = FileLock(folder / f"{os.getpid()}-{time.monotonic_ns()}{LOCK}")
    try:
        lock.acquire()
    except (CacheError, OSError):
        yield children
        return

    def record(group: int) -> None:
        lock.record_group(group, process_start_time(group))

    try:
        yield children.hooked(on_start=record, on_end=lock.forget_group)
    finally:
        lock.remove()


def _end_orphans(folder: Path) -> None:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208
    except OSError:
        return
    for name in names:
        if name.endswith(LOCK):
            lock = FileLock(folder / name)
            # A run that has just created its file starts over with another when this is removed.
            if lock.try_acquire():
                lock.remove()
