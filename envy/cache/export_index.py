"""The index of an export file, its signature, and the records of its entries.

Guarantees
  An index is judged before it is parsed, and is parsed within bounds.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from envy.cache.export_file import DIGESTS, FORMAT, INDEX, SIGNATURE
from envy.cache.imported_entry import UnpackedEntry
from envy.content.json_text import parse_json
from envy.content.tar_header import FILE, Header
from envy.errors import ArchiveError
from envy.limits import EXPORT_RECORD

# Receives the index and its signature, which is empty if there is none.
Accept = Callable[[bytes, bytes], None]

_LONGEST_OF_ONE = 64 << 10  # bytes of the index of one entry, and of its signature
_MOST_VALUES = 1_000_000  # of an index: each entry has some ten


def opened_export(
    exported: Path,
    scratch: str,
    stream: Iterator[tuple[Header, Iterable[bytes]]],
    accept: Accept | None,
    *,
    is_one: bool = False,
) -> tuple[dict[str, UnpackedEntry], Iterator[tuple[Header, Iterable[bytes]]]]:
    """Read the index and the signature; return the entries to expect, and the rest of the file.

    `is_one`: it may have one entry only.

    Raises:
        ArchiveError: it is not an export file, or is damaged; what `accept` raises.
    """
    first = next(stream, None)
    if first is None or first[0].name != INDEX or first[0].kind != FILE:
        raise ArchiveError(
            f"{exported} was not written by envy export", archive=exported, hint="see envy export"
        )
    index = _head_of(exported, *first, is_one=is_one)
    signature, second = b"", next(stream, None)
    if second is not None and second[0].name == SIGNATURE and second[0].kind == FILE:
        signature = _head_of(exported, *second, is_one=is_one)
    elif second is not None:
        stream = itertools.chain([second], stream)
    if accept is not None:  # before anything of it is parsed
        accept(index, signature)
    rows = _parse_index(exported, index, scratch, is_one=is_one)
    if accept is not None and not all(row.digests.keys() >= set(DIGESTS) for row in rows):
        raise refusal(exported, INDEX, "has no digests")
    return {row.name: row for row in rows}, stream


def check_is(exported: Path, row: UnpackedEntry, name: str, key_hex: str) -> None:
    """Raise unless the entry of an index has this name and key.

    Raises:
        ArchiveError: it has not.
    """
    if (row.name, row.key_hex) != (name, key_hex):
        raise ArchiveError(
            f"{exported} has {row.name} with the key {row.key_hex[:16]}, and not {name}",
            archive=exported,
        )


def _head_of(exported: Path, member: Header, content: Iterable[bytes], *, is_one: bool) -> bytes:
    if is_one and member.size > _LONGEST_OF_ONE:
        raise ArchiveError(
            f"{exported} has several entries: {member.name} has {member.size} bytes",
            archive=exported,
            member=member.name,
        )
    return record_of(exported, member, content)


def record_of(exported: Path, member: Header, content: Iterable[bytes]) -> bytes:
    """Return the content of a member that is a record.

    Raises:
        ArchiveError: it is larger than a record may be.
    """
    if member.size > EXPORT_RECORD.value:
        raise ArchiveError(
            f"{exported} cannot be imported: {member.name} is larger than {EXPORT_RECORD.shown}, "
            f"the limit {EXPORT_RECORD.name}",
            archive=exported,
            member=member.name,
            hint=EXPORT_RECORD.hint,
        )
    return b"".join(content)


def _parse_index(exported: Path, data: bytes, scratch: str, *, is_one: bool) -> list[UnpackedEntry]:
    try:
        row = parse_json(data, most_values=_MOST_VALUES)
        if row["format"] != FORMAT:
            raise ArchiveError(
                f"{exported} has format {row['format']}, but this envy reads format {FORMAT}",
                archive=exported,
                hint="import it with the version of envy that wrote it, or a newer one",
            )
        if is_one and len(row["entries"]) != 1:  # of a million, none is even looked at
            found = "several entries" if row["entries"] else "no entry"
            raise ArchiveError(f"{exported} has {found}", archive=exported)
        return [
            UnpackedEntry(
                str(entry["name"]),
                str(entry["key"]),
                str(entry["root"]),
                os.path.join(scratch, str(number)),
                {name: str(entry[name]) for name in DIGESTS if name in entry},
            )
            for number, entry in enumerate(row["entries"])
        ]
    except (ValueError, TypeError, KeyError) as error:
        raise refusal(exported, INDEX, "is damaged") from error


def refusal(exported: Path, member: str, what: str) -> ArchiveError:
    """Return the error for a member that is not as it must be."""
    return ArchiveError(
        f"{exported} cannot be imported: {member} {what}",
        archive=exported,
        member=member,
        hint="export it again",
    )
