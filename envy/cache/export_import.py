"""Import of export files: each entry is unpacked aside, verified, then moved into place, locked.

An export file is untrusted input. Every name is checked before anything is written, nothing is
written through a link, each payload is compared with its fingerprint, and each key with its
ingredients.

Guarantees
  An entry becomes visible only after it was verified, in the same way as an entry that is built.
  A damaged export file imports the entries before the damage, and leaves nothing else behind.
"""

import contextlib
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence, Set
from pathlib import Path

from blake3 import blake3

from envy.cache.collect import collecting
from envy.cache.explanation import parse_key_record
from envy.cache.export_index import Accept, check_is, opened_export, record_of, refusal
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.fingerprint import search_roots
from envy.cache.imported_entry import ImportedEntry, UnpackedEntry, put_in_place
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.lock import FileLock
from envy.cache.names import ASSET, FINGERPRINT, INGREDIENTS, entry_folder
from envy.cache.origin import Origin
from envy.cache.read import lookup
from envy.cache.trees import LINK
from envy.cache.verify import compare, parse_fingerprint
from envy.content.archive import tar_members
from envy.content.below_root import open_below
from envy.content.brought import Brought, why_no_name, why_no_target
from envy.content.tar_header import FILE, FOLDER, SYMLINK, Header
from envy.content.written_digests import WrittenDigests
from envy.declarations.key import validate_identity
from envy.errors import ArchiveError, EnvyError
from envy.limits import EXPORT_FILES

_IN_ASSET = f"{ASSET}/"
_KEY = re.compile(r"[0-9a-f]{64}")


def import_export_file(
    layout: CacheLayout,
    exported: Path,
    *,
    files: FileSystem = REAL,
    wait: Callable[[FileLock], None] = FileLock.acquire,
) -> Iterator[ImportedEntry]:
    """Import the entries of an export file, one by one, and yield the result for each.

    `wait` acquires the locks.

    Raises:
        ArchiveError: it is not an export file, is damaged, or has content that is not allowed.
        CacheError: a file cannot be written.
    """
    # Entries are unpacked inside the trash, so that gc removes them after a crash.
    with collecting(layout, wait=wait):
        yield from _import(layout, exported, files, wait)


def _import(
    layout: CacheLayout, exported: Path, files: FileSystem, wait: Callable[[FileLock], None]
) -> Iterator[ImportedEntry]:
    scratch = os.path.join(layout.trash_root, f"import-{os.urandom(6).hex()}")
    try:
        files.make_dir(scratch)
        roots = search_roots(os.fspath(layout.root), ())
        for unpacked in unpacked_entries(exported, scratch, roots=roots):
            try:
                entry, key, kept = checked_entry(layout, exported, unpacked)
            finally:
                unpacked.close()
            lock = FileLock(layout.lock_of(entry))
            wait(lock)
            try:
                if lookup(entry, unpacked.key_hex).hit:
                    imported = ImportedEntry(name=entry.name, key=key, was_there=True)
                else:
                    origin = Origin(os.fspath(exported))
                    imported = put_in_place(entry, key, kept, unpacked, files, origin=origin)
            finally:
                lock.release()
            yield imported
            files.remove_tree(unpacked.directory)
    except OSError as error:
        raise explained(error, doing="import into the cache", path=str(layout.root)) from error
    finally:
        with contextlib.suppress(OSError):
            files.remove_tree(scratch)


def unpacked_entries(
    exported: Path,
    scratch: str,
    *,
    accept: Accept | None = None,
    only: tuple[str, str] | None = None,
    is_one: bool = False,
    roots: Sequence[bytes] = (),
) -> Generator[UnpackedEntry]:
    """Unpack the entries of an export file below a folder, one by one; yield each, to be closed.

    `accept` is called before anything is unpacked, and raises an error if the file is not wanted.
    `only` is the name and the full key of the entry that must be the only one of its index;
    `is_one`: it may have one entry only. `roots` are those of this cache (`search_roots`).

    Raises:
        ArchiveError: it is not an export file, is damaged, or has content that is not allowed.
    """
    with contextlib.closing(tar_members(exported)) as stream:
        is_one = is_one or only is not None
        expected, rest = opened_export(exported, scratch, stream, accept, is_one=is_one)
        if only is not None:
            check_is(exported, next(iter(expected.values())), *only)
        yield from _entries_of(exported, expected, rest, roots)


def _entries_of(
    exported: Path,
    expected: dict[str, UnpackedEntry],
    stream: Iterator[tuple[Header, Iterable[bytes]]],
    roots: Sequence[bytes],
) -> Generator[UnpackedEntry]:
    current: UnpackedEntry | None = None
    try:
        for member, content in stream:
            identity, folder, rest = [*member.name.split("/", 2), "", ""][:3]
            name = f"{identity}/{folder}"
            if current is None or current.name != name:
                if current is not None:
                    yield current
                current = expected.pop(name, None)
                if current is None:
                    raise refusal(exported, member.name, "does not belong to an entry in its index")
                current.written = WrittenDigests(roots)
            _unpack(exported, current, rest, member, content)
    except BaseException:
        if current is not None:
            current.close()
        raise
    if current is not None:
        yield current
    if expected:
        raise refusal(exported, min(expected), "is in its index, but has no files")


def _unpack(
    exported: Path,
    entry: UnpackedEntry,
    path: str,
    member: Header,
    content: Iterable[bytes],
) -> None:
    if path in {INGREDIENTS, FINGERPRINT} and member.kind == FILE:
        if path in entry.texts:  # only one of them would be judged
            raise refusal(exported, member.name, "is in it twice")
        entry.texts[path] = record_of(exported, member, content)
        _check_record(exported, entry, path)  # before it is parsed
        return
    top, *inner = path.split("/")
    if top == ASSET and not inner and member.kind == FOLDER and entry.payload is None:
        entry.payload = open_below(os.path.join(entry.directory, ASSET))
        entry.folders.add(())
        entry.recorded = parse_fingerprint(
            entry.texts.get(FINGERPRINT, b"").decode("ascii", "replace"),
            most_rows=EXPORT_FILES.value,
        )
        return
    parts = tuple(inner)
    _check_member(exported, entry, member, path)
    assert entry.payload is not None
    entry.made.add(path.removeprefix(_IN_ASSET))
    if member.kind == FOLDER:
        entry.payload.real_folder(parts)
        entry.folders.add(parts)
    elif member.kind == SYMLINK:
        # A package may have links to others; nothing is written through them.
        brought = Brought(str(exported), member.name, member.link, judged=False)
        entry.payload.create_link(parts, brought)
    elif member.kind == FILE:
        entry.payload.unpacked.add(member.size, exported)
        entry.write(parts, content, mtime=member.mtime)
    else:
        raise refusal(exported, member.name, "is not a file, directory or link")


def _check_member(exported: Path, entry: UnpackedEntry, member: Header, path: str) -> None:
    """Raise unless a member of a payload can be created, within the limits."""
    top, *inner = path.split("/")
    parts = tuple(inner)
    # Members are only created in directories that this import created, so no link is on the way.
    if (
        entry.payload is None
        or top != ASSET
        or not parts
        or parts[:-1] not in entry.folders
        or parts[-1] in {"", ".", ".."}
        or "\0" in path
        or "\\" in parts[-1]
    ):
        raise refusal(exported, member.name, "is outside of its entry")
    if path.removeprefix(_IN_ASSET) in entry.made:
        raise refusal(exported, member.name, "is in it twice")
    impossible = why_no_name(parts[-1]) or (
        why_no_target(member.link) if member.kind == SYMLINK else ""
    )
    if impossible:
        raise refusal(exported, member.name, impossible)
    if len(entry.made) >= EXPORT_FILES.value:
        raise ArchiveError(
            f"{exported} cannot be imported: an entry has more than {EXPORT_FILES.shown}, the "
            f"limit {EXPORT_FILES.name}",
            archive=exported,
            hint=EXPORT_FILES.hint,
        )


def checked_entry(
    layout: CacheLayout, exported: Path, unpacked: UnpackedEntry
) -> tuple[EntryPaths, str, str]:
    """Verify an unpacked entry; return its paths, its canonical key and its ingredients text.

    Raises:
        ArchiveError: it is not what its index, its fingerprint and its key say.
    """
    name, texts = unpacked.name, unpacked.texts
    text = texts.get(INGREDIENTS, b"").decode("utf-8", "surrogateescape")
    kept = parse_key_record(text)
    recorded = unpacked.recorded = unpacked.recorded or parse_fingerprint(
        texts.get(FINGERPRINT, b"").decode("ascii", "replace"), most_rows=len(unpacked.made)
    )
    if kept is None or recorded is None or unpacked.payload is None:
        raise refusal(exported, name, "is incomplete")
    identity, _, folder = name.partition("/")
    key_hex = unpacked.key_hex
    digest = blake3(text.partition("\n")[0].encode("utf-8", "surrogateescape")).hexdigest()
    try:
        validate_identity(identity)
        entry = layout.entry_called(name)
    except EnvyError as error:
        raise refusal(exported, name, "is not a valid name of an entry") from error
    is_itself = kept.ingredients.get("identity") == identity and folder.endswith(
        entry_folder("", key_hex)
    )
    if not _KEY.fullmatch(key_hex) or digest != key_hex or not is_itself:
        raise refusal(exported, name, "has a key that does not match its ingredients")
    rows = recorded.rows
    _check_members(exported, unpacked, rows.keys())
    for record in unpacked.digests:
        _check_record(exported, unpacked, record)
    without = [p for p, row in rows.items() if row.kind != LINK and p not in unpacked.has_mode]
    for path in sorted(without, reverse=True):  # what is in a folder first
        unpacked.payload.set_mode(tuple(path.split("/")), rows[path].mode & 0o777)
    if unpacked.written is not None:
        unpacked.written.settle()
    asset = os.path.join(unpacked.directory, ASSET)
    damage = compare(asset, recorded, written=unpacked.written, listed=unpacked.listed)
    if damage:
        raise refusal(exported, f"{name}/{ASSET}/{damage[0].path}", damage[0].what)
    return entry, kept.key, text


def _check_record(exported: Path, unpacked: UnpackedEntry, record: str) -> None:
    """Raise unless a record is the one in the index, if that names one."""
    expected = unpacked.digests.get(record)
    if expected is None:
        return
    if blake3(unpacked.texts.get(record, b"")).hexdigest() != expected:
        raise refusal(exported, f"{unpacked.name}/{record}", "is not the one in its index")


def _check_members(exported: Path, unpacked: UnpackedEntry, named: Set[str]) -> None:
    """Raise unless exactly the members that a fingerprint names were unpacked."""
    name = unpacked.name
    foreign = min(named - unpacked.made, default=None)
    if foreign is not None:
        raise refusal(
            exported, name, f"has a fingerprint that names {foreign!r}, which it does not bring"
        )
    # In a `writable` package, too: what the fingerprint does not name, no signature covers.
    extra = min(unpacked.made - named, default=None)
    if extra is not None:
        raise refusal(exported, f"{name}/{ASSET}/{extra}", "is not in the fingerprint")
