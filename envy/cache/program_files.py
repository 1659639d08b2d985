"""What programs and libraries say about themselves: where they look for libraries, and signatures.

Pure functions of the bytes of a file, whatever they are: a damaged file says nothing.
"""

import os
import posixpath
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Read = TypeVar("_Read")

_LOAD, _DYNAMIC = 1, 2  # kinds of segments
_END, _STRINGS, _RPATH, _RUNPATH = 0, 5, 15, 29  # tags of the dynamic section
_ORIGIN = b"$ORIGIN"
_COMPRESSED = 0x800  # a flag of a section
_MOST_SECTIONS = 65_535
_MODULE_SIGNATURE = b"~Module signature appended~\n"
_MACH_SIGNATURE = 0x1D
_MACH = {
    b"\xce\xfa\xed\xfe": ("<", 28),
    b"\xcf\xfa\xed\xfe": ("<", 32),
    b"\xfe\xed\xfa\xce": (">", 28),
    b"\xfe\xed\xfa\xcf": (">", 32),
}
_FAT = b"\xca\xfe\xba\xbe"
_MOST_SLICES = 32  # more are a version of a Java class, which has the same first bytes


def rpath_parts(data: bytes) -> dict[int, int]:
    """Return where each folder in the RPATH or RUNPATH of an ELF file begins, and where it ends."""
    return _sound(_rpath_parts, data) or {}


def from_origin(inner: str, target: bytes, size: int) -> bytes | None:
    """Return a folder in an RPATH, relative to a program, in exactly `size` bytes.

    `inner` and `target` are the paths of the program and the folder below a common one. None if
    there is no room, or the folder is named by way of another.
    """
    if b".." in target.split(b"/"):
        return None
    relative = posixpath.relpath(b"/" + target, posixpath.dirname(b"/" + os.fsencode(inner)))
    room = size - len(_ORIGIN) - len(relative)
    return _ORIGIN + b"/" * room + relative if room > 0 else None


def compressed_sections(data: bytes) -> list[tuple[str, bytes]]:
    """Return the compressed sections of an ELF file: how each is compressed, and its bytes."""
    return _sound(lambda elf: list(_compressed_sections(elf)), data) or []


def signature_of(data: bytes) -> str:
    """Return what kind of code signature a program has; "" if it has none."""
    if data[:4] in _MACH or data[:4] == _FAT:
        return "a code signature of macOS" if _sound(_is_signed_mach, data) else ""
    if data[:2] == b"MZ":
        return "an Authenticode signature" if _sound(_is_signed_pe, data) else ""
    return "the signature of a kernel module" if data.endswith(_MODULE_SIGNATURE) else ""


def _sound(read: Callable[[bytes], _Read], data: bytes) -> _Read | None:
    try:
        return read(data)
    except (struct.error, ValueError, IndexError, OverflowError):
        return None


class _Elf:
    """The tables of an ELF file, of either width and order of bytes."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\x7fELF" or data[4] not in {1, 2} or data[5] not in {1, 2}:
            raise ValueError("not an ELF file")
        self.data = data
        self.wide = data[4] == 2
        self.order = "<" if data[5] == 1 else ">"

    def read(self, form: str, offset: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.data, offset)

    def segments(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the kind, offset, address and size in the file of each segment."""
        (table,) = self.read("Q", 32) if self.wide else self.read("I", 28)
        size, count = self.read("HH", 54 if self.wide else 42)
        for number in range(count):
            at = table + number * size
            if self.wide:
                kind, _, offset, address, _, length = self.read("IIQQQQ", at)
            else:
                kind, offset, address, _, length = self.read("IIIII", at)
            yield kind, offset, address, length

    def sections(self) -> Iterator[tuple[int, int, int]]:
        """Yield the flags, offset and size of each section."""
        (table,) = self.read("Q", 40) if self.wide else self.read("I", 32)
        size, count = self.read("HH", 58 if self.wide else 46)
        for number in range(min(count, _MOST_SECTIONS) if table else 0):
            at = table + number * size
            if self.wide:
                _, _, flags, _, offset, length = self.read("IIQQQQ", at)
            else:
                _, _, flags, _, offset, length = self.read("IIIIII", at)
            yield flags, offset, length


def _rpath_parts(data: bytes) -> dict[int, int]:
    if data[:4] != b"\x7fELF":
        return {}
    elf = _Elf(data)
    segments = list(elf.segments())
    tags = list(_dynamic_tags(elf, segments))
    strings = next((value for tag, value in tags if tag == _STRINGS), 0)
    found: dict[int, int] = {}
    for kind, offset, address, length in segments:
        if kind == _LOAD and address <= strings < address + length:
            base = strings - address + offset
            for start in (base + value for tag, value in tags if tag in {_RPATH, _RUNPATH}):
                found |= _parts(data, start)
    return found


def _dynamic_tags(
    elf: _Elf, segments: Iterable[tuple[int, int, int, int]]
) -> Iterator[tuple[int, int]]:
    form = elf.order + ("QQ" if elf.wide else "II")
    for kind, offset, _address, length in segments:
        if kind == _DYNAMIC:
            table = elf.data[offset : offset + length]
            for tag, value in struct.iter_unpack(
                form, table[: len(table) & -struct.calcsize(form)]
            ):
                if tag == _END:
                    return
                yield tag, value


def _parts(data: bytes, start: int) -> dict[int, int]:
    found = {}
    for part in data[start : data.index(b"\0", start)].split(b":"):
        found[start] = start + len(part)
        start += len(part) + 1
    return found


def _compressed_sections(data: bytes) -> Iterator[tuple[str, bytes]]:
    if data[:4] != b"\x7fELF":
        return
    elf = _Elf(data)
    for flags, offset, length in elf.sections():
        if flags & _COMPRESSED:
            (kind,) = elf.read("I", offset)
            start = offset + (24 if elf.wide else 12)
            yield {1: "zlib", 2: "zstd"}.get(kind, ""), data[start : offset + length]


def _is_signed_mach(data: bytes) -> bool:
    if data[:4] != _FAT:
        return _is_signed_slice(data, 0)
    (count,) = struct.unpack_from(">I", data, 4)
    if count > _MOST_SLICES:
        return False
    starts = [struct.unpack_from(">I", data, 8 + 20 * number + 8)[0] for number in range(count)]
    return any(_is_signed_slice(data, start) for start in starts)


def _is_signed_slice(data: bytes, start: int) -> bool:
    order, at = _MACH.get(data[start : start + 4], ("", 0))
    if not order:
        return False
    (count,) = struct.unpack_from(f"{order}I", data, start + 16)
    for _ in range(count):
        command, size = struct.unpack_from(f"{order}II", data, start + at)
        if command == _MACH_SIGNATURE:
            return True
        if size < 8:
            return False
        at += size
    return False


def _is_signed_pe(data: bytes) -> bool:
    (header,) = struct.unpack_from("<I", data, 0x3C)
    if data[header : header + 4] != b"PE\0\0":
        return False
    (magic,) = struct.unpack_from("<H", data, header + 24)
    size: int
    _address, size = struct.unpack_from("<II", data, header + 24 + (144 if magic == 0x20B else 128))
    return size > 0


# `123:"…"` as PHP writes it, and `123:…,` (a netstring).
_LENGTH = re.compile(rb'(\d{1,9}):("?)')


def has_length_before(data: bytes, start: int, end: int) -> bool:
    """Return whether a part of a text is in a string whose length is written before it."""
    line = max(data.rfind(b"\n", 0, start) + 1, start - 65_536)
    for match in _LENGTH.finditer(data, line, start):
        begins, close = match.end(), match[2] or b","
        ends = begins + int(match[1])
        if end <= ends and data[ends : ends + 1] == close:
            return True
    # A dictionary or list of bencode, which torrents are.
    return data[:1] in {b"d", b"l"} and _LENGTH.match(data, 1) is not None
