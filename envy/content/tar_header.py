"""The headers of a tar: what 512 bytes say, and what extended headers add to that.

Knows the formats V7, ustar, GNU (long names) and pax, and nothing of how a tar is read. What stands
in a header that envy has no use for, such as owners, is not even looked at.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

BLOCK = 512
FILE, FOLDER, SYMLINK, HARD_LINK, SPARSE, OTHER = (
    "file",
    "folder",
    "link",
    "hard link",
    "sparse",
    "",
)
_KINDS = {
    **dict.fromkeys((b"0", b"\0", b"7"), FILE),
    b"1": HARD_LINK,
    b"2": SYMLINK,
    b"5": FOLDER,
    b"D": FOLDER,  # of an incremental backup of GNU tar, with the names that it had
    b"S": SPARSE,
}
# What extended headers are: names of GNU tar, or records of pax (Solaris writes X in place of x).
LONG_NAME, LONG_LINK, GLOBAL = b"L", b"K", b"g"
LABEL = b"V"  # of a volume, by GNU tar: it is no member
EXTENDED = frozenset({LONG_NAME, LONG_LINK, GLOBAL, b"x", b"X"})
# These have no content, whatever their size says. Other kinds do, known or not.
_WITHOUT_CONTENT = frozenset({b"1", b"2", b"3", b"4", b"5", b"6"})
_GNU_MAGIC = b"ustar  \0"
# Name, mode, (owner,) size, time, checksum, kind, link, magic, (names of owners,) prefix.
_FIELDS = struct.Struct("100s8s16x12s12s8sc100s8s80x155s12x")
_HALF = BLOCK // 2
_MOST_DIGITS = 20
_AFTER_DIGITS = b"\0 "
_RECORD = re.compile(rb"([0-9]{1,20}) ")


class DamagedHeader(ValueError):
    """A header is not one, or what stands in it is not valid."""


class Header(NamedTuple):
    """What one header says; `size` is that of the content after it."""

    type: bytes
    name: str
    link: str
    size: int
    mode: int
    mtime: float

    @property
    def kind(self) -> str:
        """What the member is."""
        if self.type == b"0":  # nearly always
            return FOLDER if self.name[-1:] == "/" else FILE
        if self.type == b"\0" and self.name.endswith("/"):
            return FOLDER  # before ustar, folders were files with such a name
        return _KINDS.get(self.type, OTHER)

    @property
    def content_size(self) -> int:
        """How many bytes of content follow."""
        if self.type == b"0":
            return self.size
        is_old_folder = self.type == b"\0" and self.kind == FOLDER
        return 0 if is_old_folder or self.type in _WITHOUT_CONTENT else self.size


def parse_header(block: bytes) -> Header:
    """Return what a block of 512 bytes says.

    Raises:
        DamagedHeader: its checksum is wrong, or a number in it.
    """
    name, mode, size, mtime, said, kind, link, magic, prefix = _FIELDS.unpack(block)
    _check_sum(block, _number(said), said)
    text = _text(name)
    # GNU tar has other things in the place of the prefix.
    if prefix[0] and magic[:5] == b"ustar" and magic != _GNU_MAGIC:
        text = f"{_text(prefix)}/{text}"
    length = _number(size)
    if length < 0:
        raise DamagedHeader("an entry has a negative size")
    return Header(kind, text, _text(link) if link[0] else "", length, _number(mode), _number(mtime))


def _check_sum(block: bytes, said: int, field: bytes) -> None:
    """Check the sum of all bytes, its own field counted as spaces; some programs sum signed ones.

    Raises:
        DamagedHeader: it is another.
    """
    own = sum(field) - len(field) * 0x20
    unsigned = _sum(block[:_HALF]) + _sum(block[_HALF:]) - own
    if said != unsigned and said != unsigned - 256 * _bytes_from_128(block):
        raise DamagedHeader("a header has a wrong checksum")


def _sum(half: bytes) -> int:
    """Return the sum of at most 256 bytes.

    An Adler-32 has it modulo 65521, which the sum of more could reach, in a sixth of the time.
    """
    return zlib.adler32(half, 0) & 0xFFFF


def _bytes_from_128(block: bytes) -> int:
    """Return how many bytes count 256 less where characters are signed, without the checksum."""
    return sum(byte > 127 for byte in block[:148] + block[156:])


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _number(field: bytes) -> int:
    """Return an octal number, or one of GNU tar with the bytes themselves as digits."""
    if field[-1] in _AFTER_DIGITS and field[:-1].isdigit():  # as all programs write most of them
        try:
            return int(field[:-1], 8)
        except ValueError:
            pass  # 8 and 9 are digits, too
    if field[0] in {0o200, 0o377}:
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0o200 else value - (1 << 8 * (len(field) - 1))
    digits = field.partition(b"\0")[0].strip()
    try:
        return int(digits or b"0", 8)
    except ValueError:
        raise DamagedHeader(f"{digits!r} is not a valid number in a header") from None


def long_text(content: bytes) -> str:
    """Return the long name or link target in the content of a header of GNU tar."""
    return _text(content)


def pax_records(content: bytes) -> Iterator[tuple[str, str]]:
    """Yield the records of a pax header.

    Raises:
        DamagedHeader: a record is not valid.
    """
    at = 0
    while at < len(content) and content[at]:
        match = _RECORD.match(content, at)
        end = at + int(match[1]) if match else at
        if match is None or end > len(content) or end <= match.end() or content[end - 1] != 0x0A:
            raise DamagedHeader("a record of a pax header is not valid")
        key, equals, value = content[match.end() : end - 1].partition(b"=")
        if not equals or not key:
            raise DamagedHeader("a record of a pax header is not valid")
        yield key.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape")
        at = end


def with_extensions(header: Header, extended: dict[str, str]) -> Header:
    """Return a header with what extended headers say in the place of its own fields.

    The name of a folder has no slash at its end.

    Raises:
        DamagedHeader: a size or time is not valid.
    """
    if extended and any(key.startswith("GNU.sparse.") for key in extended):
        header = header._replace(type=b"S")
    for key, value in extended.items():
        if not value:
            continue  # the field of the header itself counts
        if key == "path":
            header = header._replace(name=value.partition("\0")[0])
        elif key == "linkpath":
            header = header._replace(link=value.partition("\0")[0])
        elif key == "size":
            if not (value.isascii() and value.isdigit() and len(value) <= _MOST_DIGITS):
                raise DamagedHeader(f"{value!r} is not a valid size")
            header = header._replace(size=int(value))
        elif key == "mtime":
            header = header._replace(mtime=_time(value))
    if header.type != b"0" and header.kind == FOLDER:
        name = header.name.rstrip("/") or header.name
        kind = header.type if header.type == b"D" else b"5"  # its content follows
        header = header._replace(type=kind, name=name)
    return header


def _time(value: str) -> float:
    try:
        time = float(value)
    except ValueError:
        raise DamagedHeader(f"{value!r} is not a valid time") from None
    return time if abs(time) < 1 << 62 else 0.0
