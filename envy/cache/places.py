"""The places of a file that hold paths of entries, and so how it can be rewritten elsewhere.

Pure functions of bytes. A path of an entry is a *prefix*, the root of the cache (in any spelling)
and the folder of the entries, with the name of an entry after it. Another root takes the place of
the one in the prefix:

  text    rewritten, whatever the length of the new root (no text has NUL or control characters);
  fixed   patched at the same length, the new root filled up with slashes: what else the file says
          about it (a length, the tail of another string, a folded `strlen`) stays true. Folders in
          the RPATH of a program become relative to it (`$ORIGIN`) if the new root is longer;
  module  a compiled Python module: as fixed, or left out if the new root is longer;
  never   not rewritten, with the reason.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from envy.cache.counted_strings import has_counted_string, is_no_text
from envy.cache.names import ASSET, ASSETS_FOLDER, ENTRY_PATTERN
from envy.cache.path_pieces import cut_paths, has_other_pieces, has_pieces_only
from envy.cache.program_files import (
    from_origin,
    rpath_parts,
    signature_of,
)
from envy.cache.summed_formats import why_not_patched
from envy.limits import RELOCATED_FILE

TEXT, FIXED, MODULE, NEVER = "text", "fixed", "module", "never"
_WAYS = frozenset({TEXT, FIXED, MODULE, NEVER})

# `<identity>/<platform>-blake3-<16 digits>`, after the path of the entries.
ENTRY_NAME = rb"([\w@.+-]+[/\\]" + ENTRY_PATTERN.encode("ascii") + rb")"
BELOW = f"/{ASSETS_FOLDER}/".encode("ascii")  # every prefix ends so
WIDE = BELOW.decode("ascii").encode("utf-16-le")[:-1]  # of both orders: what they have in common
_PATH = re.compile(re.escape(BELOW) + ENTRY_NAME)
_MOST_PLACES = 100_000
LENGTH_BEFORE = "has its length written before it"
# Formats that may have compressed data inside: zip, ELF, gzip, bzip2, xz, zstd.
_MAY_HIDE = (b"PK\x03\x04", b"\x7fELF", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")
_PROGRAMS = (b"\x7fELF", b"!<arch>\n", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")
_IN_PIECES = "holds it in pieces, which a compiler has made of it"
_BINARY = (b"!<arch>\n", b"!<thin>\n", b"%PDF-")


@dataclass(frozen=True, slots=True)
class Places:
    """Where one file holds paths of entries: the offsets of each prefix, in order.

    `rpath` are those of them that are folders in an RPATH; `why` is the reason of `never`.
    """

    how: str
    at: Mapping[bytes, tuple[int, ...]] = field(default_factory=dict)
    rpath: tuple[int, ...] = ()
    why: str = ""

    def longest_prefix(self) -> int | None:
        """Return how many bytes a new prefix may have; None for any."""
        if self.how != FIXED:
            return None
        relative = {*self.rpath}
        fixed = (prefix for prefix, at in self.at.items() if not relative.issuperset(at))
        return min(map(len, fixed), default=None)


def is_program(head: bytes) -> bool:
    """Return whether a file that begins like this holds code of compilers."""
    return head.startswith(_PROGRAMS)


def may_hide(head: bytes) -> bool:
    """Return whether a file that begins like this may have compressed data inside."""
    return head.startswith(_MAY_HIDE)


def find_places(
    data: bytes, prefixes: Sequence[bytes]
) -> tuple[dict[bytes, tuple[int, ...]], set[str]]:
    """Return the offsets of paths of entries by prefix, and the entries below another root."""
    found: dict[bytes, list[int]] = {}
    others: set[str] = set()
    longest_first = sorted(prefixes, key=len, reverse=True)
    for match in _PATH.finditer(data):
        end = match.start() + len(BELOW)
        for prefix in longest_first:
            start = end - len(prefix)
            if start >= 0 and data.startswith(prefix, start):
                found.setdefault(prefix, []).append(start)
                break
        else:
            others.add(match[1].decode("ascii"))
    return {prefix: tuple(offsets) for prefix, offsets in found.items()}, others


def places_in(
    path: str,
    data: bytes,
    prefixes: Sequence[bytes],
    *,
    own: str,
    hidden: str = "",
    is_text: bool = False,
    others: Sequence[str] = (),
) -> Places:
    """Return the places in the content of a file that holds paths of entries.

    `path` is relative to the payload of the entry with the name `own`.
    `hidden` says where the file holds such a path in a form that is not plain, "" for nowhere;
    `is_text` that somebody who knows the file says it is a text in which lengths do not count.
    `others` are entries whose paths it may hold in pieces.
    """
    at, _others = find_places(data, prefixes)
    why = hidden and f"holds it in {hidden}"
    why = why or (signature_of(data) and f"has {signature_of(data)}")
    offsets = [offset for row in at.values() for offset in row]
    why = why or why_not_patched(data, offsets)
    if not why and sum(map(len, at.values())) > _MOST_PLACES:
        why = f"holds it more than {_MOST_PLACES:,} times"
    if why:
        return Places(NEVER, why=why)
    if path.endswith(".pyc") and "__pycache__" in path.split("/")[:-1]:
        return Places(MODULE, at)
    shortest = min(map(len, at), default=0)
    if b"\0" in data or data.startswith(_BINARY) or is_no_text(data, offsets, shortest):
        cut = cut_paths(data, prefixes, own, at)
        if is_program(data) and (
            (not cut and has_other_pieces(data, own, at))
            or any(has_pieces_only(data, name) for name in others)
        ):
            return Places(NEVER, why=_IN_PIECES)
        at = {prefix: (*at.get(prefix, ()), *cut.get(prefix, ())) for prefix in {**at, **cut}}
        relative = relative_folders(path, data, at, own=own)
        return Places(FIXED, at, tuple(sorted(relative)))
    if not is_text and has_counted_string(data, offsets, shortest):
        return Places(NEVER, why=LENGTH_BEFORE)
    return Places(TEXT, at)


def relative_folders(
    path: str, data: bytes, at: Mapping[bytes, Sequence[int]], *, own: str
) -> dict[int, bytes]:
    """Return the folders in an RPATH relative to the program, of the same length, by offset."""
    parts = rpath_parts(data)
    found = {}
    for prefix, start in each_place(at) if parts else ():
        if start in parts:
            target = data[start + len(prefix) : parts[start]]
            new = from_origin(f"{own}/{ASSET}/{path}", target, parts[start] - start)
            if new is not None:
                found[start] = new
    return found


def too_large() -> Places:
    """Return the places of a file that is too large to be rewritten."""
    return Places(
        NEVER, why=f"is larger than {RELOCATED_FILE.shown}, the limit {RELOCATED_FILE.name}"
    )


def each_place(at: Mapping[bytes, Sequence[int]]) -> list[tuple[bytes, int]]:
    """Return each place: its prefix, and its offset."""
    return [(prefix, offset) for prefix, offsets in at.items() for offset in offsets]


# -- as JSON, in the fingerprint -----------------------------------------------------------------


def as_row(places: Places) -> list[object]:
    """Return places as JSON."""
    at = {os.fsdecode(prefix): offsets for prefix, offsets in places.at.items()}
    return [places.how, at, places.rpath, places.why]


def parse_places(rows: object) -> Mapping[str, Places]:
    """Return the places of each file.

    Raises:
        TypeError, ValueError, AttributeError: they have another form.
    """
    if not isinstance(rows, dict):
        raise TypeError("places are no mapping")
    return {path: _parsed(*row) for path, row in rows.items()}


def _parsed(how: Any, at: Any, rpath: Any, why: Any) -> Places:
    if how not in _WAYS or not isinstance(why, str):
        raise TypeError("a place has another form")
    found = {os.fsencode(prefix): _offsets(offsets) for prefix, offsets in at.items()}
    return Places(how, found, _offsets(rpath), why)


def _offsets(row: Any) -> tuple[int, ...]:
    if not all(type(offset) is int for offset in row):
        raise TypeError("an offset is no number")
    return tuple(row)
