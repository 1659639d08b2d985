"""The fingerprint of a payload: each file with its digest and the paths of entries it contains.

Every file is read once. The same pass computes its digest, finds the paths of entries (which are
useless under another root), and finds forbidden paths: those of dependencies that are only
available while building. Only a file that an archive brought, that nothing has touched since, and
in which no path of an entry was found while it was written, is not read again.

The search sees plain bytes, UTF-16, and what common compressed formats have inside.

The first line contains the format, the root and the totals, and the places of each file that holds
such a path (see `places`). Each further line describes one member:
relative path, kind, mode, size, digest, and the entries whose paths it contains. Modes are recorded
as they will be after publishing: without write permission, unless the package is `writable`.
"""

import functools
import json
import os
import re
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as _quoted
from pathlib import Path

from blake3 import blake3

from envy.cache.names import ASSETS_FOLDER, PADDING
from envy.cache.path_pieces import BEGINNING, has_pieces_only, may_have_pieces, pieces_of
from envy.cache.places import (
    ENTRY_NAME,
    WIDE,
    Places,
    as_row,
    is_program,
    may_hide,
    name_of,
    places_in,
    too_large,
)
from envy.cache.trees import DIRECTORY, FILE, LARGE, LINK, Member, chunks, members
from envy.content.count_files import CountFiles
from envy.content.written_digests import WrittenDigests
from envy.errors import CacheError
from envy.interpreter import released
from envy.limits import RELOCATED_FILE

FORMAT = 1

# Below this many bytes a thread costs more than it saves.
_PARALLEL_FROM = 8 << 20
_READERS = 4
_WRITE_BITS = 0o222

_LONGEST_ENTRY_NAME = 600 + 4096  # with slashes before it, see `_entry_roots`


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """The fingerprint of a payload: its text, and the paths that must be flushed or closed."""

    text: str
    files: Sequence[str]
    dirs: Sequence[str]
    modes: Sequence[tuple[str, int]]  # paths that lose write permission, files first
    holds_root: bool
    size: int  # bytes in all files


@dataclass(frozen=True, slots=True)
class _SearchTerms:
    """What to search for in the payload of an entry."""

    entries: re.Pattern[bytes]
    roots: tuple[bytes, ...]  # with a slash, as given and with links resolved
    within: Mapping[str, tuple[bytes, str]]  # by entry: what is forbidden after its name
    elsewhere: Mapping[bytes, str]
    overlap: int
    own: str  # the name of the entry
    others: Sequence[str]  # the names of its dependencies
    beginnings: re.Pattern[bytes]  # of paths of the entry, which may end elsewhere


@dataclass(slots=True)
class _Found:
    entries: set[str] = field(default_factory=set)
    forbidden: str = ""
    hidden: str = ""  # the form of a path that is not plain bytes
    prefixes: set[bytes] = field(default_factory=set)
    places: Places | None = None


def take_fingerprint(
    root: str,
    asset: str,
    *,
    payload: Sequence[Member] | None = None,
    forbidden: Mapping[bytes, str],
    writable: bool = False,
    report: CountFiles | None = None,
    spellings: Collection[str] = (),
    written: WrittenDigests | None = None,
    others: Sequence[str] = (),
) -> Fingerprint:
    """Read a whole payload and return its fingerprint.

    `payload` is everything in `asset`, if it was listed before.
    `forbidden` maps paths that the payload must not contain to the dependency that each belongs to.
    `report` is called with the number of members read so far and of all members.
    `spellings` are other paths of the root, which other entries contain.
    `written` has the digests of files that were searched for `search_roots` while they were
    written. `others` are entries whose paths a compiler may have made pieces of.

    Raises:
        CacheError: a file contains a forbidden path (the message names both), or a member is not a
            file, a directory or a link.
    """
    payload = list(members(asset)) if payload is None else payload
    terms = _search_terms(root, asset, forbidden, spellings, others) if payload else None
    found = _digest_all(payload, terms, report, written) if terms else []
    for member, (_digest, names) in zip(payload, found, strict=True):
        if names.forbidden:
            raise _forbidden(member, names.forbidden)
    keep = 0o7777 if writable else ~_WRITE_BITS
    rows = [
        _line(member, keep, digest, sorted(names.entries))
        for member, (digest, names) in zip(payload, found, strict=True)
    ]
    size = sum(member.status.st_size for member in payload if member.kind == FILE)
    header = {
        "format": FORMAT,
        "digest": "blake3",
        "root": root,
        "writable": writable,
        "files": sum(member.kind != DIRECTORY for member in payload),
        "size": size,
        **_places_of_all(payload, [names for _digest, names in found]),
    }
    dirs = [asset, *(member.path for member in payload if member.kind == DIRECTORY)]
    return Fingerprint(
        text="\n".join([json.dumps(header), *rows]) + "\n",
        files=[member.path for member in payload if member.kind == FILE],
        dirs=dirs,
        modes=[] if writable else list(_modes_to_set(asset, payload)),
        holds_root=any(names.entries for _digest, names in found),
        size=size,
    )


def _places_of_all(payload: Sequence[Member], found: Sequence[_Found]) -> dict[str, object]:
    prefixes = {os.fsdecode(prefix) for names in found for prefix in names.prefixes}
    places = {
        member.relative: as_row(names.places)
        for member, names in zip(payload, found, strict=True)
        if names.places is not None
    }
    return {"prefixes": sorted(prefixes), "places": places}


def _modes_to_set(asset: str, payload: Sequence[Member]) -> Iterator[tuple[str, int]]:
    """Yield each writable path with its mode after publishing; files first, `asset` last."""
    for kind in (FILE, DIRECTORY):
        for member in payload:
            mode = member.status.st_mode
            if mode & _WRITE_BITS and member.kind == kind:
                yield member.path, stat.S_IMODE(mode) & ~_WRITE_BITS
    mode = stat.S_IMODE(os.lstat(asset).st_mode)
    if mode & _WRITE_BITS:
        yield asset, mode & ~_WRITE_BITS


def _digest_all(
    payload: Sequence[Member],
    terms: _SearchTerms,
    report: CountFiles | None,
    written: WrittenDigests | None,
) -> list[tuple[str, _Found]]:
    """Return the digest of each member and the paths found in it, in order."""
    if written is None or terms.elsewhere or not {*terms.roots} <= {*written.needles}:
        return _read_all(payload, terms, report)
    nothing = _Found()
    known = [written.find(m.status) if m.kind == FILE else None for m in payload]
    rest = [member for member, digest in zip(payload, known, strict=True) if digest is None]
    others = iter(_read_all(rest, terms, report))
    return [(digest, nothing) if digest is not None else next(others) for digest in known]


def _read_all(
    payload: Sequence[Member], terms: _SearchTerms, report: CountFiles | None
) -> list[tuple[str, _Found]]:
    """Read all members; return the digest of each and the paths found in it, in order."""
    if sum(member.status.st_size for member in payload if member.kind == FILE) < _PARALLEL_FROM:
        rows = []
        for member in payload:
            rows.append(_read(member, terms))
            if report:
                report(len(rows), len(payload))
        return rows
    from concurrent.futures import ThreadPoolExecutor

    # Reading and hashing release the interpreter, so a few threads help even though only one can
    # search at a time. The largest file is first, so that it is not the last to end.
    order = sorted(range(len(payload)), key=lambda index: -payload[index].status.st_size)
    with released(), ThreadPoolExecutor(max_workers=_READERS) as pool:
        read = {}
        found = pool.map(lambda i: _read(payload[i], terms), order)
        for index, row in zip(order, found, strict=True):
            read[index] = row
            if report:
                report(len(read), len(payload))
    return [read[index] for index in range(len(payload))]


def _line(member: Member, keep: int, digest: str, entries: list[str]) -> str:
    mode, size = stat.S_IMODE(member.status.st_mode), member.status.st_size
    if member.kind == DIRECTORY:
        size = 0  # that of a folder depends on the order in which its files were created
    if member.kind != LINK:
        mode &= keep
    names = json.dumps(entries) if entries else "[]"
    # As `json.dumps` writes the row, in a quarter of the time.
    return f'[{_quoted(member.relative)}, "{member.kind}", "{mode:o}", {size}, "{digest}", {names}]'


def _forbidden(member: Member, dependency: str) -> CacheError:
    return CacheError(
        f"{member.path} contains the path of {dependency}, which is only available while building",
        path=Path(member.path),
        hint=f'declare {dependency} with use = "run", or keep its path out of the installed files',
    )


def _read(member: Member, terms: _SearchTerms) -> tuple[str, _Found]:
    """Return the digest of a file's content or a link's target, and the paths found in it."""
    found = _Found()
    if member.kind == DIRECTORY:
        return "", found
    hasher = blake3()
    chunk = tail = b""
    is_first = True
    is_code = False
    for chunk in _content(member):
        hasher.update(chunk)
        if is_first and member.kind == FILE:
            is_code = is_program(chunk[:8])
            if may_hide(chunk[:8]):
                _search_compressed(member.path, terms, found)
        is_first = False
        data = tail + chunk if tail else chunk
        _search(data, terms, found)
        if is_code and may_have_pieces(data):
            found.entries.update(_in_pieces(data, terms, found.entries))
        # A path can begin in one chunk and end in the next.
        tail = chunk[-terms.overlap :] if member.status.st_size >= LARGE else b""
    if found.entries and member.kind == FILE:
        found.places = _places(member, chunk, terms, found)
    return hasher.hexdigest(), found


def _in_pieces(data: bytes, terms: _SearchTerms, known: Set[str]) -> Iterator[str]:
    """Yield the entries whose paths a program has in pieces; each may have none after all."""
    if terms.own not in known and any(piece in data for piece in pieces_of(terms.own)):
        yield terms.own
    for name in terms.others:
        if name not in known and has_pieces_only(data, name):
            yield name


def _places(member: Member, last: bytes, terms: _SearchTerms, found: _Found) -> Places:
    if member.status.st_size > RELOCATED_FILE.value:
        return too_large()
    data = last if len(last) == member.status.st_size else b"".join(_content(member))
    prefixes = sorted(found.prefixes)
    return places_in(
        member.relative, data, prefixes, own=terms.own, hidden=found.hidden, others=terms.others
    )


def _search_compressed(path: str, terms: _SearchTerms, found: _Found) -> None:
    from envy.cache.hidden_paths import compressed_names

    where, names = compressed_names(path, terms.entries, overlap=terms.overlap)
    if names:
        found.hidden = where
        found.entries |= names


def _content(member: Member) -> Iterator[bytes]:
    if member.kind == LINK:
        return iter([os.fsencode(os.readlink(member.path))])
    return chunks(member.path, member.status.st_size)


def _search(data: bytes, terms: _SearchTerms, found: _Found) -> None:
    if any(root in data for root in terms.roots):
        for match in terms.entries.finditer(data):
            found.prefixes.add(match[1])
            name = name_of(match[2])
            found.entries.add(name)
            rest, dependency = terms.within.get(name, (b"", ""))
            if dependency and data.startswith(rest, match.end(2)):
                found.forbidden = found.forbidden or dependency
        found.prefixes.update(match[1] for match in terms.beginnings.finditer(data))
    if WIDE in data:
        from envy.cache.hidden_paths import wide_names

        names = wide_names(data, terms.roots)
        if names:
            found.hidden = "UTF-16"
            found.entries |= names
    for path, dependency in terms.elsewhere.items():
        if path in data and not found.forbidden:
            found.forbidden = dependency


def _search_terms(
    root: str,
    asset: str,
    forbidden: Mapping[bytes, str],
    spellings: Collection[str],
    others: Sequence[str],
) -> _SearchTerms:
    roots, entries = _entry_roots(root, tuple(sorted(spellings)))
    within: dict[str, tuple[bytes, str]] = {}
    elsewhere: dict[bytes, str] = {}
    for path, dependency in forbidden.items():
        # Tools record the path that they were given, or that path with its links resolved, or what
        # they find in a package that was made under another spelling.
        match = entries.match(path)
        if match is None:
            elsewhere[path] = dependency
        else:
            within[name_of(match[2])] = path[match.end(2) :], dependency
    overlap = max(len(max(roots, key=len)) + _LONGEST_ENTRY_NAME, *map(len, forbidden), 0)
    # `<root>/assets/<identity>/<folder>/asset`
    own = "/".join(asset.split(os.sep)[-3:-1])
    prefix = entries.pattern.removesuffix(ENTRY_NAME)
    beginnings = re.compile(prefix + re.escape(os.fsencode(own[:BEGINNING])))
    return _SearchTerms(entries, roots, within, elsewhere, overlap, own, others, beginnings)


def search_roots(root: str, spellings: Collection[str]) -> tuple[bytes, ...]:
    """Return what every path of an entry begins with, in any spelling of the root."""
    return _entry_roots(root, tuple(sorted(spellings)))[0]


@functools.lru_cache(maxsize=8)
def _entry_roots(
    root: str, spellings: tuple[str, ...]
) -> tuple[tuple[bytes, ...], re.Pattern[bytes]]:
    names = dict.fromkeys(
        os.path.join(base, "") for base in (root, os.path.realpath(root), *spellings)
    )
    roots = tuple(map(os.fsencode, names))
    # A relocated program has slashes where its former root was longer, and a padded one a link.
    link = f"/*(?:{PADDING}+/+)?{ASSETS_FOLDER}/"
    above = b"(?:" + b"|".join(map(re.escape, roots)) + b")" + os.fsencode(link)
    return roots, re.compile(b"(" + above + b")" + ENTRY_NAME)
