"""What a file, or a variable, says: one text to compare, as a recipe that looks at it would see it.

Loads little, and reads little: warm commands look at every file that an answer rests on.
"""

from __future__ import annotations

import os
import stat

from blake3 import blake3

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# A buffer of more than this is mapped and unmapped for each read, which costs more than the read.
_FIRST = 1 << 16
_CHUNK = 1 << 20
# Opened so, a pipe in the place of a file is not waited for.
_TO_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def file_digest(path: str) -> str | None:
    """BLAKE3 of a file's bytes; None where nothing is; a word for anything else that is there.

    A recipe can tell a folder, or a file that may not be read, from one that is missing.
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
        # Empty, or long: it may be no file at all, and without an end.
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
    """BLAKE3 of a variable's value, which may be a secret; None if it is not set."""
    return None if value is None else blake3(os.fsencode(value)).hexdigest()


def combined_digest(texts: Sequence[str | None]) -> str:
    """One digest that stands for a list of such texts."""
    text = "\0".join([str(len(texts)), *[text or "" for text in texts]])
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()
