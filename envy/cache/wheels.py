"""The unpacked wheels in uv's cache, whose files the payloads of Python environments share.

uv keeps a folder for each wheel, and links its files into environments. It never changes such a
file, so that it may be read-only: publishing an environment makes it so for uv, too.

Guarantees
  A damaged file that is shared with a wheel does not come back: the wheel is dropped with it.
  A wheel that is dropped, or removed by gc, is downloaded again when it is needed.
"""

import contextlib
import os
import re
import stat
from collections.abc import Collection, Iterator

from envy.cache.disk_usage import DiskUsage, readable_listing
from envy.cache.filesystem import REAL, FileSystem
from envy.cache.names import UV_ARCHIVES_PATTERN, UV_BUCKET_PATTERN

_ARCHIVES = re.compile(UV_ARCHIVES_PATTERN)
_BUCKET = re.compile(UV_BUCKET_PATTERN)
_WRITE_BITS = 0o222


def unshared(uv_root: str, usage: DiskUsage) -> Iterator[tuple[str, int, float]]:
    """Yield what no payload shares: each wheel, and each other folder of uv's cache.

    Each has its size in bytes, and the time of its last use: linking a file changes its status.
    """
    paths = [
        bucket.path
        for bucket in ([] if os.path.islink(uv_root) else readable_listing(uv_root))
        if _BUCKET.fullmatch(bucket.name)
        and not _ARCHIVES.fullmatch(bucket.name)
        and bucket.is_dir(follow_symlinks=False)
    ]
    for path in [*wheel_folders(uv_root), *paths]:
        statuses = list(_statuses(path))
        files = [status for status in statuses if stat.S_ISREG(status.st_mode)]
        if all(status.st_nlink == 1 for status in files):
            size = sum(map(usage.of, statuses))
            yield path, size, max((status.st_ctime for status in statuses), default=0.0)


def last_use(path: str) -> float:
    """Return the time of the last use of a folder that `unshared` yields."""
    return max((status.st_ctime for status in _statuses(path)), default=0.0)


def _statuses(top: str) -> Iterator[os.stat_result]:
    with contextlib.suppress(OSError):
        yield os.lstat(top)
    folders = [top]
    while folders:
        for entry in readable_listing(folders.pop()):
            with contextlib.suppress(OSError):
                yield entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def wheel_folders(uv_root: str) -> Iterator[str]:
    """Yield the folder of each unpacked wheel."""
    if os.path.islink(uv_root):
        return  # its target is not envy's
    for bucket in readable_listing(uv_root):
        if _ARCHIVES.fullmatch(bucket.name) and bucket.is_dir(follow_symlinks=False):
            for item in readable_listing(bucket.path):
                if item.is_dir(follow_symlinks=False):
                    yield item.path


def wheel_files(uv_root: str) -> set[int]:
    """Return the inodes of all files of the unpacked wheels."""
    return {inode for folder in wheel_folders(uv_root) for inode in _inodes(folder)}


def drop_wheels(uv_root: str, shared: Collection[str], *, files: FileSystem = REAL) -> list[str]:
    """Remove each unpacked wheel that has one of these files; return the folders that were removed.

    Raises:
        OSError: a folder cannot be removed.
    """
    inodes = set()
    for path in shared:
        with contextlib.suppress(OSError):
            status = os.lstat(path)
            if stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
                inodes.add(status.st_ino)
    dropped = []
    if inodes:
        for folder in wheel_folders(uv_root):
            if not inodes.isdisjoint(_inodes(folder)):
                files.remove_tree(folder)
                dropped.append(folder)
    return dropped


def _inodes(top: str) -> Iterator[int]:
    folders = [top]
    while folders:
        for entry in readable_listing(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.inode()


def close_wheels(linked: str, *, files: FileSystem = REAL) -> None:
    """Make the files of the wheels that are linked below a folder read-only, for uv, too.

    So nobody who works in an environment that is not published yet changes a wheel by mistake.

    Raises:
        OSError: a mode cannot be set.
    """
    for path, status in _files_below(linked):
        if status.st_nlink > 1 and status.st_mode & _WRITE_BITS:
            files.set_mode(path, stat.S_IMODE(status.st_mode) & ~_WRITE_BITS)


def open_copies(copied: str, *, files: FileSystem = REAL) -> None:
    """Let the owner write the files below a folder that were copied from wheels.

    Raises:
        OSError: a mode cannot be set.
    """
    for path, status in _files_below(copied):
        if status.st_nlink == 1 and not status.st_mode & stat.S_IWUSR:
            files.set_mode(path, stat.S_IMODE(status.st_mode) | stat.S_IWUSR)


def _files_below(top: str) -> Iterator[tuple[str, os.stat_result]]:
    folders = [top]
    while folders:
        for entry in readable_listing(folders.pop()):
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry.path, entry.stat(follow_symlinks=False)
