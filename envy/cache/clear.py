"""Removal of everything in the cache, except for what running commands use.

Guarantees
  Only names that envy uses are removed; other files in the root are left alone.
  An entry is removed as gc removes it: in one step, under its lock and the gate.
  While another command runs, its lease, its locks, and what its lease names stay.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from envy.cache.collect import empty_trash, remove_now
from envy.cache.disk_usage import readable_listing
from envy.cache.filesystem import REAL, explained
from envy.cache.inventory import EntryReport, take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lease import gate, leased_names
from envy.cache.leftovers import BasisOf, LeftoverDecision, find_leftovers, remove_leftovers
from envy.cache.lock import FileLock
from envy.cache.names import (
    ANSWERS_FOLDER,
    ASSETS_FOLDER,
    COLLECT_LOCK,
    DOWNLOADS_FOLDER,
    DURATIONS_FOLDER,
    JOBSERVERS_FOLDER,
    LEASES_FOLDER,
    LOCK,
    LOCKS_FOLDER,
    LOGS_FOLDER,
    PADDING,
    PROJECTS_FOLDER,
    RECIPES_FOLDER,
    RESOLUTIONS_FOLDER,
    RUN_ONCE_FOLDER,
    SHIMS_FOLDER,
    TESTS_FOLDER,
    TRASH_FOLDER,
    UV_FOLDER,
)
from envy.errors import CacheError

# Removed as a whole while no other command runs: nothing in them is locked one by one.
_PLAIN = (
    PROJECTS_FOLDER, ANSWERS_FOLDER, DURATIONS_FOLDER, SHIMS_FOLDER, TESTS_FOLDER, RECIPES_FOLDER,
    LOGS_FOLDER, JOBSERVERS_FOLDER, RESOLUTIONS_FOLDER, RUN_ONCE_FOLDER, DOWNLOADS_FOLDER,
    UV_FOLDER,
)  # fmt: skip


@dataclass(slots=True)
class Cleared:
    """What was removed, what stays because a command uses it, and what could not be removed."""

    removed: list[EntryReport] = field(default_factory=list)
    in_use: list[EntryReport] = field(default_factory=list)
    failed: list[CacheError] = field(default_factory=list)
    busy: bool = False  # another command is running


def clear(layout: CacheLayout, basis_of: BasisOf) -> Cleared:
    """Remove everything that no running command uses. The caller holds the lock of `collecting`.

    Raises:
        CacheError: the cache cannot be read.
    """
    done = Cleared()
    inventory = take_inventory(layout)
    for entry in inventory.entries:
        try:
            (done.removed if remove_now(layout, entry) else done.in_use).append(entry)
        except CacheError as error:
            done.failed.append(error)
    done.failed += inventory.unreadable
    with gate(layout):
        leased = leased_names(layout)
        done.busy = bool(done.in_use) or bool(leased) or _runs_another(layout)
    decisions = [
        LeftoverDecision(leftover=leftover, remove=True, reason="")
        for leftover in find_leftovers(layout, basis_of)
        if leftover.name not in leased
    ]
    done.failed += remove_leftovers(layout, decisions)[1]
    if not done.busy:
        _remove(done, (os.path.join(layout.root, name) for name in _PLAIN))
    try:
        empty_trash(layout)
    except CacheError as error:
        done.failed.append(error)
    _remove_empty(layout)
    return done


def remove_root(layout: CacheLayout) -> None:
    """Remove the folders and locks that remain in a cleared cache, and the root if it is empty.

    The caller has released the lock of `collecting`, whose file is the last one.
    """
    locks = os.path.join(layout.root, LOCKS_FOLDER)
    for above, _, names in os.walk(locks):
        for name in names:
            path = os.path.join(above, name)
            if name.endswith(LOCK) and path != str(layout.shared_lock_path(COLLECT_LOCK)):
                _remove_lock(path)
    _remove_lock(str(layout.shared_lock_path(COLLECT_LOCK)))
    for above, folders, _ in os.walk(locks, topdown=False):
        for name in folders:
            with contextlib.suppress(OSError):
                os.rmdir(os.path.join(above, name))
    for item in readable_listing(str(layout.root)):
        if item.is_symlink() and not item.name.strip(PADDING):
            with contextlib.suppress(OSError):
                os.unlink(item.path)
    for path in (locks, str(layout.root)):
        with contextlib.suppress(OSError):
            os.rmdir(path)


def _remove_lock(path: str) -> None:
    with contextlib.suppress(OSError, CacheError):
        lock = FileLock(path)
        if lock.try_acquire():
            lock.remove()


def _runs_another(layout: CacheLayout) -> bool:
    """Return whether another command holds a lease, even an empty one."""
    with contextlib.suppress(OSError):
        return any(name.endswith(LOCK) for name in os.listdir(layout.leases_root))
    return False


def _remove(done: Cleared, paths: Iterable[str]) -> None:
    for path in paths:
        try:
            REAL.remove_tree(path)
        except OSError as error:
            done.failed.append(explained(error, doing="clear the cache", path=path))


def _remove_empty(layout: CacheLayout) -> None:
    """Remove the folders that are empty now; not those inside of an entry that is being built."""
    for name in (ASSETS_FOLDER, LEASES_FOLDER, TRASH_FOLDER, *_PLAIN):
        top = os.path.join(layout.root, name)
        for path in [*(entry.path for entry in readable_listing(top)), top]:
            with contextlib.suppress(OSError):
                os.rmdir(path)
