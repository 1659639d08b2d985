"""Downloads whose digest is wrong, kept aside so that their users can look at what was sent.

Guarantees
  Nothing here is ever used in place of a download. A name is the SHA-256 of the content.
  All together are bounded: the oldest are removed first, and what is larger alone is not kept.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat

from envy.cache.filesystem import FileSystem
from envy.content.atomic import written_file
from envy.content.tree_copy import copy_content
from envy.limits import REFUSED_DOWNLOADS

_READ_ONLY = 0o444


def set_aside(folder: str, path: str, sha256: str, files: FileSystem) -> str:
    """Move a file into the folder of refused downloads; return its path, "" if it is not kept.

    Raises:
        OSError: it cannot be moved.
    """
    size = os.lstat(path).st_size
    most = REFUSED_DOWNLOADS.value
    if size > most:
        return ""
    for each in (os.path.dirname(folder), folder):
        files.make_dir(each)
    target = os.path.join(folder, sha256)
    if os.path.isdir(target) and not os.path.islink(target):
        files.remove_tree(target)
    os.chmod(path, _READ_ONLY)
    try:
        os.replace(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with written_file(target) as new, open(path, "rb") as reading, open(new, "xb") as writing:
            copy_content(reading.fileno(), writing.fileno())
    os.utime(target, follow_symlinks=False)
    _make_room(folder, target, most - size, files)
    return target


def _make_room(folder: str, kept: str, most: int, files: FileSystem) -> None:
    """Remove the oldest of the other files until they have at most so many bytes."""
    rows = []
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        with contextlib.suppress(FileNotFoundError):
            status = os.lstat(path)
            if path != kept and stat.S_ISREG(status.st_mode):
                rows.append((status.st_mtime, path, status.st_size))
    total = sum(size for _, _, size in rows)
    for _, path, size in sorted(rows):
        if total <= most:
            return
        with contextlib.suppress(FileNotFoundError):
            files.remove(path)
        total -= size
