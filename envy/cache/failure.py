"""The failure of the last attempt at an entry: one line inside its work folder.

The next attempt removes the folder, and so does publishing; what is read is therefore never older
than the attempt that left the entry incomplete.
"""

import contextlib
import os

from envy.cache.filesystem import REAL
from envy.cache.layout import EntryPaths
from envy.cache.names import FAILED
from envy.cache.read import open_nonblocking

_LIMIT = 2048  # bytes


def note_failure(entry: EntryPaths, text: str) -> None:
    """Record why an attempt failed, in one line without secrets; a full disk is no error."""
    with contextlib.suppress(OSError):
        REAL.write_file(entry.at(FAILED), text.encode("utf-8", "replace")[:_LIMIT])


def last_failure(entry: EntryPaths) -> str:
    """Return the recorded line; "" if the last attempt did not fail, or it cannot be read."""
    try:
        descriptor = open_nonblocking(entry.at(FAILED), os.O_RDONLY)
        try:
            data = os.read(descriptor, _LIMIT)
        finally:
            os.close(descriptor)
    except OSError:
        return ""
    return data.decode("utf-8", "replace").partition("\n")[0]
