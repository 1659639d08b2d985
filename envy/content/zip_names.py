"""The name of a member of a zip, for which programs use several encodings.

A valid Unicode Path field counts first. Then the name is UTF-8, if the archive says so or if its
bytes are valid UTF-8, which many programs write without saying so. Otherwise it is code page 437,
as the format has it.
"""

import struct
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import zipfile

_IS_UTF_8 = 0x800
_UNICODE_PATH = 0x7075
_VERSION = 1


def raw_name(member: "zipfile.ZipInfo") -> bytes:
    """Return the name of a member as it is stored."""
    name = member.orig_filename
    if name.isascii():
        return name.encode()  # the same in both, and faster
    return name.encode("utf-8" if member.flag_bits & _IS_UTF_8 else "cp437")


def member_name(member: "zipfile.ZipInfo") -> str:
    """Return the name of a member, with `/` between its parts unless it was written on DOS."""
    raw = raw_name(member)
    name = _unicode_path(member.extra, raw)
    if name is None:
        name = _utf_8(raw)
    if name is None:
        return member.filename
    return name.partition("\0")[0]  # as zipfile does


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name in the Unicode Path field; None without one for exactly this raw name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        data, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind != _UNICODE_PATH or len(data) != size or size <= 5:
            continue
        version, checksum = struct.unpack_from("<BL", data)
        # Programs that rename a member without knowing the field leave an outdated one.
        if version == _VERSION and checksum == zlib.crc32(raw):
            return _utf_8(data[5:])
    return None


def _utf_8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
