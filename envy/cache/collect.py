"""Garbage collection of entries: the plan of what is removed and why, and the removal.

The plan is a pure function of the inventory, the records of use, the leases and the time; manifests
are never read. What the last whole sync of an existing project needs to run is live, whatever its
age. What else a sync used is live for some time, unless the rules ask for less.

Removal moves an entry to the trash in one step, under its lock, and deletes it there. The next gc
deletes what an interrupted one left in the trash.

Guarantees
  An entry stays if a lease names it, if it is being built, if it was used within the last day, or
  if it was used after the plan was made.
  At every moment an entry exists as a whole, or not at all.
  An entry that cannot be removed is reported, and does not keep others from being removed.
"""

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from envy.cache.filesystem import REAL, FileSystem, explained
from envy.cache.inventory import EntryReport, Inventory
from envy.cache.layout import CacheLayout, EntryPaths
from envy.cache.lease import gate, leased_names
from envy.cache.lock import FileLock
from envy.cache.names import COLLECT_LOCK, MARKER, short_key
from envy.cache.usage import DAY, RecordedUse, Uses, used_since
from envy.errors import CacheError
from envy.interpreter import released

DEFAULT_UNUSED_FOR = 30 * DAY
_IN_USE = "a running command uses it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The options of a gc; times in seconds, sizes in bytes."""

    unused_for: float = DEFAULT_UNUSED_FOR
    max_size: int | None = None
    only_current: bool = False
    now: float = field(default_factory=time.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryDecision:
    """Whether an entry is removed, and why; `spared`: it stays whatever the options."""

    entry: EntryReport
    remove: bool
    reason: str
    used_at: float
    spared: bool = False
    held_by: tuple[str, ...] = ()  # projects whose last whole sync needs it to run


@dataclass(slots=True)
class Collected:
    """The result of a collection; `freed` is in bytes."""

    removed: list[EntryDecision] = field(default_factory=list)
    spared: list[EntryDecision] = field(default_factory=list)  # planned, but now in use
    failed: list[CacheError] = field(default_factory=list)
    freed: int = 0


def used_at(entry: EntryReport, uses: Uses) -> float:
    """Return when an entry was last used or built, in seconds since the epoch."""
    return max([entry.changed_at, *(use.at for use in uses.by_entry.get(entry.paths.name, ()))])


def plan(inventory: Inventory, uses: Uses, leased: set[str], rules: Rules) -> list[EntryDecision]:
    """Return a decision for each entry, the least recently used first."""
    decisions = [
        _decide(entry, uses.by_entry.get(entry.paths.name, ()), leased, rules)
        for entry in inventory.entries
    ]
    decisions.sort(key=lambda decision: (decision.used_at, decision.entry.paths.name))
    return decisions


def _decide(
    entry: EntryReport, recorded: Sequence[RecordedUse], leased: set[str], rules: Rules
) -> EntryDecision:
    last = max([entry.changed_at, *(use.at for use in recorded)])
    idle = rules.now - last
    held_by = tuple(sorted({use.project for use in recorded if use.holds and entry.complete}))
    remove, reason = _rule(entry, recorded, leased, rules, idle=idle)
    return EntryDecision(
        entry=entry,
        remove=remove,
        reason=reason,
        used_at=last,
        spared=bool(held_by) or idle < DAY or entry.paths.name in leased,
        held_by=held_by,
    )


def _rule(
    entry: EntryReport,
    recorded: Sequence[RecordedUse],
    leased: set[str],
    rules: Rules,
    *,
    idle: float,
) -> tuple[bool, str]:
    projects = _shown({use.project for use in recorded})
    holders = _shown({use.project for use in recorded if use.holds})
    decisions = [
        (entry.paths.name in leased, False, _IN_USE),
        (idle < DAY, False, "used within the last day"),
        (not entry.complete, True, f"an attempt that did not complete, {_days(idle)} ago"),
        (bool(holders), False, f"{holders} needs it"),
        (
            rules.only_current and not any(use.current for use in recorded),
            True,
            "no project's last sync used it",
        ),
        (
            not rules.only_current and idle > rules.unused_for,
            True,
            f"not used for {_days(idle)}",
        ),
        (bool(projects), False, f"used by {projects} {_days(idle)} ago"),
    ]
    found = ((remove, reason) for applies, remove, reason in decisions if applies)
    return next(found, (False, f"built {_days(idle)} ago"))


def _shown(projects: set[str]) -> str:
    shown = sorted(projects)[:3]
    return ", ".join(shown) + (f" and {len(projects) - 3} more" if len(projects) > 3 else "")


def _days(seconds: float) -> str:
    if seconds < 2 * DAY:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / DAY:.0f} days"


@contextlib.contextmanager
def collecting(
    layout: CacheLayout, *, wait: Callable[[FileLock], None] = FileLock.acquire
) -> Iterator[None]:
    """Hold the lock for work in the trash, which `wait` acquires.

    Raises:
        CacheError: the lock cannot be acquired.
    """
    lock = FileLock(layout.shared_lock_path(COLLECT_LOCK))
    wait(lock)
    try:
        yield
    finally:
        lock.release()


def collect(
    layout: CacheLayout,
    decisions: Iterable[EntryDecision],
    known: Uses,
    *,
    files: FileSystem = REAL,
) -> Collected:
    """Remove the entries that the plan decided to remove, as far as that is possible."""
    done = Collected()
    for decision in decisions:
        if not decision.remove:
            continue
        try:
            if not _move_away(layout, decision, known, files):
                done.spared.append(decision)
                continue
            done.removed.append(decision)
            done.freed += decision.entry.size
            empty_trash(layout, files=files)
            _remove_logs(layout, decision.entry.paths, files)
        except CacheError as error:
            done.failed.append(error)
    return done


def forget_old_uses(uses: Uses, rules: Rules) -> None:
    """Remove records that no longer matter; the record of a project's last whole sync stays."""
    for path, at in uses.files.items():
        if rules.now - at > max(rules.unused_for, DEFAULT_UNUSED_FOR) and path not in uses.kept:
            with contextlib.suppress(OSError):
                os.unlink(path)


def empty_trash(layout: CacheLayout, *, files: FileSystem = REAL) -> int:
    """Delete the content of the trash; return the number of items.

    Raises:
        CacheError: an item cannot be removed; all others have been.
    """
    trash = str(layout.trash_root)
    failure: OSError | None = None
    try:
        if not stat.S_ISDIR(os.lstat(trash).st_mode):
            # A link could lead to files that are not trash.
            raise FileExistsError(errno.EEXIST, "not a folder", trash)
        names = os.listdir(trash)
        for name in names:
            try:
                with released():
                    files.remove_tree(os.path.join(trash, name))
            except OSError as error:
                failure = failure or error
        if failure is not None:
            raise failure
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise explained(error, doing="empty the trash of the cache", path=trash) from error
    return len(names)


def move_to_trash(layout: CacheLayout, entry: EntryPaths, *, files: FileSystem = REAL) -> None:
    """Move an entry to the trash in one step. The caller holds its lock; no lease names it.

    Raises:
        CacheError: the entry cannot be moved.
    """
    trash = str(layout.trash_root)
    target = os.path.join(trash, f"{os.path.basename(entry.location)}-{os.urandom(6).hex()}")
    try:
        files.make_dir(trash)
        try:
            files.rename(entry.location, target)
        except PermissionError:
            # Moving a folder elsewhere changes its `..`, so the folder has to be writable.
            mode = stat.S_IMODE(os.lstat(entry.location).st_mode)
            files.set_mode(entry.location, mode | stat.S_IRWXU)
            files.rename(entry.location, target)
        # Before any of its files is deleted: otherwise a crash could bring back a marker without
        # its payload.
        with released():
            files.flush_dirs([os.path.dirname(entry.location), trash])
    except OSError as error:
        raise explained(error, doing="remove an entry of the cache", path=entry.location) from error


def _move_away(
    layout: CacheLayout, decision: EntryDecision, known: Uses, files: FileSystem
) -> bool:
    entry = decision.entry.paths
    lock = FileLock(layout.lock_of(entry))
    if not lock.try_acquire():
        return False
    try:
        with gate(layout):
            if entry.name in leased_names(layout) or entry.name in used_since(layout, known):
                return False
            if not os.path.isdir(entry.location) or _changed(decision.entry):
                return False
            move_to_trash(layout, entry, files=files)
        lock.remove()
    finally:
        lock.release()
    return True


def _changed(entry: EntryReport) -> bool:
    """Return whether an entry was completed or worked on since the inventory was taken."""
    try:
        at = os.stat(entry.paths.at(MARKER)).st_mtime
    except FileNotFoundError:
        return entry.complete
    return not entry.complete or at != entry.changed_at


def remove_now(layout: CacheLayout, entry: EntryReport, *, files: FileSystem = REAL) -> bool:
    """Move an entry to the trash unless a command uses it; return whether it was moved.

    Raises:
        CacheError: the entry cannot be moved.
    """
    lock = FileLock(layout.lock_of(entry.paths))
    if not lock.try_acquire():
        return False
    try:
        with gate(layout):
            if entry.paths.name in leased_names(layout):
                return False
            if os.path.lexists(entry.paths.location):
                move_to_trash(layout, entry.paths, files=files)
        lock.remove()
    finally:
        lock.release()
    _remove_logs(layout, entry.paths, files)
    return True


def _remove_logs(layout: CacheLayout, entry: EntryPaths, files: FileSystem) -> None:
    identity, _, folder = entry.name.partition("/")
    with contextlib.suppress(OSError, CacheError):
        files.remove_tree(str(layout.log_root(identity, short_key(folder))))
