"""Formats that sort, hash or sum their content: a path in them cannot be patched in place.

Pure functions of the bytes of a file. Even with the same length, another path is then in the wrong
place of an index, or differs from a checksum.
"""

import struct
from collections.abc import Collection

_SORTED = "is a database, which sorts or hashes what it holds"
_SUMMED = "has a checksum over what it holds"
_AT_BEGINNING = {
    b"SQLite format 3\0": _SORTED,
    b"TDB file\n": _SORTED,
    b"DIRC": _SUMMED,  # the index of a Git checkout
    b"\x89PNG\r\n": _SUMMED,
    b"\x89HDF\r\n": _SUMMED,
    b"\xed\xab\xee\xdb": _SUMMED,  # an RPM package
    b"!<arch>\ndebian-binary": _SUMMED,
    b"070702": _SUMMED,  # cpio
    b"7z\xbc\xaf\x27\x1c": _SUMMED,
    b"\x04\x22\x4d\x18": _SUMMED,  # LZ4
    b"LZIP": _SUMMED,
}
_DATABASES = {  # numbers of 4 bytes in either order, by where they are
    0: {0x13579ACD, 0x13579ACE, 0x13579ACF, 0x13579AD0},  # GDBM
    12: {0x00053162, 0x00061561, 0x00042253},  # Berkeley DB
    16: {0xBEEFC0DE},  # LMDB
}
_TAR, _TAR_AT = b"ustar", 257
_ZIP_MEMBER, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_ZIP_END_SIZE = 22  # bytes, without a comment
_LONGEST_COMMENT = 65_535


def why_not_patched(data: bytes, places: Collection[int]) -> str:
    """Return why paths at these places cannot be patched at the same length; "" if they can."""
    for beginning, why in _AT_BEGINNING.items():
        if data.startswith(beginning):
            return why
    for at, numbers in _DATABASES.items():
        word = data[at : at + 4]
        if len(word) == 4 and not numbers.isdisjoint(struct.unpack("<I", word) + _big(word)):
            return _SORTED
    if data.startswith(_TAR, _TAR_AT):
        return _SUMMED
    # A zip archive may follow a program or a `#!` line, which have no checksum.
    if _ends_as_zip(data) and max(places, default=-1) > data.find(_ZIP_MEMBER) >= 0:
        return _SUMMED
    return ""


def _big(word: bytes) -> tuple[int, ...]:
    return struct.unpack(">I", word)


def _ends_as_zip(data: bytes) -> bool:
    at = data.rfind(_ZIP_END, max(0, len(data) - _ZIP_END_SIZE - _LONGEST_COMMENT))
    if at < 0 or at + _ZIP_END_SIZE > len(data):
        return False
    return at + _ZIP_END_SIZE + int.from_bytes(data[at + 20 : at + 22], "little") == len(data)
