"""Files in which the length of a string is written before it.

Texts are those of PHP, netstrings and bencode; others are no texts, though they may look like one:
MessagePack, CBOR and Protocol Buffers.
"""

import re
import string
from collections.abc import Collection

# `57:"…"` as PHP writes it, and `57:…,` (a netstring).
_LENGTH = re.compile(rb'(\d{1,9}):("?)')

# Characters that texts have not; some do have a backspace or an escape.
_CONTROL = re.compile(rb"[\x01-\x07\x0e-\x1a\x1c-\x1f\x7f]")
_CONTROL_ABOVE = re.compile(rb"[\x80-\x9f]")  # in Latin 1; UTF-8 and MessagePack have such bytes
_TEXT_8, _BYTES_8, _CBOR_8 = 0xD9, 0xC4, 0x78  # what is before a length of one byte
_DELIMITED = 2  # the kind of a field of Protocol Buffers, in its last three bits
_FILE_URL = b"file://"
_SHORTEST_NAME = len("a@1/x-blake3-0123456789abcdef")  # of an entry, after a path
_PUNCTUATION = frozenset(string.punctuation.encode("ascii"))
_GOES_ON = re.compile(rb"[\w.+/@-]")  # so does a path


def is_no_text(data: bytes, places: Collection[int], shortest: int) -> bool:
    """Return whether data without NUL bytes is no text, so that lengths in it may count.

    The paths at `places` have at least `shortest` bytes.
    """
    if data.startswith(b"#!"):
        return False
    if _CONTROL.search(data) or (_CONTROL_ABOVE.search(data) and not _is_utf_8(data)):
        return True
    return any(
        _has_length(data, start, shortest)
        or (
            data.endswith(_FILE_URL, 0, start)
            and _has_length(data, start - len(_FILE_URL), shortest)
        )
        for start in places
    )


def _has_length(data: bytes, start: int, shortest: int) -> bool:
    """Return whether the length of the string that begins there is before it, in one byte."""
    if start < 2:
        return False
    kind, size = data[start - 2], data[start - 1]
    if kind not in {_TEXT_8, _BYTES_8, _CBOR_8} and kind & 7 != _DELIMITED:
        return False
    text = data[start : start + size]
    if not shortest + _SHORTEST_NAME <= size == len(text) or text.split() != [text]:
        return False
    # Texts have such a character before a path, too: `libdir=/…`. A length says where that ends.
    end = start + size
    return size not in _PUNCTUATION or not _GOES_ON.match(data, end)


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
