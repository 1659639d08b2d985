"""Paths of an entry of which a compiler has made pieces: pure functions of bytes.

gcc copies a text of known length by words of 8 or 16 bytes: `memcpy(to, "/some/path…", 90)`.
Then the path is nowhere in the program as a whole. If its pieces follow each other, the root can
still be patched in them; only the end of the path is elsewhere. Otherwise nothing can.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from envy.cache.names import BEFORE_KEY, DIGITS

_PIECE = 8  # bytes; of sixteen digits, some eight in a row are in one piece
# However `-blake3-` is split by words, one of its halves is whole.
_HALVES = (BEFORE_KEY[:4].encode("ascii"), BEFORE_KEY[4:].encode("ascii"))
BEGINNING = 4  # bytes of the name of an entry, which show that its path goes on in other pieces


def pieces_of(own: str) -> tuple[bytes, ...]:
    """Return texts of which each program has one that holds the path of an entry in pieces."""
    key = own[-DIGITS:].encode("ascii", "replace")
    return tuple(key[start : start + _PIECE] for start in range(DIGITS - _PIECE + 1))


def may_have_pieces(data: bytes) -> bool:
    """Return whether data may hold the path of any entry, whole or in pieces; this is fast."""
    return any(half in data for half in _HALVES)


def has_pieces_only(data: bytes, name: str) -> bool:
    """Return whether data has pieces of the name of an entry outside of where the name is whole.

    A whole name is enough, since paths relative to a program (`$ORIGIN`) have no prefix.
    """
    whole = f"{BEFORE_KEY}{name[-DIGITS:]}".encode("ascii", "replace")
    return any(data.count(piece) > data.count(whole) for piece in pieces_of(name) if piece in data)


def cut_paths(
    data: bytes, prefixes: Sequence[bytes], own: str, whole: Mapping[bytes, Sequence[int]]
) -> dict[bytes, tuple[int, ...]]:
    """Return the offsets of paths of the entry `own` that end elsewhere, by prefix."""
    beginning = own.encode("ascii", "replace")[:BEGINNING]
    found: dict[bytes, tuple[int, ...]] = {}
    for prefix in prefixes:
        known, offsets = {*whole.get(prefix, ())}, []
        at = data.find(prefix + beginning)
        while at >= 0:
            if at not in known:
                offsets.append(at)
            at = data.find(prefix + beginning, at + 1)
        if offsets:
            found[prefix] = tuple(offsets)
    return found


def has_other_pieces(data: bytes, own: str, whole: Mapping[bytes, Sequence[int]]) -> bool:
    """Return whether pieces of the path of an entry lie outside of the whole paths."""
    regions = sorted(
        (offset, offset + len(prefix) + len(own)) for prefix, row in whole.items() for offset in row
    )
    starts = [start for start, _end in regions]
    for piece in pieces_of(own):
        at = data.find(piece)
        while at >= 0:
            index = bisect_right(starts, at) - 1
            if index < 0 or regions[index][1] < at + len(piece):
                return True
            at = data.find(piece, at + 1)
    return False
