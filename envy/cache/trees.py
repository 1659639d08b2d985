"""Digests of files and trees, for the inputs of recipes and for payloads.

Guarantees
  A digest depends on relative paths, kinds, the executable bit and the bytes. It does not depend on
  times, owners, the umask of a checkout, or the order in which a directory lists its names.
  Symbolic links below the top are not followed; their targets count as text.
"""

import operator
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.content.folder_walk import NotTaken, walk
from envy.errors import CacheError
from envy.interpreter import released

# From this size on, reading takes so long that other threads should run in the meantime.
LARGE = 1 << 20
_CHUNK = 1 << 20

FILE, DIRECTORY, LINK = "file", "dir", "link"

_name_of = operator.attrgetter("name")
_digests: dict[str, tuple[tuple[int, ...], str]] = {}


class Member(NamedTuple):
    """A file, directory or link in a tree; `relative` uses `/` on every system."""

    relative: str
    path: str
    kind: str
    status: os.stat_result


def members(top: str) -> Iterator[Member]:
    """Yield everything below a directory, in an order that depends on the names alone.

    Raises:
        CacheError: a member is neither a file, a directory nor a link.
    """
    waiting = [(top, "")]
    while waiting:
        directory, prefix = waiting.pop()
        with os.scandir(directory) as listing:
            entries = sorted(listing, key=_name_of)
        below: list[tuple[str, str]] = []
        for entry in entries:
            relative = prefix + entry.name
            status = entry.stat(follow_symlinks=False)
            kind = _kind(status.st_mode, entry.path)
            if kind == DIRECTORY:
                below.append((entry.path, relative + "/"))
            yield Member(relative, entry.path, kind, status)
        waiting += reversed(below)


def digest_file(path: str | Path) -> str:
    """Return the BLAKE3 digest of a file, remembered until the file's status changes.

    Raises:
        CacheError: the file cannot be read.
    """
    text = os.fspath(path)
    try:
        return _digest_file(text, os.stat(text))
    except OSError as error:
        raise explained(error, doing="read", path=text) from error


def digest_tree(path: str | Path, rules: str | None = None) -> str:
    """Return the BLAKE3 digest of a directory tree, or of a file with its executable bit.

    With the rules of a folder (`content.folder_walk`), the digest of what is taken of it.

    Raises:
        CacheError: a member cannot be read, or is neither a file, a directory nor a link.
        NotTaken: the rules do not allow a member.
    """
    top = os.fspath(path)
    try:
        status = os.stat(top)
        kind = _kind(status.st_mode, top)
        found = [] if kind != DIRECTORY else members(top) if rules is None else _taken(top, rules)
        rows = sorted(map(_row, [Member("", top, kind, status), *found]))
    except NotTaken:
        raise
    except OSError as error:
        raise explained(error, doing="read", path=top) from error
    return blake3(b"".join(rows)).hexdigest()


def _taken(top: str, rules: str) -> Iterator[Member]:
    for relative, path, status, target in walk(top, rules):
        yield Member(relative, path, LINK if target else _kind(status.st_mode, path), status)


def _row(member: Member) -> bytes:
    # Names contain no NUL and all digests have the same length, so the encoding is unambiguous.
    name = os.fsencode(member.relative) + b"\0"
    if member.kind == DIRECTORY:
        return name + b"d\n"
    if member.kind == LINK:
        return name + b"l" + blake3(os.fsencode(os.readlink(member.path))).digest() + b"\n"
    executable = b"x" if member.status.st_mode & stat.S_IXUSR else b"f"
    return name + executable + _digest_file(member.path, member.status).encode("ascii") + b"\n"


def _kind(mode: int, path: str) -> str:
    if stat.S_ISREG(mode):
        return FILE
    if stat.S_ISDIR(mode):
        return DIRECTORY
    if stat.S_ISLNK(mode):
        return LINK
    raise CacheError(
        f"{path} is neither a file, a directory nor a link",
        path=Path(path),
        hint="remove the pipe, socket or device; the cache can only hold files",
    )


def _digest_file(path: str, status: os.stat_result) -> str:
    seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev)
    known = _digests.get(path)
    if known is not None and known[0] == seen:
        return known[1]
    hasher = blake3()
    for chunk in chunks(path, status.st_size):
        hasher.update(chunk)
    digest = hasher.hexdigest()
    _digests[path] = (seen, digest)
    return digest


def chunks(path: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of a file.

    The file is read, not mapped: if another process truncates a mapped file, a read of it kills
    this process.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        while True:
            if size < LARGE:
                # One byte more than expected. A whole chunk would need a buffer of mapped memory.
                chunk = os.read(descriptor, size + 1 if size else _CHUNK)
            else:
                with released():
                    chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return
            yield chunk
            if 0 < size <= len(chunk):
                return  # the end of a small file, without another read
    finally:
        os.close(descriptor)
