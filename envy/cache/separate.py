"""Files of a payload that are also files of something else: of the downloads, say.

Publishing changes the modes of a payload, and a later change elsewhere would change the payload. So
each such file is replaced by a copy. Files with several names that are all in the payload stay
one file, and so do those of the unpacked wheels: see `wheels`.
"""

import contextlib
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence

from envy.cache.filesystem import REAL, FileSystem
from envy.cache.trees import FILE, Member, members
from envy.cache.wheels import wheel_files
from envy.content.atomic import written_file
from envy.interpreter import released


def separated_members(
    top: str,
    *,
    wheels: str = "",
    files: FileSystem = REAL,
    listed: Sequence[Member] | None = None,
) -> Sequence[Member]:
    """Return everything in a payload, after each file that it shares was replaced by a copy.

    Files of the unpacked wheels in `wheels`, the folder of uv's cache, stay shared. `listed` is
    everything in it, if that was listed just now.

    Raises:
        CacheError: a member is neither a file, a directory nor a link.
        OSError: a file cannot be copied.
    """
    found = list(members(top)) if listed is None else listed
    shared = _shared(found)
    if shared and wheels:
        kept = wheel_files(wheels)
        shared = [member for member in shared if member.status.st_ino not in kept]
    if not shared:
        return found
    with released():
        copies: dict[tuple[int, int], str] = {}
        for member in shared:
            _replace(member, copies, files)
    return list(members(top))


def _shared(found: Sequence[Member]) -> list[Member]:
    """Return the files that have more names than the payload knows."""
    several = [member for member in found if member.kind == FILE and member.status.st_nlink > 1]
    names = Counter(map(_inode, several))
    return [member for member in several if names[_inode(member)] < member.status.st_nlink]


def _inode(member: Member) -> tuple[int, int]:
    return member.status.st_dev, member.status.st_ino


def _replace(member: Member, copies: dict[tuple[int, int], str], files: FileSystem) -> None:
    from envy.content.tree_copy import copy_open_file

    first = copies.setdefault(_inode(member), member.path)
    with _writable(os.path.dirname(member.path), files), written_file(member.path) as new:
        if first != member.path:
            files.link(first, new)
            return
        with open(member.path, "rb") as reading, open(new, "xb") as writing:
            copy_open_file(reading.fileno(), writing.fileno())


@contextlib.contextmanager
def _writable(folder: str, files: FileSystem) -> Iterator[None]:
    """Let files of a folder be replaced, which may be the copy of a published one."""
    mode = stat.S_IMODE(os.lstat(folder).st_mode)
    if mode & stat.S_IWUSR:
        yield
        return
    files.set_mode(folder, mode | stat.S_IRWXU)
    try:
        yield
    finally:
        files.set_mode(folder, mode)
