"""The steps of the operating system that change the cache, each under a name of its own.

Writers of the cache go through a FileSystem, so that a test can make any one step fail or be the
last thing the process did.

Guarantees
  Every OSError that leaves a step names a path.
  Trees are removed without following a symbolic link, also when they hold read-only directories.
  What `flush` returned for is on the disk.
"""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.errors import CacheError

_HINTS = {
    errno.ENOSPC: "free some space, or name another cache with --cache-root or ENVY_CACHE_ROOT",
    errno.EROFS: "name a cache that can be written with --cache-root or ENVY_CACHE_ROOT",
    errno.EIO: "the disk reports an error; look at the system's log, and name another cache with "
    "--cache-root or ENVY_CACHE_ROOT",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower --jobs",
    errno.ENAMETOOLONG: "name a cache with a shorter path with --cache-root or ENVY_CACHE_ROOT",
    errno.ENOTDIR: "a file is in the place of a directory: move it away, or name a directory for "
    "the cache with --cache-root or ENVY_CACHE_ROOT",
    errno.ENOENT: "was it removed during the run, or is a link in its place that leads nowhere? "
    "then move it away",
    errno.EXDEV: "keep the whole cache on one file system: move all of it, and name it with "
    "--cache-root or ENVY_CACHE_ROOT",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f)",
    errno.ENOTEMPTY: "something is still writing there; end it and try again",
}
for _number in (errno.EEXIST, errno.EISDIR, errno.ELOOP):
    _HINTS[_number] = "something that is not envy's is in its place: look at it, and move it away"
_HINTS[errno.EDQUOT] = _HINTS[errno.ENOSPC]
_HINTS[errno.ENFILE] = _HINTS[errno.EMFILE]

# Directories cannot be opened on every system, and where they cannot, a file must be open for
# writing before it can be flushed.
_DIRECTORIES_OPEN = hasattr(os, "O_DIRECTORY")
_TO_FLUSH = os.O_RDONLY if _DIRECTORIES_OPEN else os.O_RDWR
_TO_WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)

# Below this many files a thread costs more than it saves; each of them waits for the disk alone.
_PARALLEL_FROM = 64
_FLUSHERS = 4
# Those that all threads of the process may have beside themselves, however many publish at once.
_extra_threads = threading.BoundedSemaphore(_FLUSHERS)
_MOST_ROUNDS = 5


def explained(error: OSError, *, doing: str, path: str) -> CacheError:
    """The error a user sees for one of the operating system's; `doing` as in `cannot <doing>`."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else path
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0, "")
    if error.errno in {errno.EACCES, errno.EPERM}:
        hint = (
            f"see who owns {where} and its permissions (was envy once run as another user?), or "
            "name another cache with --cache-root or ENVY_CACHE_ROOT"
        )
    shown = where
    if isinstance(error.filename2, str | bytes):
        shown = f"{where} → {os.fsdecode(error.filename2)}"  # either may be at fault
    return CacheError(f"cannot {doing}: {shown}: {reason}", path=Path(where), hint=hint)


class FileSystem:
    """The real thing."""

    def make_dir(self, path: str) -> bool:
        """Make a directory and those above it; False if it was there."""
        try:
            os.mkdir(path)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise
            return False
        except FileNotFoundError:
            try:
                os.mkdir(os.path.dirname(path))
                os.mkdir(path)
            except (FileNotFoundError, FileExistsError):
                os.makedirs(path, exist_ok=True)
        return True

    def write_file(self, path: str, data: bytes) -> None:
        """Write a whole file, in place of any that was there."""
        descriptor = os.open(path, _TO_WRITE, 0o666)
        try:
            _write(descriptor, path, data)
        finally:
            os.close(descriptor)

    def write_flushed(self, texts: Mapping[str, bytes]) -> None:
        """Write a few whole files, and return once all of them are on the disk.

        All are written before the first is flushed: the disk then has one thing to do, and not as
        many as there are files.
        """
        with contextlib.ExitStack() as closing:
            opened: list[tuple[int, str]] = []
            for path, data in texts.items():
                descriptor = os.open(path, _TO_WRITE, 0o666)
                closing.callback(os.close, descriptor)
                opened.append((descriptor, path))
                _write(descriptor, path, data)
            for descriptor, path in opened:
                _fsync(descriptor, path)

    def rename(self, source: str, target: str) -> None:
        """Put `source` in the place of `target`, in one instant."""
        os.replace(source, target)

    def remove(self, path: str) -> bool:
        """Remove a file; False if there was none."""
        try:
            os.unlink(path)
        except FileNotFoundError:
            return False
        return True

    def remove_empty_dir(self, path: str) -> bool:
        """Remove a directory if nothing is in it; False if it is not empty, or no directory."""
        try:
            os.rmdir(path)
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return True

    def remove_tree(self, path: str) -> None:
        """Remove whatever is at `path`, if anything is."""
        rounds, opened = 0, False
        while True:
            try:
                return _remove_tree(path)
            except OSError as error:
                rounds += 1
                if error.errno == errno.ENAMETOOLONG:
                    _move_up(path, error)
                elif error.errno in {errno.EACCES, errno.EPERM} and not opened:
                    opened = True
                    _make_writable(path)
                elif error.errno not in {errno.ENOTEMPTY, errno.EEXIST} or rounds > _MOST_ROUNDS:
                    # Not empty means that somebody wrote into a directory after it was emptied.
                    raise

    def set_mode(self, path: str, mode: int) -> None:
        """Give a file or directory these permissions."""
        os.chmod(path, mode)

    def start_flushing(self, paths: Sequence[str]) -> None:
        """Have these files written while something else is done; a hint, never an error."""
        if paths:
            with contextlib.suppress(OSError):
                _start_writing(paths)

    def flush(self, paths: Sequence[str]) -> None:
        """Return once the content of all these files is on the disk."""
        if len(paths) < _PARALLEL_FROM:
            for path in paths:
                _flush(path)
        else:
            _start_writing(paths)
            _flush_in_parallel(paths)

    def flush_dirs(self, paths: Sequence[str]) -> None:
        """Return once the names in all these directories are on the disk."""
        if _DIRECTORIES_OPEN:
            for path in paths:
                _flush(path)


REAL = FileSystem()


def _flush(path: str) -> None:
    descriptor = os.open(path, _TO_FLUSH)
    try:
        _fsync(descriptor, path)
    finally:
        os.close(descriptor)


def _fsync(descriptor: int, path: str) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network and user-space file systems cannot flush a directory, and say so.
        if error.errno != errno.EINVAL:
            error.filename = path
            raise


def _write(descriptor: int, path: str, data: bytes) -> None:
    try:
        written = os.write(descriptor, data)
        while written < len(data):
            written += os.write(descriptor, memoryview(data)[written:])
    except OSError as error:
        error.filename = path
        raise


def _start_writing(paths: Sequence[str]) -> None:
    """Have all files written at once, without waiting, so that each flush finds its work done.

    Measured on ext4, 2,000 files: half the time and half the processor of flushing one by one.
    `syncfs` is faster still, but flushes what everybody else on that file system is writing too.
    """
    try:
        import ctypes

        sync_file_range = ctypes.CDLL(None).sync_file_range
    except (ImportError, OSError, AttributeError, TypeError):
        return  # only ever a hint, and only Linux takes it
    everything, start = ctypes.c_int64(0), ctypes.c_uint(2)
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        sync_file_range(descriptor, everything, everything, start)
        os.close(descriptor)


def _flush_in_parallel(paths: Sequence[str]) -> None:
    failures: list[Exception] = []
    count = sum(_extra_threads.acquire(blocking=False) for _ in range(_FLUSHERS - 1))

    def flush_part(first: int) -> None:
        try:
            for path in paths[first :: count + 1]:
                _flush(path)
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's thread
            failures.append(error)

    threads = [
        threading.Thread(target=flush_part, args=(first,), daemon=True)
        for first in range(1, count + 1)
    ]
    try:
        for thread in threads:
            thread.start()
        flush_part(0)
        for thread in threads:
            thread.join()
    finally:
        for _ in range(count):
            _extra_threads.release()
    if failures:
        raise failures[0]


def _remove_tree(path: str) -> None:
    # rmdir first: it settles an empty directory with one call, and tells a directory from a link
    # to one, into which nobody may descend.
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return
    except NotADirectoryError:
        os.unlink(path)
        return
    except OSError as error:
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    else:
        return
    _empty(path)
    os.rmdir(path)


def _empty(top: str) -> None:
    """Remove everything in a directory, without recursion: trees may be of any depth."""
    found = [top]
    for directory in found:
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    found.append(entry.path)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(entry.path)
    for directory in reversed(found[1:]):
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(directory)


def _make_writable(top: str) -> None:
    """Let the directories of a tree be emptied: module caches of some languages are read-only."""
    found = [top]
    for directory in found:
        # What cannot be helped is met again, and told, when the tree is removed once more.
        with contextlib.suppress(OSError):
            mode = os.lstat(directory).st_mode
            if not stat.S_ISDIR(mode):
                continue
            os.chmod(directory, stat.S_IMODE(mode) | stat.S_IRWXU)
            with os.scandir(directory) as entries:
                found += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _move_up(top: str, error: OSError) -> None:
    """Move a directory whose members have too long a path up to `top`, where they have not.

    An interrupted `configure` can leave a chain of directories longer than any path.
    """
    deep = os.path.dirname(os.fsdecode(error.filename or top))
    if len(deep) <= len(top):
        raise error
    os.rename(deep, os.path.join(top, f"envy-{os.urandom(6).hex()}"))
