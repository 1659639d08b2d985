"""Texts in which the length of a string is written before it: those of PHP, netstrings, bencode."""

import re
from collections.abc import Collection

# `57:"…"` as PHP writes it, and `57:…,` (a netstring).
_LENGTH = re.compile(rb'(\d{1,9}):("?)')


def has_counted_string(data: bytes, places: Collection[int], shortest: int) -> bool:
    """Return whether one of the places, each of at least so many bytes, is in such a string.

    The time is linear in the data and the places.
    """
    if data[:1] in {b"d", b"l"} and _LENGTH.match(data, 1):
        return bool(places)  # a dictionary or list of bencode, which torrents are
    waiting = sorted(places, reverse=True)
    for match in _LENGTH.finditer(data):
        begins, size = match.end(), int(match[1])
        while waiting and waiting[-1] < begins:
            waiting.pop()
        if not waiting:
            return False
        ends = begins + size
        if size < shortest or waiting[-1] + shortest > ends:
            continue
        if data[ends : ends + 1] == (match[2] or b",") and (
            match[2] or _is_line(data, begins, ends)
        ):
            return True
    return False


def _is_line(data: bytes, start: int, end: int) -> bool:
    # A number at the beginning of a line, with a comma so far after it by chance, is no length.
    return data.find(b"\n", start, end) < 0
