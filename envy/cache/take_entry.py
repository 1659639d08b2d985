"""Taking one entry of an export file into the cache, in the place of building it.

Guarantees
  Nothing is unpacked before `accept` has judged the index and its signature.
  The entry becomes visible only after its payload was compared with its fingerprint; whatever is
  wrong with the file, the entry is then missing, as before.
  Several entries can be taken at once: each is unpacked inside its own entry, under its lock.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from envy.cache.export_import import (
    Accept,
    UnpackedEntry,
    checked_entry,
    put_in_place,
    unpacked_entries,
)
from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.names import ASSET, TMP, WORK
from envy.cache.write import begin_attempt, clear_away
from envy.errors import ArchiveError
from envy.interpreter import released


def take_entry(
    layout: CacheLayout,
    exported: Path,
    entry: EntryPaths,
    key_hex: str,
    *,
    accept: Accept,
    check: Callable[[], None] = lambda: None,
    files: FileSystem = REAL,
) -> str:
    """Publish the only entry of an export file; return "", or why it cannot be used here.

    The caller holds the entry's lock, and the entry is missing. `check` is called now and then, and
    raises an error to end the work.

    Raises:
        ArchiveError: the file is damaged, or is not the export of exactly this entry.
        CacheError: a file cannot be written.
    """
    begin_attempt(entry, key_hex, files=files)
    try:
        with contextlib.closing(
            unpacked_entries(exported, entry.at(TMP), accept=_accepting(accept, check))
        ) as found:
            first = next(found, None)
            if first is None:
                raise ArchiveError(f"{exported} has no entry", archive=exported)
            try:
                _check_is(first, entry, key_hex, exported)
                _, _, ingredients = checked_entry(layout, exported, first)
            finally:
                first.close()
            if next(found, None) is not None:
                raise ArchiveError(f"{exported} has several entries", archive=exported)
        check()
        problem = put_in_place(entry, key_hex, ingredients, first, files).problem
    except OSError as error:
        _give_up(entry, files)
        raise explained(error, doing="take an entry", path=entry.location) from error
    except BaseException:
        _give_up(entry, files)
        raise
    if not problem:
        with contextlib.suppress(OSError):
            clear_away(entry, files)
    return problem


def _accepting(accept: Accept, check: Callable[[], None]) -> Accept:
    def judge(index: bytes, signature: bytes) -> None:
        check()
        accept(index, signature)

    return judge


def _check_is(found: UnpackedEntry, entry: EntryPaths, key_hex: str, exported: Path) -> None:
    if (found.name, found.key_hex) != (entry.name, key_hex):
        raise ArchiveError(
            f"{exported} has {found.name} with the key {found.key_hex[:16]}, and not {entry.name}",
            archive=exported,
        )


def _give_up(entry: EntryPaths, files: FileSystem) -> None:
    """Remove what was unpacked; earlier downloads of the entry stay."""
    with contextlib.suppress(OSError), released():
        for name in (ASSET, WORK):
            files.remove_tree(os.path.join(entry.location, name))
