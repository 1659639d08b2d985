"""Relocation: rewriting an entry that contains paths of the cache that it was built in.

`places` says where each file holds such a path and how it can be rewritten, and `rewriting` does
it. Shims are no part of a payload: they are written anew.

Guarantees
  Everything is looked up and computed before anything is written; an entry that cannot be
  rewritten for its current root stays as it is, and the reason names the file.
  The marker is removed first and written last, after the payload was read again.
"""

import dataclasses
import fnmatch
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from envy.cache.explanation import read_key_record
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS
from envy.cache.places import (
    BELOW,
    FIXED,
    LENGTH_BEFORE,
    MODULE,
    NEVER,
    Places,
    find_places,
    places_in,
)
from envy.cache.python_modules import source_of_module, with_size_of_source
from envy.cache.python_records import digest_in_record, is_record, with_new_digests
from envy.cache.read import read_marker
from envy.cache.rewriting import NotRewritten, new_content, new_target
from envy.cache.trees import FILE, LINK
from envy.cache.verify import RecordedFingerprint, Row, read_fingerprint
from envy.cache.write import seal, unpublish
from envy.content.below_root import BelowRoot
from envy.content.brought import LeadsOutside
from envy.content.plain_file import NotPlain, read_open_file, read_plain
from envy.limits import CACHE_FILE, RELOCATED_FILE

_LONGEST_LINK = 4095  # bytes


@dataclass(frozen=True, slots=True)
class Relocatable:
    """Whether an entry can be used under other roots, judged by its fingerprint.

    `why_not` is the reason if it cannot, else "". `longest_root` is how many bytes the path of
    another root may have; None for any.
    """

    why_not: str = ""
    longest_root: int | None = None


def relocatable(recorded: RecordedFingerprint, patterns: Sequence[str] = ()) -> Relocatable:
    """Return under which roots an entry can be used; `patterns` are `relocate` of its recipe."""
    longest: int | None = None
    for path, row in recorded.rows.items():
        if not row.holds or row.kind == LINK:
            continue
        places = recorded.places.get(path)
        if places is None:
            return Relocatable("it was published by an earlier envy, and not examined")
        if places.how == NEVER and not _is_named_text(path, places.why, patterns):
            return Relocatable(f"{path} {places.why}")
        most = places.longest_prefix()
        if most is not None and (longest is None or most < longest):
            longest = most
    return Relocatable(longest_root=None if longest is None else longest - len(BELOW))


def relocatable_entry(entry: EntryPaths) -> Relocatable:
    """Return under which roots a complete entry can be used.

    Raises:
        CacheError: a file cannot be read.
    """
    marker = read_marker(entry)
    if marker is not None and not marker.holds_root:
        return Relocatable()
    recorded, kept = read_fingerprint(entry), read_key_record(entry)
    if recorded is None or kept is None:
        return Relocatable(f"its {FINGERPRINT} is damaged")
    return relocatable(recorded, _patterns(kept.notes))


def why_not_relocatable(entry: EntryPaths) -> str:
    """Return why `relocate` could not rewrite a complete entry for its current root, or "".

    Raises:
        CacheError: a file cannot be read.
    """
    recorded, kept = read_fingerprint(entry), read_key_record(entry)
    if recorded is None or kept is None:
        return "it is damaged"
    asset = entry.at(ASSET)
    try:
        return _obstacle(entry, recorded, _patterns(kept.notes))
    except OSError as error:
        raise explained(error, doing="read an entry of the cache", path=asset) from error


def relocate(entry: EntryPaths, key_hex: str, *, files: FileSystem = REAL) -> str:
    """Rewrite a complete entry for its current root; return why that is impossible, or "".

    The caller holds the entry's lock. After a crash the entry has no marker, so it is rebuilt.

    Raises:
        CacheError: a file cannot be read or written.
    """
    marker = read_marker(entry)
    if marker is None or marker.key_hex != key_hex:
        return "it is damaged"
    return rewrite_payload(entry, key_hex, files=files)


def rewrite_payload(entry: EntryPaths, key_hex: str, *, files: FileSystem = REAL) -> str:
    """Do the same with an entry that has its records and perhaps no marker yet.

    Raises:
        CacheError: a file cannot be read or written.
    """
    recorded = read_fingerprint(entry)
    kept = read_key_record(entry)
    if recorded is None or kept is None:
        return "it is damaged"
    asset, patterns = entry.at(ASSET), _patterns(kept.notes)
    try:
        # Every path that is rewritten below was looked up here, and leads through no link.
        reason = _obstacle(entry, recorded, patterns)
        if reason:
            return reason
        record = read_plain(entry.at(INGREDIENTS), CACHE_FILE)
        ingredients = record.decode("utf-8", "surrogateescape")
        unpublish(entry, files)
        with BelowRoot(asset) as below:
            _rewrite(below, entry, recorded, patterns, files)
        seal(entry, key_hex, ingredients, writable=recorded.writable, files=files)
    except _Obstacle as error:
        return str(error)  # somebody changed the payload meanwhile: it has no marker any more
    except OSError as error:
        raise explained(error, doing="relocate an entry of the cache", path=asset) from error
    return ""


def _patterns(notes: Mapping[str, object]) -> Sequence[str]:
    named = notes.get("relocate")
    return named if isinstance(named, list) else []


def _is_named_text(path: str, why: str, patterns: Sequence[str]) -> bool:
    return why == LENGTH_BEFORE and any(fnmatch.fnmatchcase(path, p) for p in patterns)


class _Obstacle(Exception):
    """Why an entry cannot be rewritten."""


def _obstacle(entry: EntryPaths, recorded: RecordedFingerprint, patterns: Sequence[str]) -> str:
    """Return why a payload cannot be rewritten for the root of its entry; "" if it can."""
    if os.path.islink(entry.at(ASSET)):
        return "it is damaged: its payload was replaced by a link"
    try:
        with BelowRoot(entry.at(ASSET)) as below:
            for _rewritten_file in _rewritten(below, entry, recorded, patterns):
                pass
    except _Obstacle as error:
        return str(error)
    return ""


def _rewritten(
    below: BelowRoot, entry: EntryPaths, recorded: RecordedFingerprint, patterns: Sequence[str]
) -> Iterator[tuple[str, bytes, bytes | None]]:
    """Yield the path, the old and the new content of each file and link that is to be rewritten.

    Raises:
        _Obstacle: one cannot be rewritten.
    """
    prefixes, root = recorded.prefixes, os.fsencode(entry.root)
    for path, row in recorded.rows.items():
        if not row.holds:
            continue
        data = _content(below, path, row)
        _check_spelling(path, data, row, prefixes)
        if row.kind == LINK:
            yield path, data, _new_target(path, data, prefixes, root)
            continue
        places = _places(entry, path, data, recorded, patterns)
        try:
            new = new_content(path, data, places, prefixes, root, own=entry.name)
        except NotRewritten as error:
            raise _Obstacle(f"{path} contains that path and {error}") from None
        yield path, data, new


def _new_target(path: str, old: bytes, prefixes: Sequence[bytes], root: bytes) -> bytes:
    target = new_target(old, prefixes, root)
    if len(target) > _LONGEST_LINK:
        raise _Obstacle(f"{path} contains that path and would lead to one of {len(target)} bytes")
    return target


def _content(below: BelowRoot, path: str, row: Row) -> bytes:
    """Return the target of a link or the content of a file."""
    parts = tuple(path.split("/"))
    try:
        # A link in the place of one of its folders would have been a member itself.
        if below.find(parts, follow=False) == parts:
            if row.kind == LINK:
                return os.fsencode(below.read_link(parts))
            return read_open_file(below.open_file(parts), RELOCATED_FILE)
    except (LeadsOutside, OSError):
        pass
    except NotPlain as error:
        raise _Obstacle(f"{path} contains that path and {error}") from None
    raise _Obstacle(f"it is damaged: {path} cannot be read")


def _check_spelling(path: str, data: bytes, row: Row, prefixes: Sequence[bytes]) -> None:
    _at, others = find_places(data, prefixes)
    if not others.isdisjoint(row.holds):
        raise _Obstacle(f"{path} contains that path in another spelling")


def _places(
    entry: EntryPaths,
    path: str,
    data: bytes,
    recorded: RecordedFingerprint,
    patterns: Sequence[str],
) -> Places:
    """Return the places of a file, which must be those that its fingerprint says."""
    before = recorded.places.get(path)
    is_text = any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)
    if before is not None and before.how == NEVER and not (is_text and before.why == LENGTH_BEFORE):
        return before
    places = places_in(path, data, recorded.prefixes, own=entry.name, is_text=is_text)
    if places.how == MODULE and not _has_source(path, recorded):
        places = dataclasses.replace(places, how=FIXED)
    if before is not None and NEVER not in {before.how, places.how} and before.at != places.at:
        raise _Obstacle(f"it is damaged: {path} is not what its fingerprint says")
    return places


def _has_source(path: str, recorded: RecordedFingerprint) -> bool:
    source = recorded.rows.get(source_of_module(path))
    return source is not None and source.kind == FILE


def _rewrite(
    below: BelowRoot,
    entry: EntryPaths,
    recorded: RecordedFingerprint,
    patterns: Sequence[str],
    files: FileSystem,
) -> None:
    sizes: dict[str, tuple[int, int]] = {}  # of modules: before and after
    records = [path for path, row in recorded.rows.items() if is_record(path) and row.kind == FILE]
    changed: dict[str, tuple[bytes, bytes, int]] = {}  # for those records
    for path, old, new in _rewritten(below, entry, recorded, patterns):
        row = recorded.rows[path]
        if path.endswith(".py"):
            sizes[path] = len(old), len(new or b"")
        made = new
        if new is not None and path.endswith(".pyc"):
            made = with_size_of_source(new, *sizes.get(source_of_module(path), (0, 0)))
        _replace(below.given, path, row, made, files)
        if records and made is not None and row.kind == FILE:
            changed[path] = digest_in_record(old), digest_in_record(made), len(made)
    for path in records if changed else ():
        row = recorded.rows[path]
        before = _content(below, path, row)
        after = with_new_digests(path, before, changed)
        if after != before:
            _replace(below.given, path, row, after, files)


def _replace(top: str, inner: str, row: Row, data: bytes | None, files: FileSystem) -> None:
    path = os.path.join(top, inner)
    above = os.path.dirname(path)
    closed = stat.S_IMODE(os.lstat(above).st_mode)
    times = os.lstat(path)
    files.set_mode(above, closed | stat.S_IRWXU)
    files.remove(path)
    if row.kind == LINK:
        os.symlink(data or b"", os.fsencode(path))
    elif data is not None:
        files.write_file(path, data)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        files.set_mode(path, row.mode)
    files.set_mode(above, closed)
