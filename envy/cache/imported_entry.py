"""An entry that was unpacked aside, from an export file or a server, and its way into the cache.

Guarantees
  An entry becomes visible in the same way as one that is built; the caller has verified it.
  One that holds the path of another cache is rewritten first, or left out.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from envy.cache.filesystem import FileSystem
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS
from envy.cache.read import is_same_root
from envy.cache.relocate import rewrite_payload
from envy.cache.trees import FILE, members
from envy.cache.verify import RecordedFingerprint
from envy.cache.write import discard, seal, unpublish
from envy.content.below_root import BelowRoot
from envy.content.brought import Parts
from envy.content.written_digests import WrittenDigests
from envy.interpreter import released


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedEntry:
    """The result for one entry of an export file; `problem` says why it was left out, or is ""."""

    name: str
    key: str
    was_there: bool = False
    problem: str = ""


@dataclass(slots=True)
class UnpackedEntry:
    """One entry, as far as the export file has been read; `digests` are those of its records."""

    name: str
    key_hex: str
    root: str
    directory: str
    digests: Mapping[str, str] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    recorded: RecordedFingerprint | None = None  # once it was parsed
    payload: BelowRoot | None = None
    made: set[Parts] = field(default_factory=set)  # what was created, relative to the payload
    folders: set[Parts] = field(default_factory=set)

    def close(self) -> None:
        if self.payload is not None:
            self.payload.close()


def _compared(asset: str, recorded: RecordedFingerprint) -> WrittenDigests:
    """Return the digests of the files that were compared just now, so that none is read again."""
    written = WrittenDigests()
    for member in members(asset):
        row = recorded.rows.get(member.relative)
        if row is not None and row.kind == FILE and not row.holds:
            written.note(member.status, row.digest)
    written.settle()
    return written


def put_in_place(
    entry: EntryPaths, key: str, kept: str, unpacked: UnpackedEntry, files: FileSystem
) -> ImportedEntry:
    """Move a verified entry into place, and publish it; the caller holds its lock.

    Raises:
        CacheError: its files cannot be written; OSError: a step failed.
    """
    if not files.make_dir(entry.location):
        unpublish(entry, files)
        with released():
            files.remove_tree(entry.at(ASSET))
    recorded = unpacked.recorded
    assert recorded is not None
    files.rename(os.path.join(unpacked.directory, ASSET), entry.at(ASSET))
    if is_same_root(unpacked.root, entry.root) or not any(
        row.holds for row in recorded.rows.values()
    ):
        seal(
            entry,
            unpacked.key_hex,
            kept,
            writable=recorded.writable,
            files=files,
            written=_compared(entry.at(ASSET), recorded),
        )
        return ImportedEntry(name=entry.name, key=key)
    # It has no marker before everything is rewritten and on the disk.
    files.write_file(entry.at(FINGERPRINT), unpacked.texts[FINGERPRINT])
    files.write_file(entry.at(INGREDIENTS), unpacked.texts[INGREDIENTS])
    obstacle = rewrite_payload(entry, unpacked.key_hex, files=files)
    if obstacle:
        discard(entry, files=files)
        problem = f"it was built under {unpacked.root}, and {obstacle}"
        return ImportedEntry(name=entry.name, key=key, problem=problem)
    return ImportedEntry(name=entry.name, key=key)
