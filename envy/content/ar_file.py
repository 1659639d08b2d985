"""Reading `ar` archives, and the files of Debian packages, which are such archives.

The formats are those of ar(5), with the long names of GNU and of BSD, and of deb(5), version 2.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

from envy.content.decompression import decompressed_stream, kind_of_compression
from envy.content.extraction import Unpacking, write_file
from envy.content.piece import Piece, read_exactly
from envy.content.unpacked_size import pieces_of
from envy.errors import ArchiveError
from envy.limits import ARCHIVE_HEADER

MAGIC = b"!<arch>\n"
DEBIAN_MAGIC = MAGIC + b"debian-binary"
_HEADER = 60
_PEEKED = 512
_LONG_NAME = re.compile(r"/([0-9]{1,15})")
_BSD_NAME = re.compile(r"#1/([0-9]{1,15})")
# Indexes of symbols, which linkers use; they are not files.
_INDEXES = frozenset({"/", "/SYM64/", "__.SYMDEF", "__.SYMDEF SORTED", "__.SYMDEF_64"})


class ArMember(NamedTuple):
    """A file of an ar archive, with its permissions and its time in seconds."""

    name: str
    mode: int
    mtime: int


def ar_members(archive: Path, stream: IO[bytes]) -> Iterator[tuple[ArMember, Piece]]:
    """Yield the files of an ar archive in order, with their content.

    Raises:
        ArchiveError: names are larger than their limit; ValueError, EOFError: it is damaged.
    """
    if read_exactly(stream, len(MAGIC)) != MAGIC:
        raise ValueError("it does not begin as an ar archive does")
    long_names = b""
    while header := stream.read(1):
        header += read_exactly(stream, _HEADER - 1)
        if header[58:] != b"`\n":
            raise ValueError("a header does not end as it should")
        name = header[:16].decode("utf-8", "surrogateescape").rstrip(" ")
        size = _number(header[48:58], 10)
        piece = Piece(stream, size)
        if name == "//":
            long_names = read_exactly(stream, _bounded(archive, size))
        elif name not in _INDEXES:
            name = _whole_name(archive, name, long_names, piece)
            if name not in _INDEXES:
                yield ArMember(name, _number(header[40:48], 8), _number(header[16:28], 10)), piece
            piece.skip()
        else:
            piece.skip()
        if size % 2:
            stream.read(1)  # the last one may be left out


def _whole_name(archive: Path, name: str, long_names: bytes, piece: Piece) -> str:
    if found := _LONG_NAME.fullmatch(name):
        start = int(found[1])
        if start >= len(long_names):
            raise ValueError("a name is outside of the table of long names")
        text = long_names[start : long_names.find(b"\n", start) % (len(long_names) + 1)]
    elif found := _BSD_NAME.fullmatch(name):
        size = _bounded(archive, int(found[1]))
        if size > piece.left:
            raise ValueError("a name is longer than its entry")
        text = read_exactly(cast("IO[bytes]", piece), size).rstrip(b"\0")
    else:
        return name.removesuffix("/")
    return text.decode("utf-8", "surrogateescape").removesuffix("/")


def _bounded(archive: Path, size: int) -> int:
    if size > ARCHIVE_HEADER.value:
        raise ArchiveError(
            f"{archive}: its names are larger than {ARCHIVE_HEADER.shown}, the limit "
            f"{ARCHIVE_HEADER.name}",
            archive=archive,
            hint=ARCHIVE_HEADER.hint,
        )
    return size


def _number(field: bytes, base: int) -> int:
    digits = field.strip(b" ")
    if digits and not digits.isdigit():
        raise ValueError(f"a header has {digits.decode('ascii', 'replace')!r} for a number")
    return int(digits or b"0", base)


def data_of_debian(archive: Path, stream: IO[bytes]) -> IO[bytes]:
    """Return the tar with the files of a Debian package, decompressed.

    Raises:
        ValueError: the package has another format, or has no such tar.
    """
    for number, (member, content) in enumerate(ar_members(archive, stream)):
        piece = cast("IO[bytes]", content)
        if number == 0:
            version = piece.read(_PEEKED).split(b"\n")[0]
            if member.name != "debian-binary" or not version.startswith(b"2."):
                raise ValueError("it is a Debian package of another format than 2.0")
        elif member.name == "data.tar" or member.name.startswith("data.tar."):
            kind = kind_of_compression(content.peek(_PEEKED))
            if not kind and member.name != "data.tar":
                raise ValueError(f"{member.name} is compressed in a way that envy does not know")
            return decompressed_stream(piece, kind or "tar")
    raise ValueError("it is a Debian package without data.tar")


def extract_ar(job: Unpacking) -> None:
    """Unpack the files of an ar archive; raises as `ar_members`."""
    with job.archive.open("rb") as stream:
        for member, content in ar_members(job.archive, stream):
            source = cast("IO[bytes]", content)
            write_file(job, member.name, pieces_of(source), mode=member.mode, mtime=member.mtime)
