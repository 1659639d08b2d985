"""Locks between processes and threads, as files; and the end of what a dead owner left running.

Guarantees
  At most one FileLock of a path is held, in whatever thread of whatever process.
  A lock ends with its process, however that ended; a child that was being started then does not
  keep it.
  The lock file is removed by its holder alone, before it lets go, if at all. A waiter on the
  removed file and a newcomer on a new one do not both hold "the" lock: that takes the lock of the
  file that has the name, which whoever acquires looks for once the lock is granted, and starts over
  if the name is gone or another file's. So it is, too, should anybody else remove the file.
  An owner writes who it is and which process groups it runs, and empties the file before it lets
  go. A record that is found on acquiring is therefore that of an owner who died; groups in it that
  are still the same have ended, to the last process, before acquiring returns.
  So has whatever else carries the owner's mark in its environment: a child works before its owner
  gets to write its group down, and the owner may die in between.
Lock order: an entry lock is outermost. `_changing` is held for one small write and nothing else.

`flock`, not `fcntl` record locks: those belong to the process, so that two threads would both have
them, and vanish when any descriptor of the file is closed.
"""

import contextlib
import errno
import fcntl
import functools
import json
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.errors import CacheError, Cancelled, InternalError
from envy.host.process_table import kill_marked, process_start_time, wait_for_group
from envy.interpreter import released

_RECORD_LIMIT = 1 << 20
_COMMAND_LIMIT = 500
MARK = "ENVY_ATTEMPT"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOwner:
    """Who holds a lock, for whoever waits for it."""

    pid: int
    start_time: str
    command: str
    since: float  # seconds since the epoch
    groups: Mapping[int, str] = field(default_factory=dict)  # process group -> start of its leader

    def __str__(self) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} since {moment} ({self.command})"


class FileLock:
    """One lock; not reentrant. It has a descriptor only while it is held or being acquired."""

    __slots__ = ("_changing", "_descriptor", "_groups", "_since", "_size", "path")

    def __init__(self, path: str | Path) -> None:
        self.path = os.fspath(path)
        self._descriptor: int | None = None
        self._groups: dict[int, str] = {}
        self._since = 0.0
        self._size = 0  # of the record, in bytes
        self._changing = threading.Lock()

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Take the lock if nobody has it.

        Raises:
            CacheError: the lock file cannot be used, or what its dead owner runs cannot be ended.
        """
        return self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def acquire(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Wait for the lock, without the interpreter slot.

        A thread that waits here cannot be woken; it is left behind when the run is cancelled,
        because the process ends then. Should it get the lock after all, it lets go again.

        Raises:
            Cancelled: the run was cancelled meanwhile.
            CacheError: as try_acquire.
        """
        if self.try_acquire():
            return
        if not cancelled():
            with released():
                self._acquire(fcntl.LOCK_EX)
            if not cancelled():
                return
            self.release()
        raise Cancelled(f"gave up waiting for {self.path}")

    def release(self) -> None:
        """Let go, if it is held. The file stays, empty."""
        with self._changing:
            descriptor, self._descriptor = self._descriptor, None
            self._groups = {}
        if descriptor is None:
            return
        try:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            # Closing alone would not do: a child that is just being started has a copy until it
            # executes its program.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Let go and take the file away, which nobody is likely to want again.

        Whoever waits for it starts over on a new file. The name goes before the lock: the other way
        round, it could be that of somebody who holds the lock by then.
        """
        if self.is_locked:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.release()

    def mark(self) -> dict[str, str]:
        """The variable for what works under this lock, by which it is found should its owner die.

        Each lock has a name of its own for it: programs may work under several.
        """
        return {_mark_name(self.path): _mark_of(_this_process())}

    def owner(self) -> LockOwner | None:
        """Who holds the lock, or held it when it died; None if nobody does."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
        except OSError:
            return None
        try:
            return _read_record(descriptor)
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def record_group(self, group: int, start_time: str | None) -> None:
        """Note a process group that works under this lock; None is one that ended already."""
        if start_time is not None:
            with self._changing:
                self._groups[group] = start_time
                self._write_record()

    def forget_group(self, group: int) -> None:
        """Note that a process group has ended."""
        with self._changing:
            if self._groups.pop(group, None) is not None:
                self._write_record()

    def _acquire(self, how: int) -> bool:
        if self._descriptor is not None:
            raise InternalError(f"the lock {self.path} is held already")
        try:
            while True:
                descriptor = _open(self.path)
                try:
                    if not _lock(descriptor, how):
                        os.close(descriptor)
                        return False
                    here = os.fstat(descriptor)
                    if _is_file_at(here, self.path):
                        self._take_over(descriptor, here.st_size)
                        return True
                except BaseException:
                    os.close(descriptor)
                    raise
                os.close(descriptor)
        except OSError as error:
            failure = explained(error, doing="take a lock in the cache", path=self.path)
            if error.errno in _NO_LOCKS:
                failure.hint = "its file system has no locks; name another cache with --cache-root"
            raise failure from error

    def _take_over(self, descriptor: int, size: int) -> None:
        previous = _read_record(descriptor) if size else None
        if previous is not None:
            end_orphans(previous.groups, path=self.path)
            mark = _mark_of({"pid": previous.pid, "start_time": previous.start_time})
            with released():
                kill_marked(f"{_mark_name(self.path)}={mark}".encode("ascii"))
        with self._changing:
            self._groups = {}
            self._since = time.time()
            self._descriptor = descriptor
            self._size = size
            try:
                self._write_record()
            except BaseException:
                self._descriptor = None
                raise

    def _write_record(self) -> None:
        if self._descriptor is None:
            return
        groups = json.dumps(self._groups) if self._groups else "{}"
        row = f'{{{_owner_fields()}, "since": {self._since!r}, "groups": {groups}}}\n'
        data = row.encode("ascii")
        try:
            # Over what is there, then cut: a process that dies in between leaves its record whole.
            os.pwrite(self._descriptor, data, 0)
            if self._size > len(data):
                os.ftruncate(self._descriptor, len(data))
            self._size = len(data)
        except OSError as error:
            raise explained(error, doing="write to a lock file", path=self.path) from error


def _mark_name(path: str) -> str:
    return f"{MARK}_{blake3(os.fsencode(path)).hexdigest()[:16]}"


def _mark_of(process: Mapping[str, object]) -> str:
    return f"{process['pid']}:{process['start_time']}"


def _open(path: str) -> int:
    while True:
        try:
            # No link is followed: the file that has the name is what everybody locks.
            return os.open(path, os.O_RDWR | os.O_CREAT | _NO_FOLLOW, 0o666)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), exist_ok=True)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        return False
    return True


def _is_file_at(here: os.stat_result, path: str) -> bool:
    """Whether the locked file is the one that has the name, which a newcomer would lock."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(there.st_mode):
        raise FileExistsError(errno.EEXIST, "is no file", path)
    return os.path.samestat(here, there)


@functools.cache
def _this_process() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "start_time": process_start_time(os.getpid()) or "",
        "command": " ".join(sys.argv)[:_COMMAND_LIMIT],
    }


@functools.cache
def _owner_fields() -> str:
    """The same as the first fields of a record: thousands of locks are taken by one process."""
    return json.dumps(_this_process())[1:-1]


os.register_at_fork(after_in_child=_this_process.cache_clear)
os.register_at_fork(after_in_child=_owner_fields.cache_clear)


def _read_record(descriptor: int) -> LockOwner | None:
    data = os.pread(descriptor, _RECORD_LIMIT, 0)
    try:
        row = json.loads(data.partition(b"\n")[0])
        return LockOwner(
            pid=int(row["pid"]),
            start_time=str(row["start_time"]),
            command=str(row["command"]),
            since=float(row["since"]),
            groups={int(group): str(start) for group, start in row["groups"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def end_orphans(groups: Mapping[int, str], *, path: str) -> None:
    """Kill those groups whose leader is still the same process, and wait until they have ended.

    Raises:
        CacheError: one may not be killed.
    """
    for group, start_time in groups.items():
        if group in {0, 1, os.getpgrp()} or process_start_time(group) != start_time:
            continue  # it ended, or the number is another process's now
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue
        except PermissionError as error:
            raise CacheError(
                f"process group {group}, left by an envy that died, still works under the lock "
                f"{path} and may not be ended",
                path=Path(path),
                hint=f"end it as the user it belongs to: kill -KILL -- -{group}",
            ) from error
        # The kill reached every member at once, and none of them can start another any more.
        with released():
            wait_for_group(group)
