"""Circles of waits between processes: a script runs envy, and that needs what the script makes.

Every program that works under a lock has the lock's mark in its environment, and so has everything
that it starts. A lock is thus given up no earlier than the waits of all processes with its mark
have ended. Each process that is about to wait looks whether its own mark is behind what it waits
for, and before it looks, it makes its wait visible: it has the lock file open without owning it.
So the wait that closes a circle finds it, whichever process that is.

Where the environment and the open files of processes cannot be read, as on macOS, only a lock that
this process itself works under is found.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping

from envy.cache.lock import MARK, FileLock, mark_of_owner
from envy.cache.names import LOCK
from envy.host.process_table import marked, open_files


def inherited_marks(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the marks of the locks that this process works under, for what it starts itself."""
    return {name: mark for name, mark in environment.items() if name.startswith(f"{MARK}_")}


@contextlib.contextmanager
def visible_wait(lock: FileLock) -> Iterator[None]:
    """Let other processes see inside the block that this one waits for a lock."""
    try:
        descriptor = os.open(lock.path, os.O_RDONLY)
    except OSError:  # removed meanwhile, so it is free
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


def find_circle(lock: FileLock, environment: Mapping[str, str]) -> list[str]:
    """Return the paths of locks, each of which waits for the next, from `lock` to one of ours.

    Empty if a wait for `lock` will end. Call it inside of `visible_wait`.
    """
    own = inherited_marks(environment)
    chains = [[lock.path]] if own else []
    seen = {lock.path}
    for chain in chains:
        mark = mark_of_owner(chain[-1])
        if mark is None:
            continue
        if own.get(mark[0]) == mark[1]:
            return chain
        for path in sorted(_waited_for("=".join(mark).encode("ascii")) - seen):
            seen.add(path)
            chains.append([*chain, path])
    return []


def package_of(path: str) -> str:
    """Return the identity in the name of a lock file, or the name that is locked."""
    name, _, rest = os.path.basename(path).removesuffix(LOCK).rpartition("-")
    return name if "@" in name else f"{name}-{rest}".removeprefix("-")


def _waited_for(mark: bytes) -> set[str]:
    """Return the locks that processes with this mark have open and do not own."""
    return {
        path
        for pid in marked(mark)
        for path in open_files(pid)
        if path.endswith(LOCK) and (owner := FileLock(path).owner()) and owner.pid != pid
    }
