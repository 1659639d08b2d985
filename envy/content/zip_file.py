"""Reading a zip within bounds on memory.

Owns what envy adds to `zipfile`: the list of names is read only up to its limit, link targets are,
too, and members are decompressed in small steps whatever their compression.
"""

import contextlib
import copy
import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from envy.content.archive_errors import locked, unknown_method
from envy.content.arriving import Arriving
from envy.errors import ArchiveError
from envy.limits import ARCHIVE_HEADER, ARCHIVE_INDEX, ARCHIVE_MEMORY

if TYPE_CHECKING:
    import bz2
    import lzma
    import zipfile

    _Decompressor = bz2.BZ2Decompressor | lzma.LZMADecompressor

_DEFLATED = frozenset({0, 8})
_BZIP2, _LZMA = 12, 14
_METHODS = _DEFLATED | {_BZIP2, _LZMA}
_OTHER_METHODS = {
    1: "Shrink", 6: "Implode", 9: "Deflate64", 20: "Zstandard", 93: "Zstandard", 94: "MP3",
    95: "xz", 96: "JPEG", 97: "WavPack", 98: "PPMd",
}  # fmt: skip
_ENCRYPTED, _PATCHED = 0x01 | 0x40 | 0x2000, 0x20
_STEP = 1 << 16
_LZMA_HEADER = struct.Struct("<HHBL")  # version, size of what follows, parameters, window


class _IndexedFile(io.BufferedReader):
    """A file that refuses to be read in large pieces: only the list of names is one piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > ARCHIVE_INDEX.value:
            archive = Path(os.fsdecode(self.name))
            raise ArchiveError(
                f"{archive}: its list of names is larger than {ARCHIVE_INDEX.shown}, the limit "
                f"{ARCHIVE_INDEX.name}",
                archive=archive,
                hint=ARCHIVE_INDEX.hint,
            )
        return super().read(size)

    def seek(self, target: int, whence: int = 0, /) -> int:
        if target < 0 and whence == os.SEEK_SET:
            raise EOFError("its list of names is not where it says")
        return super().seek(target, whence)


@contextlib.contextmanager
def open_zip(archive: Path, arriving: Arriving | None = None) -> Iterator["zipfile.ZipFile"]:
    """Open a zip, whose list of names must not be larger than its limit.

    Of one that is `arriving`, the list is asked for, and members wait until they are there.
    """
    import zipfile

    stream = arriving.stream() if arriving is not None else None
    if stream is not None:
        stream.may_ask, stream.name = True, str(archive)
    with (
        _IndexedFile(stream or io.FileIO(archive)) as file,
        zipfile.ZipFile(cast("IO[bytes]", file)) as zipped,
    ):
        if stream is not None:
            stream.may_ask = False
        yield zipped


@contextlib.contextmanager
def content_of(zipped: "zipfile.ZipFile", member: "zipfile.ZipInfo") -> Iterator[IO[bytes]]:
    """Open a member of a zip.

    Raises:
        ArchiveError: it is encrypted, compressed in a way that is not known, or decompressing it
            needs too much memory.
    """
    _check_readable(Path(zipped.filename or ""), member)
    if not (member.compress_size or member.file_size or member.CRC):
        yield io.BytesIO()
        return
    if member.compress_type in _DEFLATED:
        with zipped.open(member) as content:
            yield content
        return
    # zipfile decompresses these in steps without a bound: forty bytes of bzip2 are 45 MB.
    compressed = copy.copy(member)
    compressed.compress_type, compressed.file_size = 0, member.compress_size
    compressed.CRC = None  # type: ignore[assignment]  # means that it is unknown
    with zipped.open(compressed) as content:
        yield cast("IO[bytes]", _Bounded(content, member, Path(zipped.filename or "")))


def _check_readable(archive: Path, member: "zipfile.ZipInfo") -> None:
    if member.flag_bits & _ENCRYPTED:
        raise locked(archive, member.filename)
    method = member.compress_type
    if method not in _METHODS:
        name = _OTHER_METHODS.get(method, "")
        raise unknown_method(archive, member.filename, f"{name} (method {method})".lstrip())
    if member.flag_bits & _PATCHED:
        raise unknown_method(archive, member.filename, "it is a patch of another file")


class _Bounded:
    """The content of a member, decompressed in steps whose size is bounded."""

    def __init__(self, compressed: IO[bytes], member: "zipfile.ZipInfo", archive: Path) -> None:
        self._compressed = compressed
        self._member = member
        self._crc = self._size = 0
        self._decompressor: _Decompressor
        if member.compress_type == _BZIP2:
            import bz2

            self._decompressor = bz2.BZ2Decompressor()
        elif member.compress_type == _LZMA:
            self._decompressor = _lzma_decompressor(compressed, member, archive)
        else:
            raise NotImplementedError("its compression is not supported")

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; b"" at the end, where the content is verified."""
        data = b""
        while not data and not self._decompressor.eof:
            more = self._compressed.read(_STEP) if self._decompressor.needs_input else b""
            data = self._decompressor.decompress(more, size)
            if not data and not more and self._decompressor.needs_input:
                break  # LZMA need not mark its end
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        if self._size > self._member.file_size or not data:
            self._verify()
        return data

    def _verify(self) -> None:
        if (self._size, self._crc) != (self._member.file_size, self._member.CRC):
            import zipfile

            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._member.filename!r}")


def _lzma_decompressor(
    compressed: IO[bytes], member: "zipfile.ZipInfo", archive: Path
) -> "lzma.LZMADecompressor":
    import lzma

    head = compressed.read(_LZMA_HEADER.size)
    if len(head) < _LZMA_HEADER.size:
        raise EOFError("a member ends within its header")
    _version, size, parameters, window = _LZMA_HEADER.unpack(head)
    compressed.read(max(0, size - 5))
    if window > ARCHIVE_MEMORY.value:
        raise ArchiveError(
            f"{archive}: the entry {member.filename!r} needs more than {ARCHIVE_MEMORY.shown} of "
            f"memory to be decompressed, the limit {ARCHIVE_MEMORY.name}",
            archive=archive,
            member=member.filename,
            hint=ARCHIVE_MEMORY.hint,
        )
    rest, lc = divmod(parameters, 9)
    pb, lp = divmod(rest, 5)
    row = {"id": lzma.FILTER_LZMA1, "dict_size": max(window, 4096), "lc": lc, "lp": lp, "pb": pb}
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[row])


def link_target(archive: Path, zipped: "zipfile.ZipFile", member: "zipfile.ZipInfo") -> str:
    """Return the target of a link.

    Raises:
        ArchiveError: it is longer than its limit.
    """
    most = ARCHIVE_HEADER.value
    target = b""
    with content_of(zipped, member) as content:
        while len(target) <= most and (data := content.read(most + 1 - len(target))):
            target += data
    if len(target) > most:
        raise ArchiveError(
            f"{archive}: the entry {member.filename!r} is a link with a target of more than "
            f"{ARCHIVE_HEADER.shown}, the limit {ARCHIVE_HEADER.name}",
            archive=archive,
            member=member.filename,
            hint=ARCHIVE_HEADER.hint,
        )
    return os.fsdecode(target)
