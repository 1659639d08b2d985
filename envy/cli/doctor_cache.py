"""The part of `envy doctor` about the cache: its file system, and the health of its content."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from envy.cache.disk_usage import readable_listing
from envy.cache.filesystem import explained
from envy.cache.inventory import take_inventory
from envy.cache.layout import CacheLayout
from envy.cache.lock import FileLock
from envy.cache.names import TRASH_FOLDER
from envy.cli.cache_root import cache_root
from envy.cli.doctor_report import Report
from envy.cli.doctor_settings import origin_of
from envy.cli.settings import Settings
from envy.console.text import format_size
from envy.errors import CacheError

_LITTLE = 1 << 30  # bytes; many packages need more than this while they are built
_ELSEWHERE = "name another cache with --cache-root or ENVY_CACHE_ROOT"
_MOST_NAMED = 20


def check_cache(report: Report, settings: Settings, given: dict[str, Any]) -> None:
    """Report the cache. Nothing in it is changed, apart from a lock that is made and removed."""
    report.section = "cache"
    try:
        root = cache_root(settings)
    except CacheError as error:
        report.failed(error, remedy=_ELSEWHERE)
        return
    report.add("root", root, origin_of("cache_root", given, settings))
    if " " in str(root):
        report.doubtful(
            f"the path of the cache, {root}, contains a space: most packages that are built with "
            "autotools or make break",
            _ELSEWHERE,
        )
    existing = _existing(root)
    _file_system(report, existing)
    _space(report, existing)
    if existing != root:
        _not_yet(report, root, existing)
        return
    if not root.is_dir():
        report.broken(f"{root} is not a folder", f"move it away, or {_ELSEWHERE}")
        return
    _locks(report, root)
    _content(report, CacheLayout(root))


def _existing(path: Path) -> Path:
    """Return a path, or the nearest above it that exists."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def _not_yet(report: Report, root: Path, existing: Path) -> None:
    report.add("state", "does not exist yet; the first sync makes it")
    if not existing.is_dir():
        report.broken(
            f"{root} cannot be made, because {existing} is not a folder",
            f"move {existing} away, or {_ELSEWHERE}",
        )
    elif not os.access(existing, os.W_OK | os.X_OK):
        report.broken(
            f"{root} cannot be made: {existing} is not writable",
            f"check the owner and the permissions of {existing}, or {_ELSEWHERE}",
        )


def _file_system(report: Report, path: Path) -> None:
    point, kind, options = mount_of(path)
    report.add("file system", f"{kind} at {point}" if kind else "unknown")
    if "noexec" in options:
        report.broken(
            f"{point} is mounted with noexec, so no program of a package can run",
            f"mount it without noexec, or {_ELSEWHERE}",
        )


def mount_of(path: Path, table: str = "/proc/self/mountinfo") -> tuple[str, str, set[str]]:
    """Return mount point, kind and options of the file system of a path; empty where unknown."""
    best: tuple[str, str, set[str]] = ("", "", set())
    try:
        real, rows = str(path.resolve()), Path(table).read_text(errors="surrogateescape")
    except OSError:
        return best
    for row in rows.splitlines():
        head, _, tail = row.partition(" - ")
        words = head.split()
        if len(words) < 6 or not tail:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), words[4])
        is_above = real == point or real.startswith(point.rstrip("/") + "/")
        # Of several at one point, the last is on top.
        if is_above and len(point) >= len(best[0]):
            best = (point, tail.split()[0], set(words[5].split(",")))
    return best


def _space(report: Report, path: Path) -> None:
    try:
        usage = shutil.disk_usage(path)
        files = os.statvfs(path) if hasattr(os, "statvfs") else None
    except OSError as error:
        report.failed(explained(error, doing="read the cache's disk", path=str(path)))
        return
    report.add("free space", f"{format_size(usage.free)} of {format_size(usage.total)}")
    remedy = f"free some space (`envy cache gc` removes unused packages), or {_ELSEWHERE}"
    if not usage.free:
        report.broken(f"the disk of {path} is full", remedy)
    elif usage.free < _LITTLE:
        report.doubtful(f"the disk of {path} has only {format_size(usage.free)} free", remedy)
    if files is not None and files.f_files and not files.f_favail:
        report.broken(f"the file system of {path} has no room for another file", remedy)


def _locks(report: Report, root: Path) -> None:
    """Take a lock in a folder of this process in the cache, and try to take it twice."""
    try:
        folder = tempfile.mkdtemp(prefix="envy-doctor-", dir=root)
    except OSError as error:
        report.add("writable", "no")
        report.failed(explained(error, doing="write to the cache", path=str(root)))
        return
    report.add("writable", "yes")
    path = Path(folder, "doctor.lock")
    first, second = FileLock(path), FileLock(path)
    try:
        works = first.try_acquire() and not second.try_acquire()
        report.add("locks", "work" if works else "do not work")
        if not works:
            report.broken(
                f"the file system of {root} gives one lock to two: commands that run at the same "
                "time would damage the cache",
                f"{_ELSEWHERE}, on a local disk",
            )
    except CacheError as error:
        report.add("locks", "do not work")
        report.failed(error, remedy=_ELSEWHERE)
    finally:
        first.release()
        second.release()
        with contextlib.suppress(OSError):
            shutil.rmtree(folder)


def _content(report: Report, layout: CacheLayout) -> None:
    try:
        inventory = take_inventory(layout)
    except CacheError as error:
        report.failed(error, remedy=_ELSEWHERE)
        return
    complete = [entry for entry in inventory.entries if entry.complete]
    total = sum(entry.size for entry in inventory.entries)
    report.add("entries", f"{len(complete)} complete, {format_size(total)} in all")
    report.add("incomplete", len(inventory.entries) - len(complete))
    report.add("unreadable", len(inventory.unreadable))
    report.add(TRASH_FOLDER, len(readable_listing(str(layout.trash_root))))
    for unreadable in inventory.unreadable[:_MOST_NAMED]:
        report.failed(unreadable, remedy="look at it; `envy cache clear` removes the whole cache")
    for path in inventory.foreign[:_MOST_NAMED]:
        report.doubtful(f"{path} was not created by envy", "look at it, and move it away")
