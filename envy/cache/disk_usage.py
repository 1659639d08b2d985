"""The space that trees take on the disk, counted as `du` counts it."""

from __future__ import annotations

import contextlib
import os
import stat

_BLOCK = 512  # bytes; the unit of st_blocks on every file system


class DiskUsage:
    """Measures trees; a file that has several names in them counts only once."""

    __slots__ = ("_linked",)

    def __init__(self) -> None:
        self._linked: set[tuple[int, int]] = set()

    def copy(self) -> DiskUsage:
        """Return a usage that has counted the same files."""
        copied = DiskUsage()
        copied._linked = set(self._linked)
        return copied

    def of(self, status: os.stat_result) -> int:
        """Return the bytes on the disk of one file or folder; 0 if it was counted before."""
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            inode = status.st_dev, status.st_ino
            if inode in self._linked:
                return 0
            self._linked.add(inode)
        return status.st_blocks * _BLOCK

    def measure(self, top: str) -> tuple[int, float]:
        """Return the bytes of a tree, and when one of its folders last changed.

        What cannot be listed, or was removed, counts as empty.
        """
        try:
            status = os.lstat(top)
        except OSError:
            return 0, 0.0
        total, newest = self.of(status), status.st_mtime
        folders = [top] if stat.S_ISDIR(status.st_mode) else []
        while folders:
            for entry in readable_listing(folders.pop()):
                with contextlib.suppress(OSError):
                    status = entry.stat(follow_symlinks=False)
                    total += self.of(status)
                    if stat.S_ISDIR(status.st_mode):
                        newest = max(newest, status.st_mtime)
                        folders.append(entry.path)
        return total, newest


def listing(directory: str) -> list[os.DirEntry[str]]:
    """Return the sorted entries of a folder; none if the folder does not exist."""
    try:
        with os.scandir(directory) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return []


def readable_listing(directory: str) -> list[os.DirEntry[str]]:
    """Return the sorted entries of a folder; none if it cannot be read."""
    try:
        return listing(directory)
    except OSError:
        return []
