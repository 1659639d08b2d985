"""Where the last attempt at an entry ended: one line in a file of its work folder.

It failed, or a shell of the user took the place of a phase.

The next attempt removes the folder, and so does publishing; what is read is therefore never older
than the attempt that left the entry incomplete.
"""

import contextlib
import os

from envy.cache.layout import EntryPaths
from envy.cache.names import ENTERED, FAILED, WORK
from envy.cache.read import open_nonblocking

_LIMIT = 2048  # bytes
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)


def note_failure(entry: EntryPaths, text: str) -> None:
    """Record why an attempt failed, in one line without secrets; a full disk is no error."""
    _note(entry, FAILED, text)


def note_entered(entry: EntryPaths, phase: str) -> None:
    """Record that a shell of the user takes the place of a phase of an attempt."""
    _note(entry, ENTERED, phase)


def _note(entry: EntryPaths, name: str, text: str) -> None:
    with contextlib.suppress(OSError):
        if os.path.islink(entry.at(WORK)):
            return
        # A recipe may have put a link or a pipe there, which is neither followed nor waited for.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(entry.at(name))
        descriptor = os.open(entry.at(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            os.write(descriptor, text.encode("utf-8", "replace")[:_LIMIT])
        finally:
            os.close(descriptor)


def last_failure(entry: EntryPaths) -> str:
    """Return the recorded line; "" if the last attempt did not fail, or it cannot be read."""
    return _noted(entry, FAILED)


def entered_phase(entry: EntryPaths) -> str:
    """Return the phase that a shell took the place of in the last attempt, or ""."""
    return _noted(entry, ENTERED)


def _noted(entry: EntryPaths, name: str) -> str:
    if os.path.islink(entry.at(WORK)):
        return ""
    try:
        descriptor = open_nonblocking(entry.at(name), os.O_RDONLY | _NO_LINKS)
        try:
            data = os.read(descriptor, _LIMIT)
        finally:
            os.close(descriptor)
    except OSError:
        return ""
    return data.decode("utf-8", "replace").partition("\n")[0]
