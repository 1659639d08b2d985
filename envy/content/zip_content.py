"""The content of a member of a zip, read at its place in the file.

Owns the checks that `zipfile` makes when it opens a member and reads it to its end: the local
header, the size and the CRC; and one more: members must not overlap. Knows stored and deflated
members; others are left to `zip_file`. May be used by several threads at once: nothing is shared
but the descriptor, whose position is neither used nor changed.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from envy.content.inflate import RAW, checksum, inflate, inflater
from envy.content.zip_names import raw_name

if TYPE_CHECKING:
    import zipfile

# Reads so many bytes at an offset, fewer at the end of the file.
ReadAt = Callable[[int, int], bytes]

_STORED, _DEFLATED = 0, 8
# Encrypted, patched, strongly encrypted, with an encrypted list of names.
_UNUSUAL = 0x01 | 0x20 | 0x40 | 0x2000
_LOCAL = struct.Struct("<4s22xHH")  # its magic number, and the lengths of the name and the fields
_MAGIC = b"PK\x03\x04"
_SLACK = 64  # the fields of a local header are often longer than those in the list of names
WHOLE = 1 << 20  # members up to this size are inflated in one piece
_STEP = 1 << 18


def is_plain(member: "zipfile.ZipInfo") -> bool:
    """Return whether `content_pieces` knows how this member is stored."""
    return member.compress_type in {_STORED, _DEFLATED} and not member.flag_bits & _UNUSUAL


def ends_of(members: Sequence["zipfile.ZipInfo"], index_at: int) -> dict[int, int]:
    """Return where each member must have ended: where the next one, or the list of names, begins.

    By the offsets of their headers; two members at the same offset leave no room for the first.

    Raises:
        EOFError: a member would be before the begin of the file, or after the list of names.
    """
    offsets = sorted(member.header_offset for member in members)
    if offsets and (offsets[0] < 0 or offsets[-1] >= index_at):
        raise EOFError("its list of names is not where it says")
    ends: dict[int, int] = {}
    for at, end in pairwise([*offsets, index_at]):
        ends[at] = min(end, ends.get(at, end))
    return ends


def content_pieces(pread: ReadAt, member: "zipfile.ZipInfo", end: int) -> Iterable[bytes]:
    """Return the content of a member, which must have ended before `end`.

    A large member is inflated while the pieces are taken; never is more returned than the list of
    names says, and an error follows if it is less, or other bytes.

    Raises:
        BadZipFile, EOFError, zlib.error: the member is damaged.
    """
    is_small = max(member.compress_size, member.file_size) <= WHOLE
    name = raw_name(member)
    ahead = _LOCAL.size + len(name) + len(member.extra) + _SLACK
    ahead += member.compress_size if is_small else 0
    head = pread(ahead, member.header_offset)
    begin = _check_header(head, name, member)
    start = member.header_offset + begin
    if start + member.compress_size > end:
        raise _bad(f"Overlapped entries: {member.filename!r}")
    if not (member.compress_size or member.file_size):
        _verify(member, 0, 0)  # some programs write that of an empty file, whatever its method
        return ()
    if not is_small:
        return _large(pread, member, start)
    raw = memoryview(head)[begin : begin + member.compress_size]
    if len(raw) < member.compress_size:
        raw = memoryview(_exactly(pread, member.compress_size, start))
    data = inflate(raw, member.file_size) if member.compress_type == _DEFLATED else bytes(raw)
    _verify(member, len(data), checksum()(data, 0))
    return (data,)


def _check_header(head: bytes, name: bytes, member: "zipfile.ZipInfo") -> int:
    """Return where the content begins, counted from the header."""
    if len(head) < _LOCAL.size:
        raise EOFError("a member ends within its header")
    magic, name_size, fields_size = _LOCAL.unpack_from(head)
    if magic != _MAGIC:
        raise _bad("Bad magic number for file header")
    found = head[_LOCAL.size : _LOCAL.size + name_size]
    if found != name:
        raise _bad(f"File name in directory {member.orig_filename!r} and header {found!r} differ.")
    begin: int = _LOCAL.size + name_size + fields_size
    return begin


def _exactly(pread: ReadAt, size: int, at: int) -> bytes:
    data = pread(size, at)
    if len(data) < size:
        raise EOFError("a member is cut off")
    return data


def _large(pread: ReadAt, member: "zipfile.ZipInfo", start: int) -> Iterator[bytes]:
    size = crc = 0
    add = checksum()
    stored = member.compress_type == _STORED
    for data in _stored(pread, member, start) if stored else _inflated(pread, member, start):
        size += len(data)
        if size > member.file_size:
            break
        crc = add(data, crc)
        yield data
    _verify(member, size, crc)


def _stored(pread: ReadAt, member: "zipfile.ZipInfo", start: int) -> Iterator[bytes]:
    end = start + member.compress_size
    for at in range(start, end, WHOLE):
        yield _exactly(pread, min(WHOLE, end - at), at)


def _inflated(pread: ReadAt, member: "zipfile.ZipInfo", start: int) -> Iterator[bytes]:
    stream = inflater(RAW)
    end = start + member.compress_size
    at = start
    data = b""
    while not stream.eof:
        if not data:
            data = _exactly(pread, min(_STEP, end - at), at)
            at += len(data)
        found = stream.decompress(data, WHOLE)
        if not found and not data:
            raise EOFError("a member is incomplete")
        data = stream.unconsumed_tail
        if found:
            yield found


def _verify(member: "zipfile.ZipInfo", size: int, crc: int) -> None:
    if size != member.file_size:
        raise _bad(f"Bad size for file {member.filename!r}")
    if crc != member.CRC:
        raise _bad(f"Bad CRC-32 for file {member.filename!r}")


def _bad(why: str) -> Exception:
    import zipfile

    return zipfile.BadZipFile(why)
