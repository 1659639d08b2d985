"""Inflating: by isal if the extra `fast` is installed, which takes half the time, else by zlib.

Owns the bound on memory: a few bytes of deflated data can hold a thousand times as many.
"""

import functools
import importlib
import zlib
from collections.abc import Callable
from typing import Any, Protocol

RAW, GZIP = -15, 31  # how the stream is wrapped, as zlib names it
# Deflate shrinks at most 1,032 times, so that these never become more than 16 MiB.
_SHORT = 1 << 14


class Inflater(Protocol):
    """The part of `zlib.decompressobj` that is used."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    def decompress(self, data: bytes | memoryview, max_length: int = 0, /) -> bytes: ...


@functools.cache
def inflating_library() -> Any:
    """Return the module that inflates: `isal.isal_zlib` or `zlib`."""
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:
        return zlib


def inflate(raw: bytes | memoryview, size: int, library: Any = None) -> bytes:
    """Return the content of raw deflated data, or another size than `size` if that is wrong.

    Raises:
        EOFError: the data ends too early, or goes on after `size` bytes.
        zlib.error: the data is damaged; `inflating_library().error` if that is another one.
    """
    library = library or inflating_library()
    if len(raw) <= _SHORT:
        found: bytes = library.decompress(raw, RAW, size or 1)
        return found
    inflater = library.decompressobj(RAW)
    found = inflater.decompress(raw, size + 1)
    if not inflater.eof:
        raise EOFError("a member is incomplete, or longer than it says")
    return found


@functools.cache
def checksum() -> Callable[[bytes, int], int]:
    """Return the function that computes a CRC-32: of some bytes, after those of an earlier one."""
    found: Callable[[bytes, int], int] = inflating_library().crc32
    return found


def inflater(wrapped: int, library: Any = None) -> Inflater:
    """Return what inflates a stream in pieces."""
    made: Inflater = (library or inflating_library()).decompressobj(wrapped)
    return made
