"""A part of a stream as a stream of its own: a member of an archive that has no index."""

import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 20


def read_exactly(stream: IO[bytes], size: int) -> bytes:
    """Return the next bytes of a stream.

    Raises:
        EOFError: the stream ends before them.
    """
    pieces = []
    while size:
        data = stream.read(min(size, _CHUNK))
        if not data:
            raise EOFError("it ends in the middle of an entry")
        pieces.append(data)
        size -= len(data)
    return b"".join(pieces)


class Piece(io.RawIOBase):
    """The next `size` bytes of a stream; an error if the stream has fewer."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._ahead = b""
        self.left = size  # bytes that were not read yet

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        size = min(len(view), self.left)
        if not size:
            return 0
        data, self._ahead = self._ahead[:size], self._ahead[size:]
        data = data or self._stream.read(min(size, _CHUNK))
        if not data:
            raise EOFError("it ends in the middle of an entry")
        view[: len(data)] = data
        self.left -= len(data)
        return len(data)

    def peek(self, size: int) -> bytes:
        """Return the first bytes, which are read again later; fewer if there are no more."""
        missing = min(size, self.left) - len(self._ahead)
        if missing > 0:
            self._ahead += read_exactly(self._stream, missing)
        return self._ahead[:size]

    def skip(self) -> None:
        """Read what is left."""
        while self.read(_CHUNK):
            pass
