"""Digests of files and variables, to check whether what a recipe has read is unchanged.

Loads little and reads little: warm commands check every file that an answer depends on.
"""

from __future__ import annotations

import os
import stat

from blake3 import blake3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# A larger buffer is mapped and unmapped for each read, which takes longer than the read itself.
_FIRST = 1 << 16
_CHUNK = 1 << 20
# With O_NONBLOCK, a pipe in the place of a file does not block.
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def file_digest(path: str) -> str | None:
    """Return the BLAKE3 digest of a file; None if it is missing; a text if it cannot be read.

    The text distinguishes an unreadable file or a folder from a missing file, as a recipe can.
    """
    try:
        descriptor = os.open(path, _TO_READ)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"unreadable: {error.errno}"
    try:
        data = os.read(descriptor, _FIRST)
        if data and len(data) < _FIRST:
            return blake3(data).hexdigest()
        # Empty or long: it may be a device, and endless.
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "no plain file"
        hasher = blake3(data)
        while data := os.read(descriptor, _CHUNK):
            hasher.update(data)
        return hasher.hexdigest()
    except OSError as error:
        return f"unreadable: {error.errno}"
    finally:
        os.close(descriptor)


def variable_digest(value: str | None) -> str | None:
    """Return the BLAKE3 digest of a variable's value, which may be a secret; None if unset."""
    return None if value is None else blake3(os.fsencode(value)).hexdigest()


def combined_digest(texts: Sequence[str | None]) -> str:
    """Return one digest for a list of digests."""
    text = "\0".join([str(len(texts)), *[text or "" for text in texts]])
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()
