"""Streams of decompressed bytes: gzip, bzip2, xz and zstd.

Owns the bound on memory: a header of a few bytes can demand a window of gigabytes.
"""

import contextlib
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from envy.limits import ARCHIVE_MEMORY

if TYPE_CHECKING:
    import lzma

_CHUNK = 1 << 20
_XZ_CHUNK = 1 << 16
_LARGEST_WINDOW = 31  # powers of two, in zstd
COMPRESSIONS = frozenset({"gz", "bz2", "xz", "zst"})
# How the libraries say that the memory does not suffice; they have no error of its own for it.
OUT_OF_MEMORY = ("Memory usage limit exceeded", "requires too much memory")


@contextlib.contextmanager
def decompressed(path: Path, kind: str) -> Iterator[IO[bytes]]:
    """Open a file that is compressed in a way of COMPRESSIONS, or not at all."""
    with (
        path.open("rb", buffering=_CHUNK) as raw,
        decompressed_stream(raw, kind) as opened,
    ):
        yield opened


def decompressed_stream(raw: IO[bytes], kind: str) -> IO[bytes]:
    """Return the decompressed content of a stream; the stream itself if it is not compressed."""
    if kind == "gz":
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=raw))
    if kind == "bz2":
        import bz2

        return cast("IO[bytes]", bz2.BZ2File(raw))
    if kind == "xz":
        return cast("IO[bytes]", io.BufferedReader(_XzReader(raw), _CHUNK))
    return _open_zstd(raw) if kind == "zst" else raw


def _open_zstd(raw: IO[bytes]) -> IO[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    window = min(_LARGEST_WINDOW, ARCHIVE_MEMORY.value.bit_length() - 1)
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: window}
    return cast("IO[bytes]", zstd.ZstdFile(raw, options=options))


class _XzReader(io.RawIOBase):
    """Decompresses xz streams within the memory limit, which `lzma.LZMAFile` does not have.

    Zeros after a stream are padding; what else follows a stream is ignored, as LZMAFile does.
    """

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decompressor = _new_decompressor()
        self._has_ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        with memoryview(buffer) as view:
            while True:
                data = self._decompress(len(view))
                if data is None:
                    return 0
                if data:
                    view[: len(data)] = data
                    return len(data)

    def _decompress(self, size: int) -> bytes | None:
        """Return some of the content, perhaps b""; None at its end."""
        import lzma

        if self._has_ended:
            return None
        if self._decompressor.eof:
            rest = self._after_padding()
            if not rest:
                return None
            self._decompressor = _new_decompressor()
            try:
                return self._decompressor.decompress(rest, size)
            except lzma.LZMAError:
                self._has_ended = True
                return None
        data = b""
        if self._decompressor.needs_input and not (data := self._raw.read(_XZ_CHUNK)):
            raise EOFError("the compressed data ends too early")
        return self._decompressor.decompress(data, size)

    def _after_padding(self) -> bytes:
        rest = self._decompressor.unused_data
        while not (rest := rest.lstrip(b"\0")):
            rest = self._raw.read(_XZ_CHUNK)
            if not rest:
                return b""
        return rest


def _new_decompressor() -> "lzma.LZMADecompressor":
    import lzma

    return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=ARCHIVE_MEMORY.value)
