"""Whether payloads are still what was published: compared with their fingerprints, file by file."""

import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from blake3 import blake3

from envy.cache.filesystem import explained
from envy.cache.fingerprint import FORMAT
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT
from envy.cache.read import open_nonblocking
from envy.cache.trees import DIRECTORY, LINK, Member, chunks, members
from envy.errors import CacheError


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One member of a payload, as it was published."""

    kind: str
    mode: int
    size: int
    digest: str
    holds: tuple[str, ...]  # names of entries whose paths are in it


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedFingerprint:
    """A fingerprint, read back."""

    root: str
    writable: bool
    rows: Mapping[str, Row]


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is not as it was published."""

    path: str  # relative to the payload; "" for all of it
    what: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}" if self.path else self.what


def read_fingerprint(entry: EntryPaths) -> RecordedFingerprint | None:
    """The fingerprint beside a payload; None if it is damaged or missing.

    Raises:
        CacheError: it is there and cannot be read.
    """
    path = entry.at(FINGERPRINT)
    try:
        with open(path, encoding="ascii", errors="replace", opener=open_nonblocking) as file:
            return parse_fingerprint(file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explained(error, doing="read the cache", path=path) from error


def parse_fingerprint(text: str) -> RecordedFingerprint | None:
    """What the text of a fingerprint says; None if it is damaged or of another format."""
    first, _, rest = text.partition("\n")
    try:
        header = json.loads(first)
        if header["format"] != FORMAT or (rest and not rest.endswith("\n")):
            return None
        parsed = [json.loads(line) for line in rest.splitlines()]
        rows = {
            path: Row(kind=kind, mode=int(mode, 8), size=size, digest=digest, holds=tuple(holds))
            for path, kind, mode, size, digest, holds in parsed
        }
        writable = bool(header.get("writable", False))
        return RecordedFingerprint(root=str(header["root"]), writable=writable, rows=rows)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def verify(entry: EntryPaths) -> Sequence[Damage]:
    """Everything that is not as it was published; nothing if the entry is sound.

    Raises:
        CacheError: the entry cannot be read.
    """
    recorded = read_fingerprint(entry)
    if recorded is None:
        return [Damage("", f"{FINGERPRINT} is missing or damaged")]
    return compare(entry.at(ASSET), recorded)


def compare(asset: str, recorded: RecordedFingerprint) -> Sequence[Damage]:
    """How a payload differs from what is recorded of it.

    Raises:
        CacheError: it cannot be read.
    """
    try:
        return list(_differences(asset, recorded))
    except FileNotFoundError as error:
        return [Damage("", f"{error.filename} is missing")]
    except CacheError as error:
        return [Damage("", error.message)]
    except OSError as error:
        raise explained(error, doing="verify an entry of the cache", path=asset) from error


def _differences(asset: str, recorded: RecordedFingerprint) -> Iterator[Damage]:
    missing = dict(recorded.rows)
    for member in members(asset):
        row = missing.pop(member.relative, None)
        if row is None:
            # Whoever insists on writing into a package may add to it.
            if not recorded.writable:
                yield Damage(member.relative, "was not published (extra)")
            continue
        what = _difference(member, row, writable=recorded.writable)
        if what:
            yield Damage(member.relative, what)
    for path in missing:
        yield Damage(path, "is missing")


def _difference(member: Member, row: Row, *, writable: bool) -> str:
    if member.kind != row.kind:
        return f"was a {row.kind} and is a {member.kind}"
    mode = stat.S_IMODE(member.status.st_mode)
    found = []
    if member.kind != DIRECTORY:
        if member.kind != LINK and member.status.st_size != row.size:
            found.append(f"changed: it had {row.size} bytes and has {member.status.st_size}")
        elif digest_of(member) != row.digest:
            found.append("changed: its content is another")
    if member.kind != LINK and mode != row.mode and not writable:
        found.append(f"its mode was {row.mode:o} and is {mode:o}")
    return "; ".join(found)


def digest_of(member: Member) -> str:
    """BLAKE3 of a file, or of what a link says; read anew, whatever was remembered."""
    hasher = blake3()
    if member.kind == LINK:
        hasher.update(os.fsencode(os.readlink(member.path)))
    else:
        for chunk in chunks(member.path, member.status.st_size):
            hasher.update(chunk)
    return hasher.hexdigest()
