"""Paths of entries in forms that are not plain bytes: UTF-16, and compressed data.

Such a path cannot be rewritten, and must not be overlooked: the package would not work in another
cache. Only what a build wrote is searched; what an archive brought holds no path of this machine.
Compressed data is searched as far as `_MOST` decompressed bytes.
"""

import io
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

from envy.cache.places import BELOW, ENTRY_NAME, name_of
from envy.cache.program_files import compressed_sections
from envy.content.archive_errors import decompression_errors
from envy.content.decompression import decompressed_stream, kind_of_compression
from envy.content.inflate import inflater
from envy.content.zip_file import content_of, open_zip
from envy.errors import ArchiveError

_MOST = 256 << 20  # bytes of one file
_MOST_ELF = 1 << 30
_CHUNK = 1 << 20
_ORDERS = ("utf-16-le", "utf-16-be")
_AFTER = 1400  # bytes: the longest name of an entry as UTF-16
_NAME = re.compile(b"/*" + BELOW[1:] + ENTRY_NAME)
_ELF = b"\x7fELF"
_ZIP = b"PK\x03\x04"
_ZLIB = 15  # how a stream is wrapped
_NAMES = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd"}


def wide_names(data: bytes, roots: Sequence[bytes]) -> set[str]:
    """Return the names of the entries whose paths are in the data as UTF-16."""
    names: set[str] = set()
    for root in roots:
        for order in _ORDERS:
            wide = os.fsdecode(root).encode(order, "surrogatepass")
            at = data.find(wide)
            while at >= 0:
                end = at + len(wide)
                match = _NAME.match(data[end : end + _AFTER].replace(b"\0", b""))
                names |= {name_of(match[1])} if match else set()
                at = data.find(wide, end)
    return names


def compressed_names(path: str, paths: re.Pattern[bytes], *, overlap: int) -> tuple[str, set[str]]:
    """Return where a file holds paths of entries compressed, and the names of these entries.

    The last group of `paths` is a name, and no path has more bytes than `overlap`. Damaged data
    holds what can be read of it.

    Raises:
        OSError: the file cannot be read.
    """
    names: set[str] = set()
    found = ""
    left = _MOST
    try:
        for where, content in _contents(path):
            found = where
            left -= _search(content, paths, overlap, left, names)
            if names or left <= 0:
                break
    except ArchiveError:
        pass  # not that format, or damaged: nothing else will read it either
    except Exception as error:
        is_damage = isinstance(error, OSError) and error.errno is None
        if not is_damage and not isinstance(error, decompression_errors()):
            raise
    return (found, names) if names else ("", names)


def _contents(path: str) -> Iterator[tuple[str, IO[bytes]]]:
    with open(path, "rb") as file:
        head = file.read(8)
        file.seek(0)
        if head.startswith(_ELF):
            if os.fstat(file.fileno()).st_size <= _MOST_ELF:
                for kind, data in compressed_sections(file.read()):
                    yield "compressed debug information", _section(kind, data)
        elif head.startswith(_ZIP):
            with open_zip(Path(path)) as zipped:
                for member in zipped.infolist():
                    with content_of(zipped, member) as content:
                        yield f"a compressed member, {member.filename}", content
        else:
            kind = kind_of_compression(head)
            yield f"data compressed with {_NAMES[kind]}", decompressed_stream(file, kind)


class _Inflated(io.RawIOBase):
    """What zlib data has inside, in pieces."""

    def __init__(self, data: bytes) -> None:
        self._rest, self._inflater = data, inflater(_ZLIB)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = self._inflater.decompress(self._rest, size)
        self._rest = self._inflater.unconsumed_tail
        return found


def _section(kind: str, data: bytes) -> IO[bytes]:
    if kind == "zlib":
        return cast("IO[bytes]", _Inflated(data))
    return decompressed_stream(io.BytesIO(data), "zst" if kind == "zstd" else "")


def _search(
    content: IO[bytes], paths: re.Pattern[bytes], overlap: int, most: int, names: set[str]
) -> int:
    """Add the names in a stream, and return how many bytes were read."""
    tail, size = b"", 0
    while size < most and (piece := content.read(_CHUNK)):
        size += len(piece)
        data = tail + piece
        names.update(name_of(match[match.lastindex or 0]) for match in paths.finditer(data))
        tail = data[-overlap:]
    return size
