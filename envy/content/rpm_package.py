"""Reading the files of RPM packages: two headers, then a compressed cpio archive.

The formats are those of the RPM documentation ("Package format") and of cpio's "new" ASCII format.
"""

import re
import stat
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from envy.content.decompression import decompressed_stream, kind_of_compression
from envy.content.extraction import (
    Unpacking,
    write_file,
    write_folder,
    write_hard_link,
    write_symlink,
)
from envy.content.piece import Piece, read_exactly
from envy.content.unpacked_size import pieces_of
from envy.errors import ArchiveError
from envy.limits import ARCHIVE_HEADER, ARCHIVE_INDEX

MAGIC = b"\xed\xab\xee\xdb"
_LEAD = 96
_HEADER_MAGIC = b"\x8e\xad\xe8\x01"
_HEADER = struct.Struct(">4s4xII")  # magic, number of index entries, bytes of data
_INDEX_ENTRY = 16
_CHUNK = 1 << 20
_PEEKED = 8
_CPIO_MAGICS = (b"070701", b"070702")
_STRIPPED_MAGIC = b"07070X"  # names and sizes are in the header, for files of 4 GiB and more
_CPIO_FIELDS = 13  # of 8 hexadecimal digits
_HEXADECIMAL = re.compile(rb"[0-9a-fA-F]*")
_END = "TRAILER!!!"


class CpioMember(NamedTuple):
    """A member of a cpio archive; `identity` is equal for the names of one file, else None."""

    name: str
    mode: int
    mtime: int
    size: int
    identity: tuple[int, ...] | None


def rpm_members(archive: Path, stream: IO[bytes]) -> Iterator[tuple[CpioMember, Piece]]:
    """Yield the members of an RPM package, a file that can seek, in order, with their content.

    Of a file with several names, only the last has the content.

    Raises:
        ArchiveError: a header is larger than its limit; ValueError, EOFError: it is damaged.
    """
    lead = read_exactly(stream, _LEAD)
    if lead[:4] != MAGIC:
        raise ValueError("it does not begin as an RPM package does")
    size = _skip_header(archive, stream)
    read_exactly(stream, -size % 8)  # the header of signatures is padded
    _skip_header(archive, stream)
    start = stream.tell()
    kind = kind_of_compression(stream.read(_PEEKED))
    stream.seek(start)
    files = decompressed_stream(stream, kind or "cpio")
    yield from cpio_members(archive, files)
    while files.read(_CHUNK):  # the checksum of a compressed stream is at its end
        pass


def _skip_header(archive: Path, stream: IO[bytes]) -> int:
    magic, entries, size = _HEADER.unpack(read_exactly(stream, _HEADER.size))
    if magic != _HEADER_MAGIC:
        raise ValueError("a header does not begin as it should")
    size += entries * _INDEX_ENTRY
    if size > ARCHIVE_INDEX.value:
        raise ArchiveError(
            f"{archive}: a header is larger than {ARCHIVE_INDEX.shown}, the limit "
            f"{ARCHIVE_INDEX.name}",
            archive=archive,
            hint=ARCHIVE_INDEX.hint,
        )
    Piece(stream, size).skip()
    return int(size)


def cpio_members(archive: Path, stream: IO[bytes]) -> Iterator[tuple[CpioMember, Piece]]:
    """Yield the members of a cpio archive in order, with their content; raises as `rpm_members`."""
    while True:
        magic = read_exactly(stream, 6)
        if magic == _STRIPPED_MAGIC:
            raise ValueError("its files have sizes that envy does not read (4 GiB or more)")
        if magic not in _CPIO_MAGICS:
            raise ValueError("its files are in another format than cpio's new one")
        digits = read_exactly(stream, 8 * _CPIO_FIELDS)
        if not _HEXADECIMAL.fullmatch(digits):
            raise ValueError("an entry has a header that is not of hexadecimal digits")
        fields = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
        inode, mode, _, _, links, mtime, size, *device, _, _, name_size, _ = fields
        if name_size > ARCHIVE_HEADER.value:
            raise ArchiveError(
                f"{archive}: an entry has a name of more than {ARCHIVE_HEADER.shown}, the limit "
                f"{ARCHIVE_HEADER.name}",
                archive=archive,
                hint=ARCHIVE_HEADER.hint,
            )
        name = read_exactly(stream, name_size).split(b"\0")[0].decode("utf-8", "surrogateescape")
        read_exactly(stream, -(6 + 8 * _CPIO_FIELDS + name_size) % 4)
        if name == _END:
            return
        is_shared = stat.S_ISREG(mode) and links > 1
        piece = Piece(stream, size)
        identity = (inode, *device) if is_shared else None
        yield CpioMember(name, mode, mtime, size, identity), piece
        piece.skip()
        read_exactly(stream, -size % 4)


def extract_rpm(job: Unpacking) -> None:
    """Unpack the files of an RPM package; raises as `rpm_members`."""
    shared: dict[tuple[int, ...], list[CpioMember]] = {}
    with job.archive.open("rb") as stream:
        for member, content in rpm_members(job.archive, stream):
            if member.identity is not None and not member.size:
                shared.setdefault(member.identity, []).append(member)
                continue
            _write(job, member, cast("IO[bytes]", content))
            if member.identity is not None:
                _link(job, member, shared.pop(member.identity, []))
    for first, *others in shared.values():
        write_file(job, first.name, (), mode=first.mode, mtime=first.mtime)
        _link(job, first, others)


def _link(job: Unpacking, member: CpioMember, others: list[CpioMember]) -> None:
    for other in others:
        write_hard_link(job, other.name, member.name)


def _write(job: Unpacking, member: CpioMember, content: IO[bytes]) -> None:
    if stat.S_ISDIR(member.mode):
        write_folder(job, member.name, mtime=member.mtime)
    elif stat.S_ISREG(member.mode):
        write_file(job, member.name, pieces_of(content), mode=member.mode, mtime=member.mtime)
    elif stat.S_ISLNK(member.mode):
        if member.size > ARCHIVE_HEADER.value:
            raise ValueError(f"the link {member.name!r} has a target of {member.size} bytes")
        write_symlink(job, member.name, content.read().decode("utf-8", "surrogateescape"))
    else:
        raise job.refuse(member.name, "is a device, a pipe or of an unknown type")
