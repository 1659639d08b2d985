"""Decompression of xz files, as the program `xz` accepts them."""

import io
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from lzma import LZMADecompressor

    from _typeshed import WriteableBuffer

_CHUNK = 1 << 16
_PADDING = 4  # it is a multiple of this number of bytes


class XzStreams(io.RawIOBase):
    """Reads the streams of an xz file, with zeros between and after them as the format allows.

    lzma.LZMAFile takes such padding for damage, or for the end although another stream follows, and
    ignores whatever else follows a stream.
    """

    def __init__(self, raw: IO[bytes], *, memory: int | None = None) -> None:
        self._raw = raw
        self._memory = memory  # the most bytes that a decoder may need
        self._data = b""  # read, and not yet given to the decoder
        self._decoder = _decoder(self._memory)
        self._is_at_end = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        while not self._decoder.eof or self._begin_stream():
            if self._decoder.needs_input and not self._data:
                self._data = self._raw.read(_CHUNK)
                if not self._data:
                    raise EOFError("it ends in the middle of a stream")
            given, self._data = self._data, b""
            data = self._decoder.decompress(given, size)
            if data:
                return data
        return b""

    def _begin_stream(self) -> bool:
        """Skip the padding after a stream; return whether another one follows."""
        if self._is_at_end:
            return False
        padding = 0
        data = self._decoder.unused_data or self._raw.read(_CHUNK)
        while data:
            rest = data.lstrip(b"\0")
            padding += len(data) - len(rest)
            if rest:
                break
            data = self._raw.read(_CHUNK)
        if padding % _PADDING:
            raise ValueError("the padding after a stream is not a multiple of four bytes")
        if not data:
            self._is_at_end = True
            return False
        self._data = rest
        self._decoder = _decoder(self._memory)
        return True


def _decoder(memory: int | None) -> "LZMADecompressor":
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory)
