"""Taking an entry from elsewhere into the cache, in the place of building it.

Guarantees
  Nothing of an export file is unpacked before `accept` has judged its index and its signature, and
  unless its index has exactly the entry that is to be taken.
  The entry becomes visible only after its payload was compared with its fingerprint; whatever is
  wrong with the file, the entry is then missing, as before, and nothing of it is left.
  Several entries can be taken at once: each is unpacked inside its own entry, under its lock.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from envy.cache.export_import import checked_entry, unpacked_entries
from envy.cache.export_index import Accept
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.fingerprint import search_roots
from envy.cache.imported_entry import UnpackedEntry, put_in_place
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import ASSET, FETCH, FINGERPRINT, INGREDIENTS, ORIGIN, TMP, WORK
from envy.cache.origin import Origin
from envy.cache.write import begin_attempt, clear_away, unpublish
from envy.content.brought import LeadsOutside
from envy.content.spelling import ABOUT_NAMES, SameToFileSystem
from envy.errors import ArchiveError
from envy.interpreter import released

# Unpacks an entry below the folder that it is called with, without verifying it.
Unpack = Callable[[str], UnpackedEntry]


def take_exported(
    layout: CacheLayout,
    exported: Path,
    entry: EntryPaths,
    key_hex: str,
    *,
    accept: Accept,
    origin: Origin,
    check: Callable[[], None] = lambda: None,
    files: FileSystem = REAL,
) -> str:
    """Publish the only entry of an export file, as `take_entry` does.

    Raises:
        ArchiveError: the file is damaged, or is not the export of exactly this entry.
        CacheError: a file cannot be written; what `accept` raises.
    """

    def unpack(folder: str) -> UnpackedEntry:
        only, roots = (entry.name, key_hex), search_roots(entry.root, ())
        entries = unpacked_entries(exported, folder, accept=accept, only=only, roots=roots)
        with contextlib.closing(entries) as found:
            first = next(found)  # which the index has
            try:
                for other in found:  # reads the rest: what the index does not have is refused
                    other.close()
            except BaseException:
                first.close()
                raise
            return first

    return take_entry(
        layout, exported, entry, key_hex, unpack=unpack, origin=origin, check=check, files=files
    )


def take_entry(
    layout: CacheLayout,
    shown: Path,
    entry: EntryPaths,
    key_hex: str,
    *,
    unpack: Unpack,
    origin: Origin,
    check: Callable[[], None] = lambda: None,
    files: FileSystem = REAL,
) -> str:
    """Publish an entry that `unpack` unpacks; return "", or why it cannot be used here.

    The caller holds the entry's lock, and the entry is missing. `check` is called now and then, and
    raises an error to end the work. `shown` names in errors where the entry is from, and `origin`
    in its record.

    Raises:
        ArchiveError: it is not what its fingerprint and its key say.
        CacheError: a file cannot be written; what `unpack` raises.
    """
    check()
    begin_attempt(entry, key_hex, files=files)
    try:
        with _blaming(shown):
            unpacked = unpack(entry.at(TMP))
        try:
            check()
            _, _, ingredients = checked_entry(layout, shown, unpacked)
        finally:
            unpacked.close()
        check()
        problem = put_in_place(entry, key_hex, ingredients, unpacked, files, origin=origin).problem
    except OSError as error:
        _give_up(entry, files)
        raise explained(error, doing="take an entry", path=entry.location) from error
    except BaseException:
        _give_up(entry, files)
        raise
    if problem:
        _give_up(entry, files)
    else:
        with contextlib.suppress(OSError):
            clear_away(entry, files)
    return problem


@contextlib.contextmanager
def _blaming(shown: Path) -> Iterator[None]:
    """Turn what only the names in an entry can have caused into an ArchiveError."""
    try:
        yield
    except (LeadsOutside, SameToFileSystem) as error:
        raise ArchiveError(f"{shown} cannot be used: {error.message}", archive=shown) from None
    except OSError as error:
        if error.errno not in ABOUT_NAMES:
            raise
        reason = error.strerror or str(error)
        raise ArchiveError(f"{shown} cannot be used here: {reason}", archive=shown) from None


def remove_traces(entry: EntryPaths, files: FileSystem = REAL) -> None:
    """Remove the folders of a missing entry that are empty, so that it is as if never begun."""
    with contextlib.suppress(OSError):
        files.remove_empty_dir(entry.at(FETCH))
        files.remove_empty_dir(entry.location)


def _give_up(entry: EntryPaths, files: FileSystem) -> None:
    """Remove what was unpacked, but first the marker; earlier downloads of the entry stay."""
    with contextlib.suppress(OSError), released():
        unpublish(entry, files)
        for name in (ASSET, WORK):
            files.remove_tree(os.path.join(entry.location, name))
        for record in (FINGERPRINT, INGREDIENTS, ORIGIN):
            files.remove(entry.at(record))
    remove_traces(entry, files)
