"""Decompression of gzip files, as the program `gzip` accepts them."""

import io
from typing import IO, TYPE_CHECKING

from envy.content.inflate import GZIP, Inflater, inflater

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK = 1 << 18


class GzStreams(io.RawIOBase):
    """Reads the streams of a gzip file, with zeros between and after them.

    gzip.GzipFile reads in small pieces, and knows no other library than zlib.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._data = b""  # read, and not yet inflated
        self._inflater: Inflater | None = inflater(GZIP)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        while (stream := self._inflater or self._begin_stream()) is not None:
            data = self._data or self._raw.read(_CHUNK)
            found = stream.decompress(data, size)
            if stream.eof:
                self._data = stream.unused_data
                self._inflater = None
            else:
                self._data = stream.unconsumed_tail
                if not data and not found:
                    raise EOFError("it ends in the middle of a stream")
            if found:
                return found
        return b""

    def _begin_stream(self) -> Inflater | None:
        """Skip the padding after a stream; return None at the end of the file."""
        data = self._data
        while not (data := data.lstrip(b"\0")):
            data = self._raw.read(_CHUNK)
            if not data:
                self._data = b""
                return None
        self._data = data
        self._inflater = inflater(GZIP)
        return self._inflater
