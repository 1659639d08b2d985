"""What trees hold and what patterns match now, for a warm command to compare with what they did.

The digest of a tree is that of `trees`, which loads more than a warm command as a whole; a test
compares the two.
"""

from __future__ import annotations

import os
import stat
from glob import glob

from blake3 import blake3

from envy.file_digest import file_digest, one_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def match_digest(top: str, pattern: str) -> str:
    """One digest of the names that a pattern matches, as `files.glob` has them."""
    return one_digest(sorted(glob(pattern, root_dir=top, recursive=True)))


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
