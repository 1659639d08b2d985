"""File locks between processes and threads, and cleanup of the processes of a dead owner.

Guarantees
  At most one FileLock of a path is locked at any time, across all threads of all processes.
  A lock ends with its process, however the process ends. A child that is just being started does
  not keep the lock.
  Only the holder of a lock removes its file, and does so before it releases the lock. A process
  that waits for the removed file and a process that creates a new file never both hold the lock:
  after `flock` succeeds, `acquire` checks that the path still names the locked file, and otherwise
  starts over. This also holds if another program removes the file.
  The owner writes its identity and the process groups that it runs into the file, and empties the
  file before it releases the lock. A record that is found while acquiring thus belongs to an owner
  that died. Before `acquire` returns, every process of the recorded groups has ended, except where
  the number of a group was reused.
  Every other process that has the owner's mark in its environment has ended, too: a child runs
  before its owner records its group, and the owner may die in between.
Lock order: an entry lock is outermost. `_changing` is held for one small write and nothing else.

The locks use `flock`, not `fcntl` record locks. Those belong to the process, so two threads could
hold the same lock, and they end when any descriptor of the file is closed.
"""

import contextlib
import errno
import fcntl
import functools
import json
import os
import re
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
from envy.content.json_text import parse_json
from envy.errors import CacheError, Cancelled, InternalError
from envy.host.process_table import kill_marked, process_start_time, wait_for_group
from envy.interpreter import released

_RECORD_LIMIT = 1 << 20
_COMMAND_LIMIT = 500
_OPTIONS = re.compile(r"\{.*?(\}|$)")
MARK = "ENVY_ATTEMPT"
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@dataclass(frozen=True, slots=True, kw_only=True)
class LockOwner:
    """The process that holds a lock, as its record describes it."""

    pid: int
    start_time: str
    command: str
    since: float  # seconds since the epoch
    groups: Mapping[int, str] = field(default_factory=dict)  # process group -> start of its leader
    is_taking: bool = False  # it takes the entry from elsewhere, and builds nothing

    def __str__(self) -> str:
        moment = time.strftime("%H:%M:%S", time.localtime(self.since))
        return f"process {self.pid} since {moment} ({self.command})"


class FileLock:
    """A lock on a path; not reentrant. It has a descriptor only while locked or being acquired."""

    __slots__ = (
        "_changing", "_descriptor", "_groups", "_mark", "_since", "_size", "_takes", "path",
    )  # fmt: skip

    def __init__(self, path: str | Path, *, takes: bool = False) -> None:
        """`takes`: the lock is for taking an entry from elsewhere, and others may wait for that."""
        self.path = os.fspath(path)
        self._takes = takes
        self._descriptor: int | None = None
        self._groups: dict[int, str] = {}
        self._mark = ""  # the name of the variable that marks processes
        self._since = 0.0
        self._size = 0  # of the record, in bytes
        self._changing = threading.Lock()

    @property
    def is_locked(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def try_acquire(self) -> bool:
        """Acquire the lock if it is free; return whether it was.

        Raises:
            CacheError: the lock file cannot be used, or a process of a dead owner cannot be ended.
        """
        return self._acquire(fcntl.LOCK_EX | fcntl.LOCK_NB)

    def acquire(self, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Acquire the lock, waiting for it without the interpreter slot.

        A waiting thread cannot be woken. When the run is cancelled it stays behind until the
        process ends; if it does get the lock, it releases it again.

        Raises:
            Cancelled: the run was cancelled while waiting.
            CacheError: as for try_acquire.
        """
        if self.try_acquire():
            return
        if not cancelled():
            with released():
                self._acquire(fcntl.LOCK_EX)
            if not cancelled():
                return
            self.release()
        raise Cancelled(f"stopped waiting for {self.path}")

    def release(self) -> None:
        """Release the lock if this object holds it. The file stays, empty."""
        with self._changing:
            descriptor, self._descriptor = self._descriptor, None
            self._groups = {}
        if descriptor is None:
            return
        try:
            with contextlib.suppress(OSError):
                os.ftruncate(descriptor, 0)
            # Closing is not enough: a child that is just being started has a copy of the descriptor
            # until it executes its program.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Remove the file and release the lock, if this object holds it.

        Waiting processes start over with a new file. The file is removed before the release: after
        it, the file could already be the one that another process holds.
        """
        if self.is_locked:
            with contextlib.suppress(OSError):
                os.unlink(self.path)
            self.release()

    def mark(self) -> dict[str, str]:
        """Return the environment variable that marks the processes working under this lock.

        If the owner dies, they are found by it. Each lock has its own variable, since a process can
        work under several locks.
        """
        return {self._mark: _mark_of(_this_process())} if self._mark else {}

    def owner(self) -> LockOwner | None:
        """Return the process that holds the lock, or held it when it died; None if it is free."""
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
        """Record a process group that works under this lock; without a start time, it has ended."""
        if start_time is not None:
            with self._changing:
                self._groups[group] = start_time
                self._write_record()

    def forget_group(self, group: int) -> None:
        """Remove a process group that has ended from the record."""
        with self._changing:
            if self._groups.pop(group, None) is not None:
                self._write_record()

    def _acquire(self, how: int) -> bool:
        if self._descriptor is not None:
            raise InternalError(f"the lock {self.path} is already held")
        try:
            while True:
                descriptor = _open(self.path)
                try:
                    if not _lock(descriptor, how):
                        os.close(descriptor)
                        return False
                    here = os.fstat(descriptor)
                    if _is_file_at(here, self.path):
                        self._take_over(descriptor, here)
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

    def _take_over(self, descriptor: int, here: os.stat_result) -> None:
        name = _mark_name(here)
        previous = _read_record(descriptor) if here.st_size else None
        if previous is not None:
            end_orphans(previous.groups, path=self.path)
            mark = _mark_of({"pid": previous.pid, "start_time": previous.start_time})
            with released():
                kill_marked(f"{name}={mark}".encode("ascii"))
        with self._changing:
            self._groups = {}
            self._since = time.time()
            self._descriptor = descriptor
            self._mark = name
            self._size = here.st_size
            try:
                self._write_record()
            except BaseException:
                self._descriptor = None
                raise

    def _write_record(self) -> None:
        if self._descriptor is None:
            return
        groups = json.dumps(self._groups) if self._groups else "{}"
        takes = ', "takes": true' if self._takes else ""
        row = f'{{{_owner_fields()}, "since": {self._since!r}, "groups": {groups}{takes}}}\n'
        data = row.encode("ascii")
        try:
            # Overwrite, then truncate: a process that dies in between leaves a complete record.
            os.pwrite(self._descriptor, data, 0)
            if self._size > len(data):
                os.ftruncate(self._descriptor, len(data))
            self._size = len(data)
        except OSError as error:
            raise explained(error, doing="write to a lock file", path=self.path) from error


def mark_of_owner(path: str) -> tuple[str, str] | None:
    """Return the variable and the value that mark what works under a lock; None if it is free."""
    owner = FileLock(path).owner()
    try:
        here = os.stat(path)
    except OSError:
        return None
    if owner is None:
        return None
    return _mark_name(here), _mark_of({"pid": owner.pid, "start_time": owner.start_time})


def _mark_name(here: os.stat_result) -> str:
    """Return the variable of a lock file, by device and inode: a cache can have several paths."""
    return f"{MARK}_{blake3(f'{here.st_dev} {here.st_ino}'.encode()).hexdigest()[:16]}"


def _mark_of(process: Mapping[str, object]) -> str:
    return f"{process['pid']}:{process['start_time']}"


def _open(path: str) -> int:
    while True:
        try:
            # Links are not followed: all processes must lock the file at this very path.
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
    """Return whether the path still names the locked file, which other processes would lock."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(there.st_mode):
        raise FileExistsError(errno.EEXIST, "not a regular file", path)
    return os.path.samestat(here, there)


@functools.cache
def _this_process() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "start_time": process_start_time(os.getpid()) or "",
        # Without options of packages: the record is written to the disk.
        "command": _OPTIONS.sub("{…}", " ".join(sys.argv)[:_COMMAND_LIMIT]),
    }


@functools.cache
def _owner_fields() -> str:
    """Return the first fields of every record; cached, since there are thousands of locks."""
    return json.dumps(_this_process())[1:-1]


os.register_at_fork(after_in_child=_this_process.cache_clear)
os.register_at_fork(after_in_child=_owner_fields.cache_clear)


def _read_record(descriptor: int) -> LockOwner | None:
    data = os.pread(descriptor, _RECORD_LIMIT, 0)
    try:
        row = parse_json(data.partition(b"\n")[0])
        return LockOwner(
            pid=int(row["pid"]),
            start_time=str(row["start_time"]),
            command=str(row["command"]),
            since=float(row["since"]),
            groups={int(group): str(start) for group, start in row["groups"].items()},
            is_taking=row.get("takes") is True,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def end_orphans(groups: Mapping[int, str], *, path: str) -> None:
    """Kill the groups whose leader is still the same process, and wait until they have ended.

    Raises:
        CacheError: there is no permission to kill a group.
    """
    for group, start_time in groups.items():
        if group in {0, 1, os.getpgrp()} or process_start_time(group) != start_time:
            continue  # the group has ended, or its number was reused
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            continue
        except PermissionError as error:
            raise CacheError(
                f"process group {group}, started by an envy that died, still works under the lock "
                f"{path}, and there is no permission to end it",
                path=Path(path),
                hint=f"end it as the user it belongs to: kill -KILL -- -{group}",
            ) from error
        # The signal reached all members at once, so none of them can start another process.
        with released():
            wait_for_group(group)
