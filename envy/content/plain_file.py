"""Reading a whole file whose path may lead to anything: a device without end, a pipe, a huge file.

Warm commands load this module, so it imports little.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from envy.limits import Limit

_CHUNK = 1 << 20
# With O_NONBLOCK, a pipe in the place of a file does not block.
_TO_READ = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


class NotPlain(ValueError):
    """The path leads to a device, a pipe or a folder, or to more bytes than its limit allows.

    `limit` is the limit that was exceeded, or None.
    """

    def __init__(self, what: str, limit: Limit | None = None) -> None:
        super().__init__(what)
        self.limit = limit


def read_plain(path: str, limit: Limit) -> bytes:
    """Return the content of a plain file.

    Raises:
        NotPlain: it is something else, or is larger than the limit.
        OSError: it is missing, or cannot be read.
    """
    return read_open_file(os.open(path, _TO_READ), limit)


def read_open_file(descriptor: int, limit: Limit) -> bytes:
    """Return the content of an open file, and close it; raises as `read_plain`."""
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotPlain("is not a plain file")
        most = limit.value
        # The size is only a guess: the file may grow, and files of /proc have none.
        if status.st_size > most:
            raise _too_large(limit)
        data = os.read(descriptor, min(status.st_size, most) + 1)
        if len(data) == status.st_size:
            return data
        chunks, size = [data], len(data)
        while data and size <= most:
            data = os.read(descriptor, min(_CHUNK, most + 1 - size))
            chunks.append(data)
            size += len(data)
        if size > most:
            raise _too_large(limit)
        return b"".join(chunks)
    finally:
        os.close(descriptor)


def _too_large(limit: Limit) -> NotPlain:
    return NotPlain(f"is larger than {limit.shown}, the limit {limit.name}", limit)
