"""Verification: comparison of payloads with their fingerprints, file by file."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.cache.fingerprint import FORMAT
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, ASSETS_FOLDER, FINGERPRINT
from envy.cache.padding import missing_padding
from envy.cache.places import BELOW, Places, parse_places
from envy.cache.trees import DIRECTORY, FILE, LINK, Member, chunks, members
from envy.content.json_text import parse_json
from envy.content.plain_file import NotPlain, read_plain
from envy.content.written_digests import WrittenDigests
from envy.errors import CacheError
from envy.limits import CACHE_FILE

_MOST_PREFIXES = 64
_MOST_VALUES = 1_000_000  # of the first line, which says where paths are
_LONGEST_ROW = 1 << 20
_AT_ONCE = 100  # rows that are decoded together; each has two brackets, see `parse_json`


class Row(NamedTuple):
    """One member of a payload, as published."""

    kind: str
    mode: int
    size: int
    digest: str
    holds: tuple[str, ...]  # names of the entries whose paths it contains


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFingerprint:
    """A fingerprint that was read from its file."""

    root: str
    writable: bool
    rows: Mapping[str, Row]
    prefixes: tuple[bytes, ...]  # of paths of entries, in every spelling of the root
    places: Mapping[str, Places]  # where files hold such paths; none from an earlier envy


@dataclass(frozen=True, slots=True)
class Damage:
    """One difference between a payload and its fingerprint."""

    path: str  # relative to the payload; "" for the whole payload
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def read_fingerprint(entry: EntryPaths) -> RecordedFingerprint | None:
    """Read the fingerprint of an entry; None if it is missing or damaged.

    Raises:
        CacheError: the fingerprint exists but cannot be read.
    """
    path = entry.at(FINGERPRINT)
    try:
        return parse_fingerprint(read_plain(path, CACHE_FILE).decode("ascii", "replace"))
    except (FileNotFoundError, NotPlain):
        return None
    except OSError as error:
        raise explained(error, doing="read the cache", path=path) from error


def parse_fingerprint(text: str, *, most_rows: int | None = None) -> RecordedFingerprint | None:
    """Parse the text of a fingerprint; None if it is damaged or has another format.

    A fingerprint of a payload that has at most `most_rows` members cannot have more rows.
    """
    if not text.endswith("\n") or (most_rows is not None and text.count("\n") > most_rows + 1):
        return None
    first, _, rest = text.partition("\n")
    try:
        header = parse_json(first, most_values=_MOST_VALUES)
        if header["format"] != FORMAT:
            return None
        return _with_header(header, _parse_rows(rest.split("\n")[:-1]))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def _with_header(header: Any, rows: Mapping[str, Row]) -> RecordedFingerprint:
    root = str(header["root"])
    spellings = [str(text) for text in header.get("prefixes", ())]
    prefixes = [os.fsencode(text) for text in spellings or [f"{root.rstrip('/')}/{ASSETS_FOLDER}/"]]
    if len(prefixes) > _MOST_PREFIXES or not all(
        prefix.startswith(b"/") and prefix.endswith(BELOW) for prefix in prefixes
    ):
        raise ValueError("a prefix has another form")
    return RecordedFingerprint(
        root=root,
        writable=bool(header.get("writable", False)),
        rows=rows,
        prefixes=tuple(prefixes),
        places=parse_places(header.get("places", {})),
    )


def _parse_rows(lines: Sequence[str]) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for start in range(0, len(lines), _AT_ONCE):
        part = lines[start : start + _AT_ONCE]
        if max(map(len, part)) > _LONGEST_ROW:
            raise ValueError("a row is too long")
        values = parse_json(f"[{','.join(part)}]")
        # No row may end in another line than it began in.
        if len(values) != len(part) or not all(
            line.startswith("[") and line.endswith("]") for line in part
        ):
            raise ValueError("a line is no row")
        rows.update(map(_row, values))
    return rows


def _row(value: Any) -> tuple[str, Row]:
    path, kind, mode, size, digest, holds = value
    for text in (path, kind, digest, *holds):
        if type(text) is not str:
            raise TypeError("a row has another form")
    if type(size) is not int:
        raise TypeError("a row has another form")
    return path, Row(kind, int(mode, 8), size, digest, tuple(holds))


def published_members(entry: EntryPaths) -> Iterator[Member]:
    """Yield the members of a payload that its fingerprint names: a `writable` one may have others.

    Raises:
        CacheError: the fingerprint is missing or damaged, or the payload cannot be read.
    """
    recorded = read_fingerprint(entry)
    if recorded is None:
        raise CacheError(
            f"{entry.location}: {FINGERPRINT} is missing or damaged",
            path=entry.directory,
            hint="rebuild the package",
        )
    return (member for member in members(entry.at(ASSET)) if member.relative in recorded.rows)


def verify(entry: EntryPaths) -> Sequence[Damage]:
    """Return all differences between an entry and its fingerprint; none if it is sound.

    Raises:
        CacheError: the entry cannot be read.
    """
    recorded = read_fingerprint(entry)
    if recorded is None:
        return [Damage("", f"{FINGERPRINT} is missing or damaged")]
    link = missing_padding(recorded.prefixes, entry.root)
    if link:
        return [Damage("", f"contains the padded path of the cache, and {link} is no link to it")]
    return compare(entry.at(ASSET), recorded)


def check_sound(entry: EntryPaths, *, doing: str) -> None:
    """Raise unless an entry is as it was published; `doing` says what it is needed for.

    Raises:
        CacheError: it is damaged, or cannot be read.
    """
    damage = verify(entry)
    if damage:
        raise CacheError(
            f"cannot {doing}: it is damaged: {damage[0]}",
            path=entry.directory,
            hint=f"rebuild it: envy cache verify --repair '{entry.name.partition('/')[0]}'",
        )


def compare(
    asset: str,
    recorded: RecordedFingerprint,
    *,
    written: WrittenDigests | None = None,
    listed: list[Member] | None = None,
) -> Sequence[Damage]:
    """Return the differences between a payload and a fingerprint.

    `written` has the digests of files that were written just now, which are not read. `listed`
    receives the members of the payload.

    Raises:
        CacheError: the payload cannot be read.
    """
    try:
        found = list(members(asset))
        if listed is not None:
            listed += found
        return list(_differences(found, recorded, written))
    except FileNotFoundError as error:
        return [Damage("", f"{error.filename} is missing")]
    except CacheError as error:
        return [Damage("", error.message)]
    except OSError as error:
        raise explained(error, doing="verify an entry of the cache", path=asset) from error


def _differences(
    found: Sequence[Member], recorded: RecordedFingerprint, written: WrittenDigests | None
) -> Iterator[Damage]:
    missing = dict(recorded.rows)
    for member in found:
        row = missing.pop(member.relative, None)
        if row is None:
            # A `writable` package may contain new files.
            if not recorded.writable:
                yield Damage(member.relative, "was added after publishing")
            continue
        what = _difference(member, row, written, writable=recorded.writable)
        if what:
            yield Damage(member.relative, what)
    for path in missing:
        yield Damage(path, "is missing")


def _difference(member: Member, row: Row, written: WrittenDigests | None, *, writable: bool) -> str:
    status = member.status
    if member.kind == FILE == row.kind and written is not None:  # nearly all that was unpacked
        is_same = status.st_size == row.size and written.find(status) == row.digest
        if is_same and status.st_mode & 0o7777 == row.mode:
            return ""
    if member.kind != row.kind:
        return f"was a {row.kind} and is a {member.kind}"
    mode = stat.S_IMODE(member.status.st_mode)
    found = []
    if member.kind != DIRECTORY:
        if member.kind != LINK and member.status.st_size != row.size:
            found.append(f"changed: its size was {row.size} bytes and is {member.status.st_size}")
        elif (_digest_when_written(member, written) or digest_of(member)) != row.digest:
            found.append("changed: its content differs")
    if member.kind != LINK and mode != row.mode and not writable:
        found.append(f"its mode was {row.mode:o} and is {mode:o}")
    return "; ".join(found)


def _digest_when_written(member: Member, written: WrittenDigests | None) -> str | None:
    return written.find(member.status) if written is not None and member.kind == FILE else None


def digest_of(member: Member) -> str:
    """Return the BLAKE3 digest of a file or of a link's target, without any cached digest."""
    hasher = blake3()
    if member.kind == LINK:
        hasher.update(os.fsencode(os.readlink(member.path)))
    else:
        for chunk in chunks(member.path, member.status.st_size):
            hasher.update(chunk)
    return hasher.hexdigest()
