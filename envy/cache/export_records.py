"""What an export file says about its entries, and whether that is true; nothing is published."""

import contextlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy.cache.export_import import checked_entry, unpacked_entries
from envy.cache.export_index import Accept, opened_export, record_of
from envy.cache.layout import CacheLayout
from envy.cache.names import FINGERPRINT, INGREDIENTS
from envy.cache.verify import RecordedFingerprint, parse_fingerprint
from envy.content.archive import tar_members
from envy.content.archive_errors import named_errors
from envy.errors import ArchiveError
from envy.limits import EXPORT_FILES

_MOST = 16 << 20  # bytes that the beginning of a file may stand for


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The name and key of an entry, and its fingerprint, which nothing was compared with."""

    name: str
    key_hex: str
    fingerprint: RecordedFingerprint


def read_records(exported: Path, *, accept: Accept) -> Records:
    """Read the head of the export file of one entry.

    Raises:
        ArchiveError: it is not such a file, or is damaged; what `accept` raises.
    """
    with contextlib.closing(tar_members(exported)) as members:
        rows, rest = opened_export(exported, "", members, accept, is_one=True)
        [row] = rows.values()
        wanted = {f"{row.name}/{name}": name for name in (INGREDIENTS, FINGERPRINT)}
        for member, content in rest:
            name = wanted.pop(member.name, None)
            if name is not None:
                row.texts[name] = record_of(exported, member, content)
                if blake3(row.texts[name]).hexdigest() != row.digests.get(name):
                    raise ArchiveError(
                        f"{member.name} in {exported} is not the one in its index",
                        archive=exported,
                    )
            if not wanted:
                break
    text = row.texts.get(FINGERPRINT, b"").decode("ascii", "replace")
    fingerprint = parse_fingerprint(text, most_rows=EXPORT_FILES.value)
    if wanted or fingerprint is None:
        raise ArchiveError(f"{exported} has no fingerprint", archive=exported)
    return Records(name=row.name, key_hex=row.key_hex, fingerprint=fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The beginning of an export file of one entry: the digests of its records, by name.

    `fingerprint` is None if the beginning does not have all of it.
    """

    digests: Mapping[str, str]
    fingerprint: RecordedFingerprint | None


def read_head(exported: Path, size: int, scratch: Path, *, accept: Accept) -> Head:
    """Read what the first `size` bytes of an export file of one entry have.

    They are decompressed into the folder `scratch`, as far as they go.

    Raises:
        ArchiveError: it is not such a file, or is damaged; what `accept` raises.
    """
    beginning = scratch / "beginning.tar"
    with named_errors(exported), exported.open("rb") as file:
        beginning.write_bytes(_decompressed(exported, file.read(size)))
    with contextlib.closing(tar_members(beginning)) as members:
        rows, _rest = opened_export(beginning, "", members, accept, is_one=True)
    [row] = rows.values()
    fingerprint = None
    with contextlib.suppress(ArchiveError):  # the rest of it is elsewhere
        fingerprint = read_records(beginning, accept=accept).fingerprint
    return Head(digests=row.digests, fingerprint=fingerprint)


def _decompressed(exported: Path, data: bytes) -> bytes:
    """Return what the first bytes of a compressed file stand for, within bounds."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    try:
        return zstd.ZstdDecompressor().decompress(data, _MOST)
    except zstd.ZstdError as error:
        raise ArchiveError(f"{exported} is damaged: {error}", archive=exported) from error


def check_export(
    layout: CacheLayout, exported: Path, scratch: Path, *, accept: Accept
) -> list[tuple[str, str]]:
    """Unpack an export file below a folder and check all of it; return its entries.

    Of each entry, the full key and the name are returned.

    Raises:
        ArchiveError: it is damaged; what `accept` raises.
    """
    found = []
    with contextlib.closing(
        unpacked_entries(exported, str(scratch), accept=accept, is_one=True)
    ) as entries:
        for entry in entries:
            try:
                checked_entry(layout, exported, entry)
            finally:
                entry.close()
            found.append((entry.key_hex, entry.name))
    return found
