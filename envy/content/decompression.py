"""Streams of decompressed bytes: gzip, bzip2, xz and zstd.

Owns the bound on memory: a header of a few bytes can demand a window of gigabytes.
"""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from envy.content.arriving import Arriving
from envy.content.gz_streams import GzStreams
from envy.content.xz_streams import XzStreams
from envy.limits import ARCHIVE_MEMORY

_CHUNK = 1 << 20
_MAGIC = (
    (b"\x1f\x8b", "gz"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zst"),
)
_SKIPPABLE_ZSTD_FRAME = re.compile(rb"[\x50-\x5f]\x2a\x4d\x18")
_LARGEST_WINDOW = 31  # powers of two, in zstd
COMPRESSIONS = frozenset({"gz", "bz2", "xz", "zst"})
# How the libraries say that the memory does not suffice; they have no error of its own for it.
OUT_OF_MEMORY = ("Memory usage limit exceeded", "requires too much memory")


def kind_of_compression(head: bytes) -> str:
    """Return the compression of a file that begins like this, one of COMPRESSIONS, or ""."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return "zst" if _SKIPPABLE_ZSTD_FRAME.match(head) else ""


@contextlib.contextmanager
def decompressed(path: Path, kind: str, arriving: Arriving | None = None) -> Iterator[IO[bytes]]:
    """Open a file that is compressed in a way of COMPRESSIONS, or not at all."""
    with (
        _opened(path, arriving) as raw,
        decompressed_stream(raw, kind) as opened,
    ):
        yield opened


def _opened(path: Path, arriving: Arriving | None) -> IO[bytes]:
    if arriving is None:
        return path.open("rb", buffering=_CHUNK)
    return cast("IO[bytes]", arriving.stream())  # unbuffered: what has arrived is enough


def decompressed_stream(raw: IO[bytes], kind: str) -> IO[bytes]:
    """Return the decompressed content of a stream; the stream itself if it is not compressed."""
    if kind == "gz":
        return cast("IO[bytes]", io.BufferedReader(GzStreams(raw), _CHUNK))
    if kind == "bz2":
        import bz2

        return cast("IO[bytes]", bz2.BZ2File(raw))
    if kind == "xz":
        return cast(
            "IO[bytes]", io.BufferedReader(XzStreams(raw, memory=ARCHIVE_MEMORY.value), _CHUNK)
        )
    return _open_zstd(raw) if kind == "zst" else raw


def _open_zstd(raw: IO[bytes]) -> IO[bytes]:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    window = min(_LARGEST_WINDOW, ARCHIVE_MEMORY.value.bit_length() - 1)
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: window}
    return cast("IO[bytes]", zstd.ZstdFile(raw, options=options))
