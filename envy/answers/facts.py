"""The current state of trees, patterns, the host and envy itself, for comparison with an answer.

Warm commands only need to know whether anything is different, so this module imports little.
`tree_digest` computes the same digest as `cache.trees`, whose imports would outweigh a whole warm
command; a test compares the two.
"""

from __future__ import annotations

import os
import stat
import sys

from blake3 import blake3

from envy.content.file_digest import combined_digest, file_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


_OS_RELEASE = ("/etc/os-release", "/usr/lib/os-release")


def match_digest(top: str, pattern: str) -> str:
    """Return one digest of the names that a pattern matches, as `file_operations.glob` does."""
    # Imported here, because most warm commands do not need it.
    from envy.content.file_names import names_matching

    return combined_digest(names_matching(pattern, top))


def tree_digest(path: str, rules: str = "") -> str:
    """Return the digest of a directory and its content, or of a file; "" if it cannot be read.

    `rules` say what is taken of a directory (`content.folder_walk`).
    """
    try:
        rows = list(_rows_taken(path, rules) if rules else _rows("", path, os.stat(path)))
    except OSError:
        return ""
    return blake3(b"".join(sorted(rows))).hexdigest()


def _rows_taken(top: str, rules: str) -> Iterator[bytes]:
    # Imported here, because most evidence has no rules.
    from envy.content.folder_walk import walk

    status = os.stat(top)
    if not stat.S_ISDIR(status.st_mode):
        yield from _rows("", top, status)
        return
    yield b"\0d\n"
    for relative, path, inner, target in walk(top, rules):
        if target or not stat.S_ISDIR(inner.st_mode):
            yield from _rows(relative, path, inner)
        else:
            yield os.fsencode(relative) + b"\0d\n"


def _rows(relative: str, path: str, status: os.stat_result) -> Iterator[bytes]:
    name = os.fsencode(relative) + b"\0"
    if stat.S_ISDIR(status.st_mode):
        yield name + b"d\n"
        with os.scandir(path) as listing:
            entries = list(listing)
        above = f"{relative}/" if relative else ""
        for entry in entries:
            yield from _rows(above + entry.name, entry.path, entry.stat(follow_symlinks=False))
    elif stat.S_ISLNK(status.st_mode):
        yield name + b"l" + blake3(os.fsencode(os.readlink(path))).digest() + b"\n"
    elif stat.S_ISREG(status.st_mode):
        kind = b"x" if status.st_mode & stat.S_IXUSR else b"f"
        yield name + kind + (file_digest(path) or "").encode("ascii") + b"\n"
    else:
        raise OSError(f"{path} is neither a file, a directory nor a link")


def host_facts() -> list[str]:
    """Return texts that change whenever `host.platform` would describe this machine differently."""
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        libc = ""
    if sys.platform == "linux" and libc.startswith("glibc "):
        return [os.uname().machine, libc, *[file_digest(path) or "" for path in _OS_RELEASE]]
    from envy.host.platform import host_platform

    host = host_platform()
    return [host.os, host.arch, host.os_version, f"{host.libc} {host.libc_version}"]


def engine_facts() -> list[str]:
    """Return texts that change whenever this envy does: its path, and its modules.

    The size and modification time of a module count, not its content, which would take longer to
    read. The modules are found from this file's own path: the package is two folders up.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found: list[str] = []
    waiting = [package]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                if entry.name.endswith((".py", ".lua")):
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    found.append(entry.path)
                    waiting.append(entry.path)
    return [package, " ".join(sorted(found))]
