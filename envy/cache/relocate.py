"""Relocation: rewriting an entry that contains paths of the cache that it was built in.

A recipe names the text files that may be rewritten (`relocate`); links are always rewritten. If any
other file contains such a path, a program for instance, the entry is useless here and is not
changed.
"""

import fnmatch
import os
import stat
from collections.abc import Sequence

from envy.cache.explanation import read_key_record
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, ASSETS_FOLDER, INGREDIENTS
from envy.cache.read import read_marker
from envy.cache.trees import LINK
from envy.cache.verify import RecordedFingerprint, Row, read_fingerprint
from envy.cache.write import seal, unpublish
from envy.content.below_root import BelowRoot
from envy.content.brought import LeadsOutside, Parts
from envy.content.plain_file import NotPlain, read_open_file, read_plain
from envy.limits import CACHE_FILE

_ASSETS = ASSETS_FOLDER.encode("ascii")
_MOST_SEARCHED = 4 << 30  # bytes of a file, times the paths that it contains


def obstacle(recorded: RecordedFingerprint, patterns: Sequence[str], asset: str) -> str:
    """Return why a payload cannot be rewritten; "" if it can."""
    if os.path.islink(asset):
        return "it is damaged: its payload was replaced by a link"
    prefix = _assets_prefix(os.fsencode(recorded.root))
    with BelowRoot(asset) as below:
        for path, row in recorded.rows.items():
            reason = row.holds and _obstacle_in(below, path, row, patterns, prefix)
            if reason:
                return reason
    return ""


def _obstacle_in(
    below: BelowRoot, path: str, row: Row, patterns: Sequence[str], prefix: bytes
) -> str:
    parts = tuple(path.split("/"))
    try:
        # A link in the place of one of its folders would have been a member itself.
        is_moved = below.find(parts, follow=False) != parts
        data: bytes | None = b"" if is_moved else _content(below, parts, row.kind)
    except (LeadsOutside, OSError):
        is_moved, data = True, b""
    except NotPlain:
        is_moved, data = False, None
    if is_moved:
        return f"it is damaged: {path} cannot be read"
    if row.kind != LINK and not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns):
        return f"{path} contains that path, and `relocate` of its recipe does not name it"
    if data is None or len(data) * len(row.holds) > _MOST_SEARCHED:
        return f"{path} contains that path and is too large to be rewritten"
    if row.kind != LINK and b"\0" in data:
        return f"{path} contains that path and is not a text file"
    for name in map(os.fsencode, row.holds):
        if data.count(os.path.join(b"/" + _ASSETS, name)) != data.count(prefix + name):
            return f"{path} contains that path in another spelling"
    return ""


def _content(below: BelowRoot, parts: Parts, kind: str) -> bytes:
    """Return the target of a link or the content of a file, within the limit of cache files."""
    if kind == LINK:
        return os.fsencode(below.read_link(parts))
    return read_open_file(below.open_file(parts), CACHE_FILE)


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
        return obstacle(recorded, list(kept.notes.get("relocate", ())), asset)
    except OSError as error:
        raise explained(error, doing="read an entry of the cache", path=asset) from error


def relocate(entry: EntryPaths, key_hex: str, *, files: FileSystem = REAL) -> str:
    """Rewrite a complete entry for its current root; return why that is impossible, or "".

    The caller holds the entry's lock. After a crash the entry has no marker, so it is rebuilt.

    Raises:
        CacheError: a file cannot be read or written.
    """
    marker = read_marker(entry)
    recorded = read_fingerprint(entry)
    kept = read_key_record(entry)
    if marker is None or marker.key_hex != key_hex or recorded is None or kept is None:
        return "it is damaged"
    asset = entry.at(ASSET)
    try:
        # Every path that is rewritten below was looked up here, and leads through no link.
        reason = obstacle(recorded, list(kept.notes.get("relocate") or ()), asset)
        if reason:
            return reason
        record = read_plain(entry.at(INGREDIENTS), CACHE_FILE)
        ingredients = record.decode("utf-8", "surrogateescape")
        old, new = (_assets_prefix(os.fsencode(root)) for root in (marker.root, entry.root))
        unpublish(entry, files)
        with BelowRoot(asset) as below:
            for path, row in recorded.rows.items():
                if row.holds:
                    _rewrite(below, path, row, files, old=old, new=new)
        seal(entry, key_hex, ingredients, writable=recorded.writable, files=files)
    except OSError as error:
        raise explained(error, doing="relocate an entry of the cache", path=asset) from error
    return ""


def _rewrite(
    below: BelowRoot, inner: str, row: Row, files: FileSystem, *, old: bytes, new: bytes
) -> None:
    path = os.path.join(below.given, inner)
    above = os.path.dirname(path)
    closed = stat.S_IMODE(os.lstat(above).st_mode)
    files.set_mode(above, closed | stat.S_IRWXU)
    data = _content(below, tuple(inner.split("/")), row.kind).replace(old, new)
    files.remove(path)
    if row.kind == LINK:
        os.symlink(data, os.fsencode(path))
    else:
        files.write_file(path, data)
        files.set_mode(path, row.mode)
    files.set_mode(above, closed)


def _assets_prefix(root: bytes) -> bytes:
    # With the separator after it, so that a longer name with the same beginning does not match.
    return os.path.join(root, _ASSETS, b"")
