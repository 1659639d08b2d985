"""What a payload is: each file with its digest, and which of them hold paths into the cache.

Every file is read once, for its digest, for the paths of entries (of no use under another root)
and for what it may not hold: the path of a dependency that is only there while building.

Only plain bytes are seen: a path inside something compressed is not found.
"""

import functools
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from blake3 import blake3

from envy.cache.trees import DIRECTORY, FILE, LARGE, LINK, Member, chunks, members
from envy.errors import CacheError

FORMAT = 1

# `<identity>/<platform>-blake3-<16 digits>`, after the path of the entries.
_ENTRY_NAME = rb"([\w@.+-]+[/\\][\w.+-]+-blake3-[0-9a-f]{16})"
_LONGEST_ENTRY_NAME = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A payload as it was: `text` is what is kept, the lists are what must reach the disk."""

    text: str
    files: Sequence[str]
    dirs: Sequence[str]
    holds_root: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What to look for in the payload of an entry."""

    entries: re.Pattern[bytes]
    prefixes: tuple[bytes, ...]  # of the paths of entries, as written and with links resolved
    within: Mapping[bytes, str]  # forbidden, and begin with such a prefix
    elsewhere: Mapping[bytes, str]
    overlap: int


@dataclass(slots=True)
class _Found:
    entries: set[str] = field(default_factory=set)
    forbidden: str = ""


def take_fingerprint(root: str, asset: str, *, forbidden: Mapping[bytes, str]) -> Fingerprint:
    """Read a whole payload.

    Raises:
        CacheError: a file holds a forbidden path, or is no file; names it and the dependency.
    """
    lines = [json.dumps({"format": FORMAT, "digest": "blake3", "root": root})]
    files: list[str] = []
    dirs = [asset]
    wanted: _Wanted | None = None
    holds_root = False
    for member in members(asset):
        wanted = wanted or _wanted(root, forbidden)
        if member.kind == DIRECTORY:
            dirs.append(member.path)
            digest, found = "", _Found()
        else:
            if member.kind == FILE:
                files.append(member.path)
            digest, found = _read(member, wanted)
        if found.forbidden:
            raise _forbidden(member, found.forbidden)
        holds_root = holds_root or bool(found.entries)
        lines.append(_line(member, digest, sorted(found.entries)))
    text = "\n".join(lines) + "\n"
    return Fingerprint(text=text, files=files, dirs=dirs, holds_root=holds_root)


def _line(member: Member, digest: str, entries: list[str]) -> str:
    mode, size = stat.S_IMODE(member.status.st_mode), member.status.st_size
    return json.dumps([member.relative, member.kind, f"{mode:o}", size, digest, entries])


def _forbidden(member: Member, dependency: str) -> CacheError:
    return CacheError(
        f"{member.path} holds the path of {dependency}, which is only there while building",
        path=Path(member.path),
        hint=f'declare {dependency} with use = "run", or keep its path out of what is installed',
    )


def _read(member: Member, wanted: _Wanted) -> tuple[str, _Found]:
    """The digest of a file or of what a link says, and the paths found in it."""
    hasher, found = blake3(), _Found()
    tail = b""
    for chunk in _content(member):
        hasher.update(chunk)
        _search(tail + chunk if tail else chunk, wanted, found)
        # A path may begin in one piece and end in the next.
        tail = chunk[-wanted.overlap :] if member.status.st_size >= LARGE else b""
    return hasher.hexdigest(), found


def _content(member: Member) -> Iterator[bytes]:
    if member.kind == LINK:
        return iter([os.fsencode(os.readlink(member.path))])
    return chunks(member.path, member.status.st_size)


def _search(data: bytes, wanted: _Wanted, found: _Found) -> None:
    suspects: list[Mapping[bytes, str]] = [wanted.elsewhere]
    if any(prefix in data for prefix in wanted.prefixes):
        found.entries.update(name.decode("ascii") for name in wanted.entries.findall(data))
        suspects.append(wanted.within)
    for suspect in suspects:
        for path, dependency in suspect.items():
            if path in data and not found.forbidden:
                found.forbidden = dependency


def _wanted(root: str, forbidden: Mapping[bytes, str]) -> _Wanted:
    prefixes, entries = _entry_prefixes(root)
    within: dict[bytes, str] = {}
    elsewhere: dict[bytes, str] = {}
    for path, dependency in forbidden.items():
        if not path.startswith(prefixes[0]):
            elsewhere[path] = dependency
            continue
        # Tools record what they were given, or that with its links resolved.
        within.update({prefix + path[len(prefixes[0]) :]: dependency for prefix in prefixes})
    overlap = max(len(max(prefixes, key=len)) + _LONGEST_ENTRY_NAME, *map(len, forbidden), 0)
    return _Wanted(entries, prefixes, within, elsewhere, overlap)


@functools.lru_cache(maxsize=8)
def _entry_prefixes(root: str) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
    names = dict.fromkeys(
        os.path.join(base, "assets", "") for base in (root, os.path.realpath(root))
    )
    prefixes = tuple(map(os.fsencode, names))
    return prefixes, re.compile(b"(?:" + b"|".join(map(re.escape, prefixes)) + b")" + _ENTRY_NAME)
