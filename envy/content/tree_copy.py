"""Copies of files and trees to below a root, with their modes, times and symbolic links.

Guarantees
  Links are copied as links, and recorded in the root, so that nothing is written through one that
  leads outside.
  The owner may write to every copy, even where the source is read-only as in a published package.
"""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from envy.content.below_root import BelowRoot, parts_of
from envy.content.brought import Brought, Parts
from envy.content.folder_walk import walk
from envy.errors import EnvyError

_CHUNK = 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_SENDFILE = frozenset({errno.ENOTSOCK, errno.EINVAL, errno.ENOSYS, errno.EOVERFLOW})


@dataclass(frozen=True, slots=True)
class FolderPart:
    """A part of a folder, by its path relative to the top, and the rules of the folder."""

    top: str
    rules: str
    start: str


def copy_tree(
    source: Path, below: BelowRoot, into: Parts, *, item: str, part: FolderPart | None = None
) -> int:
    """Copy the content of a folder into a folder of a root; return the number of files and links.

    Folders that exist on both sides are merged, and files replaced. `item` names the source for
    errors about its links. `part` says which part of a folder the source is,
    and what is taken of it; by default, everything.

    Raises:
        LeadsOutside: a copy would be written through a link that leads outside, or replace it.
        NotTaken: the rules of `part` do not allow something.
        EnvyError: the source contains a pipe, a socket or a device.
        OSError: a file cannot be read or written.
    """
    # The whole source is listed first: through a link, the copy may lie inside of it.
    folders, others = _members(source) if part is None else _taken(part)
    for inner in folders:
        below.real_folder(into + inner)
    for member, is_link in others:
        path = source.joinpath(*member)
        if is_link:
            to = os.readlink(path)  # noqa: PTH115
            below.create_link(into + member, Brought(item, "/".join(member), to, judged=False))
        else:
            copy_file(Path(os.path.realpath(path)), below, into + member)
    for inner in reversed(folders):
        _copy_status(source.joinpath(*inner), below.folder(into + inner))
    return len(others)


def _members(source: Path) -> tuple[list[Parts], list[tuple[Parts, bool]]]:
    """Return the folders of a tree, each before its content; all else, and whether a link."""
    folders: list[Parts] = [()]
    others: list[tuple[Parts, bool]] = []
    for inner in folders:
        with os.scandir(source.joinpath(*inner)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append((*inner, entry.name))
            else:
                others.append(((*inner, entry.name), entry.is_symlink()))
    return folders, others


def _taken(part: FolderPart) -> tuple[list[Parts], list[tuple[Parts, bool]]]:
    """Return the same of what is taken of a part of a folder."""
    folders: list[Parts] = [()]
    others: list[tuple[Parts, bool]] = []
    depth = len(parts_of(part.start))
    for relative, _path, status, link in walk(part.top, part.rules, start=part.start):
        inner = parts_of(relative)[depth:]
        if link or not stat.S_ISDIR(status.st_mode):
            others.append((inner, bool(link)))
        else:
            folders.append(inner)
    return folders, others


def copy_file(source: Path, below: BelowRoot, parts: Parts, *, executable: bool = False) -> None:
    """Copy a file to a path below a root, in place of another file or link.

    Raises:
        LeadsOutside: the path, or a link at it, leads outside.
        EnvyError: the source is not a regular file.
        OSError: a file cannot be read or written.
    """
    if not stat.S_ISREG(source.lstat().st_mode):
        raise EnvyError(
            f"cannot copy {source}: it is neither a file nor a directory",
            hint="sockets, pipes and devices cannot be part of a package",
        )
    reading = os.open(source, _READ)
    try:
        writing = below.create_file(parts, 0o600)
        try:
            copy_open_file(reading, writing, executable=executable)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def copy_open_file(reading: int, writing: int, *, executable: bool = False) -> None:
    """Copy an open file to one that is empty, with its mode and times; the owner may write to it.

    Raises:
        OSError: a file cannot be read or written.
    """
    copy_content(reading, writing)
    _copy_status(reading, writing, also=0o111 if executable else 0)


def copy_content(reading: int, writing: int) -> None:
    """Copy the content of one open file to another, which is empty; all of it, wherever it stands.

    Raises:
        OSError: a file cannot be read or written.
    """
    offset = 0
    try:
        while sent := os.sendfile(writing, reading, offset, 1 << 30):
            offset += sent
        return
    except OSError as error:
        # Only Linux sends data from file to file, and not on every file system.
        if offset or error.errno not in _NO_SENDFILE:
            raise
    while data := os.pread(reading, _CHUNK, offset):
        offset += len(data)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(writing, rest) :]


def _copy_status(source: int | Path, target: int, *, also: int = 0) -> None:
    """Copy mode, times and attributes to the open `target`, which stays writable by the owner."""
    import shutil

    shutil.copystat(cast("Path", source), cast("Path", target))
    mode = stat.S_IMODE(os.fstat(target).st_mode)
    if mode != mode | stat.S_IWUSR | also:
        os.fchmod(target, mode | stat.S_IWUSR | also)
