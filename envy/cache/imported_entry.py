"""An entry that was unpacked aside, from an export file or a server, and its way into the cache.

Guarantees
  An entry becomes visible in the same way as one that is built; the caller has verified it.
  One that holds the path of another cache is rewritten first, or left out.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envy.cache.filesystem import FileSystem
from envy.cache.layout import EntryPaths
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS
from envy.cache.origin import Origin, write_origin
from envy.cache.padding import make_padding, padded_spellings
from envy.cache.read import is_same_root
from envy.cache.relocate import rewrite_payload
from envy.cache.trees import Member
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
    made: set[str] = field(default_factory=set)  # what was created, relative to the payload
    folders: set[Parts] = field(default_factory=set)
    written: WrittenDigests | None = None  # the digests of its files
    has_mode: set[str] = field(default_factory=set)  # the files that have theirs
    listed: list[Member] = field(default_factory=list)  # its payload, once it was compared

    def close(self) -> None:
        if self.payload is not None:
            self.payload.close()

    def write(
        self,
        parts: Parts,
        pieces: Iterable[bytes],
        *,
        mtime: float | None = None,
        payload: BelowRoot | None = None,
    ) -> None:
        """Create a file of the payload.

        Its digest is noted while it is written, so that it need not be read for that. A second
        thread gives a `payload` of its own, which is the same folder.

        Raises:
            OSError: it cannot be written; what `pieces` raise.
        """
        assert self.payload is not None
        assert self.written is not None
        path = "/".join(parts)
        row = self.recorded.rows.get(path) if self.recorded is not None else None
        mode = row.mode & 0o777 if row is not None else 0o666
        descriptor = (payload or self.payload).create_file(parts, mode)
        try:
            digest = self.written.write(descriptor, pieces)
            if mtime is not None:
                os.utime(descriptor, (mtime, mtime))
            if row is None:
                return
            status = os.fstat(descriptor)
            if status.st_mode & 0o7777 != mode:  # the umask takes something away
                os.fchmod(descriptor, mode)
                status = os.fstat(descriptor)
            self.has_mode.add(path)
            if not row.holds:  # where it holds a path, only a search tells
                self.written.note(status, digest)
        finally:
            os.close(descriptor)


def put_in_place(
    entry: EntryPaths,
    key: str,
    kept: str,
    unpacked: UnpackedEntry,
    files: FileSystem,
    *,
    origin: Origin,
) -> ImportedEntry:
    """Move a verified entry into place, and publish it; the caller holds its lock.

    `origin` says where it was taken from.

    Raises:
        CacheError: its files cannot be written; OSError: a step failed.
    """
    if not files.make_dir(entry.location):
        unpublish(entry, files)
        with released():
            files.remove_tree(entry.at(ASSET))
    recorded = unpacked.recorded
    assert recorded is not None
    asset = entry.at(ASSET)
    write_origin(entry, origin, files)
    files.rename(os.path.join(unpacked.directory, ASSET), asset)
    if is_same_root(unpacked.root, entry.root) or not any(
        row.holds for row in recorded.rows.values()
    ):
        for spelling in padded_spellings(recorded.prefixes, entry.root):
            make_padding(spelling)
        seal(
            entry,
            unpacked.key_hex,
            kept,
            writable=recorded.writable,
            files=files,
            written=unpacked.written,
            listed=[
                Member(relative, f"{asset}{os.sep}{relative}", kind, status)
                for relative, _path, kind, status in unpacked.listed
            ],
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
