"""What a payload is: each file with its digest, and which of them hold paths into the cache.

Every file is read once, for its digest, for the paths of entries (of no use under another root)
and for what it may not hold: the path of a dependency that is only there while building.

Only plain bytes are seen: a path inside something compressed is not found.

The first line says the format, the root and the totals; each other line is one member: relative
path, kind, mode, size, digest, and the entries whose paths it holds. What is written down is how
the payload will be once it is published: without permission to write, unless it is `writable`.
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

from envy.cache.names import ASSETS_FOLDER, ENTRY_PATTERN
from envy.cache.trees import DIRECTORY, FILE, LARGE, LINK, Member, chunks, members
from envy.errors import CacheError
from envy.interpreter import released

FORMAT = 1

# Below this many bytes a thread costs more than it saves.
_PARALLEL_FROM = 8 << 20
_READERS = 4
_WRITE_BITS = 0o222

# `<identity>/<platform>-blake3-<16 digits>`, after the path of the entries.
_ENTRY_NAME = rb"([\w@.+-]+[/\\]" + ENTRY_PATTERN.encode("ascii") + rb")"
_LONGEST_ENTRY_NAME = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A payload as it was: `text` is what is kept, the lists are what must reach the disk."""

    text: str
    files: Sequence[str]
    dirs: Sequence[str]
    modes: Sequence[tuple[str, int]]  # what is to lose its permission to be written, files first
    holds_root: bool


@dataclass(frozen=True, slots=True)
class _SearchTerms:
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


def take_fingerprint(
    root: str, asset: str, *, forbidden: Mapping[bytes, str], writable: bool = False
) -> Fingerprint:
    """Read a whole payload.

    Raises:
        CacheError: a file holds a forbidden path, or is no file; names it and the dependency.
    """
    payload = list(members(asset))
    terms = _search_terms(root, forbidden) if payload else None
    found = _read_all(payload, terms) if terms else []
    for member, (_digest, names) in zip(payload, found, strict=True):
        if names.forbidden:
            raise _forbidden(member, names.forbidden)
    keep = 0o7777 if writable else ~_WRITE_BITS
    rows = [
        _line(member, keep, digest, sorted(names.entries))
        for member, (digest, names) in zip(payload, found, strict=True)
    ]
    header = {
        "format": FORMAT,
        "digest": "blake3",
        "root": root,
        "writable": writable,
        "files": sum(member.kind != DIRECTORY for member in payload),
        "size": sum(member.status.st_size for member in payload if member.kind == FILE),
    }
    dirs = [asset, *(member.path for member in payload if member.kind == DIRECTORY)]
    return Fingerprint(
        text="\n".join([json.dumps(header), *rows]) + "\n",
        files=[member.path for member in payload if member.kind == FILE],
        dirs=dirs,
        modes=[] if writable else list(_modes_to_set(asset, payload)),
        holds_root=any(names.entries for _digest, names in found),
    )


def _modes_to_set(asset: str, payload: Sequence[Member]) -> Iterator[tuple[str, int]]:
    """What can be written now, with the mode it gets; files first, the payload itself last."""
    kinds = {FILE: 0, DIRECTORY: 1}
    closing = sorted((m for m in payload if m.kind in kinds), key=lambda m: kinds[m.kind])
    modes = [(member.path, stat.S_IMODE(member.status.st_mode)) for member in closing]
    modes.append((asset, stat.S_IMODE(os.lstat(asset).st_mode)))
    for path, mode in modes:
        if mode & _WRITE_BITS:
            yield path, mode & ~_WRITE_BITS


def _read_all(payload: Sequence[Member], terms: _SearchTerms) -> list[tuple[str, _Found]]:
    """Digest and finds of each member, in order."""
    if sum(member.status.st_size for member in payload if member.kind == FILE) < _PARALLEL_FROM:
        return [_read(member, terms) for member in payload]
    from concurrent.futures import ThreadPoolExecutor

    # Reading and hashing let go of the interpreter, so a few files at once are a gain even where
    # searching them takes turns. The largest first, so that none is left over at the end.
    order = sorted(range(len(payload)), key=lambda index: -payload[index].status.st_size)
    with released(), ThreadPoolExecutor(max_workers=_READERS) as pool:
        read = dict(zip(order, pool.map(lambda i: _read(payload[i], terms), order), strict=True))
    return [read[index] for index in range(len(payload))]


def _line(member: Member, keep: int, digest: str, entries: list[str]) -> str:
    mode, size = stat.S_IMODE(member.status.st_mode), member.status.st_size
    if member.kind != LINK:
        mode &= keep
    return json.dumps([member.relative, member.kind, f"{mode:o}", size, digest, entries])


def _forbidden(member: Member, dependency: str) -> CacheError:
    return CacheError(
        f"{member.path} holds the path of {dependency}, which is only there while building",
        path=Path(member.path),
        hint=f'declare {dependency} with use = "run", or keep its path out of what is installed',
    )


def _read(member: Member, terms: _SearchTerms) -> tuple[str, _Found]:
    """The digest of a file or of what a link says, and the paths found in it."""
    found = _Found()
    if member.kind == DIRECTORY:
        return "", found
    hasher = blake3()
    tail = b""
    for chunk in _content(member):
        hasher.update(chunk)
        _search(tail + chunk if tail else chunk, terms, found)
        # A path may begin in one piece and end in the next.
        tail = chunk[-terms.overlap :] if member.status.st_size >= LARGE else b""
    return hasher.hexdigest(), found


def _content(member: Member) -> Iterator[bytes]:
    if member.kind == LINK:
        return iter([os.fsencode(os.readlink(member.path))])
    return chunks(member.path, member.status.st_size)


def _search(data: bytes, terms: _SearchTerms, found: _Found) -> None:
    suspects: list[Mapping[bytes, str]] = [terms.elsewhere]
    if any(prefix in data for prefix in terms.prefixes):
        found.entries.update(name.decode("ascii") for name in terms.entries.findall(data))
        suspects.append(terms.within)
    for suspect in suspects:
        for path, dependency in suspect.items():
            if path in data and not found.forbidden:
                found.forbidden = dependency


def _search_terms(root: str, forbidden: Mapping[bytes, str]) -> _SearchTerms:
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
    return _SearchTerms(entries, prefixes, within, elsewhere, overlap)


@functools.lru_cache(maxsize=8)
def _entry_prefixes(root: str) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
    names = dict.fromkeys(
        os.path.join(base, ASSETS_FOLDER, "") for base in (root, os.path.realpath(root))
    )
    prefixes = tuple(map(os.fsencode, names))
    return prefixes, re.compile(b"(?:" + b"|".join(map(re.escape, prefixes)) + b")" + _ENTRY_NAME)
