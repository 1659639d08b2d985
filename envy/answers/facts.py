"""What trees hold, what patterns match, and which host and envy these are: now, to compare.

For warm commands, which ask whether anything is different, and not what it is: `platform` says so.

The digest of a tree is that of `trees`, which loads more than a warm command as a whole; a test
compares the two.
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
    """One digest of the names that a pattern matches, as `files.glob` has them."""
    # Loads regular expressions, which most warm commands do without.
    from glob import glob

    return combined_digest(sorted(glob(pattern, root_dir=top, recursive=True)))


def tree_digest(path: str) -> str:
    """The digest of a directory with all that is in it, or of a file; "" if it cannot be had."""
    try:
        rows = list(_rows("", path, os.stat(path)))
    except OSError:
        return ""
    return blake3(b"".join(sorted(rows))).hexdigest()


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
    """Texts that are the same for as long as `host.platform` would say the same of this machine."""
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
    """Texts that are the same for as long as this envy is: where it is, and its modules.

    Of those the times count and not the content: no author works on them, but two checkouts, or
    an older and a newer envy of one version, may share a cache.
    """
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    found: list[str] = []
    waiting = [package]
    while waiting:
        with os.scandir(waiting.pop()) as listing:
            for entry in listing:
                if entry.name.endswith(".py"):
                    status = entry.stat()
                    found.append(f"{entry.path} {status.st_size} {status.st_mtime_ns}")
                elif "." not in entry.name and entry.name != "__pycache__" and entry.is_dir():
                    found.append(entry.path)
                    waiting.append(entry.path)
    return [package, " ".join(sorted(found))]
