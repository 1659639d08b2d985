"""Digests of files and trees: what a recipe reads, and what a payload is made of.

Guarantees
  A digest depends on relative paths, kinds, the executable bit and the bytes; not on times, owners,
  the umask of a checkout, nor on the order in which a directory lists its names.
  Symbolic links below the top are not followed; what they say counts.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.errors import CacheError
from envy.interpreter import released

# Above this size reading takes long enough that others should compute meanwhile.
LARGE = 1 << 20
_CHUNK = 1 << 20

FILE, DIRECTORY, LINK = "file", "dir", "link"

_digests: dict[str, tuple[tuple[int, ...], str]] = {}


class Member(NamedTuple):
    """One thing in a tree; `relative` is written with `/` on every system."""

    relative: str
    path: str
    kind: str
    status: os.stat_result


def members(top: str) -> Iterator[Member]:
    """Everything below a directory, in an order that depends on the names alone.

    Raises:
        CacheError: there is something that is neither file, directory nor link.
    """
    waiting = [(top, "")]
    while waiting:
        directory, prefix = waiting.pop()
        with os.scandir(directory) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
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
    """BLAKE3 of a file's bytes, remembered in this process for as long as the file is the same.

    Raises:
        CacheError: it cannot be read.
    """
    text = os.fspath(path)
    try:
        return _digest_file(text, os.stat(text))
    except OSError as error:
        raise explained(error, doing="read", path=text) from error


def digest_tree(path: str | Path) -> str:
    """BLAKE3 of a directory and all that is in it, or of a single file with its executable bit.

    Raises:
        CacheError: something cannot be read, or is no file, directory or link.
    """
    top = os.fspath(path)
    try:
        status = os.stat(top)
        kind = _kind(status.st_mode, top)
        found = list(members(top)) if kind == DIRECTORY else []
        rows = sorted(map(_row, [Member("", top, kind, status), *found]))
    except OSError as error:
        raise explained(error, doing="read", path=top) from error
    return blake3(b"".join(rows)).hexdigest()


def _row(member: Member) -> bytes:
    # A name holds no NUL and a digest is of one length, so no two trees have the same rows.
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


def read_file(path: str, size: int) -> bytes:
    """All of a file that is about `size` bytes, in as few calls as there may be."""
    return b"".join(chunks(path, size))


def chunks(path: str, size: int) -> Iterator[bytes]:
    """The bytes of a file.

    Read, not mapped: a mapped file that somebody truncates meanwhile ends the process.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        while True:
            if size < LARGE:
                # One byte more than there should be: a buffer of a whole piece is mapped memory.
                chunk = os.read(descriptor, size + 1 if size else _CHUNK)
            else:
                with released():
                    chunk = os.read(descriptor, _CHUNK)
            if not chunk:
                return
            yield chunk
            if 0 < size <= len(chunk):
                return  # all there was; saves a small file a read
    finally:
        os.close(descriptor)
