"""Writing the entries of an archive below one folder, the root, and nowhere else.

Owns every check of a name or a link, and the writing of files, folders and links. Knows no archive
format.

Guarantees
  No file is written outside the root, whatever names, links and chains of links the entries have.
  When `finish` has returned, no link that was created leads outside the root.
"""

# Plain os.path: these functions run once per entry, perhaps a hundred thousand times.
# ruff: noqa: PTH108, PTH112, PTH114, PTH115, PTH117, PTH118, PTH120, PTH123, PTH211

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from envy.errors import ArchiveError

_CHUNK = 1 << 20
# Never an existing file: it might be a link, or have another hard link.
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_DRIVE = re.compile(r"[A-Za-z]:(?!:)")

Parts = tuple[str, ...]
# From the parts of a member's name to those of its target; None leaves the member out.
PlaceMember = Callable[[Parts], Parts | None]


@dataclass(slots=True)
class Unpacking:
    """One archive being unpacked."""

    archive: Path
    root: str
    place: PlaceMember
    count: int = 0
    links: list[tuple[str, str]] = field(default_factory=list)
    folders: list[tuple[str, int]] = field(default_factory=list)
    # Folders known to be inside the root; cleared when a link is created, which may change that.
    inside: set[str] = field(default_factory=set)

    def refuse(self, member: str, why: str) -> ArchiveError:
        """Return the error for an entry that must not be written."""
        return ArchiveError(
            f"{self.archive}: the entry {member!r} {why}",
            archive=self.archive,
            member=member,
            hint="such an archive can overwrite files elsewhere; do not use it unless you know why",
        )


def _parts_of(job: Unpacking, member: str) -> Parts:
    """Return the parts of a member's name; raise if the name could lead outside the root."""
    if member.startswith(("/", "\\")) or _DRIVE.match(member):
        raise job.refuse(member, "is an absolute path")
    if ".." in re.split(r"[/\\]", member):
        raise job.refuse(member, 'contains ".."')
    return tuple(part for part in member.split("/") if part not in {"", "."})


def target_of(job: Unpacking, member: str) -> str | None:
    """Return the absolute path of a member and create its folder; None if it is left out."""
    parts = _place(job, member)
    return os.path.join(_folder(job, member, parts[:-1]), parts[-1]) if parts else None


def _place(job: Unpacking, member: str) -> Parts | None:
    parts = job.place(_parts_of(job, member))
    if parts and (_DRIVE.match(parts[0]) or parts[0].startswith("\\")):
        raise job.refuse(member, "is an absolute path")
    return parts


def _folder(job: Unpacking, member: str, parts: Parts) -> str:
    folder = os.path.join(job.root, *parts)
    if folder not in job.inside:
        _make_folder(job, member, folder)
    return folder


def _make_folder(job: Unpacking, member: str, folder: str) -> None:
    # An earlier entry may have created a link where a folder of this name is expected. The real
    # path is checked, since a chain of links can lead outside while each link looks harmless.
    if not _is_inside(job, folder):
        raise job.refuse(member, "would be written through a link that leads outside")
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise job.refuse(member, "is inside an entry that is a file") from None
    job.inside.add(folder)


def _is_inside(job: Unpacking, path: str) -> bool:
    real = os.path.realpath(path)
    return real == job.root or real.startswith(job.root.rstrip(os.sep) + os.sep)


def write_file(job: Unpacking, member: str, source: IO[bytes], *, mode: int, mtime: int) -> None:
    """Write a file; a later entry of the same name replaces an earlier one."""
    target = target_of(job, member)
    if target is None:
        return
    # Only the executable bit is kept: setuid is never wanted, and a build could not patch a
    # read-only file.
    permissions = 0o755 if mode & 0o111 else 0o644
    try:
        descriptor = os.open(target, _CREATE, permissions)
    except FileExistsError:
        _make_room(job, member, target)
        descriptor = os.open(target, _CREATE, permissions)
    with open(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)
    _set_mtime(target, mtime)
    job.count += 1


def _make_room(job: Unpacking, member: str, target: str) -> None:
    if not os.path.lexists(target):
        return
    if os.path.isdir(target) and not os.path.islink(target):
        raise job.refuse(member, "is already a folder")
    os.unlink(target)


def _set_mtime(target: str, mtime: int) -> None:
    # A time that the file system cannot store is no reason to fail.
    with contextlib.suppress(OSError, OverflowError):
        os.utime(target, (mtime, mtime))


def write_folder(job: Unpacking, member: str, *, mtime: int) -> None:
    """Create a folder; its time is set by `finish`, after its content was written."""
    parts = _place(job, member)
    if parts:
        job.folders.append((_folder(job, member, parts), mtime))


def write_symlink(job: Unpacking, member: str, to: str) -> None:
    """Create a symbolic link, which must be relative and lead to a path inside the root."""
    target = target_of(job, member)
    if target is None:
        return
    if os.path.isabs(to) or _DRIVE.match(to):
        raise job.refuse(member, f"is a link to the absolute path {to}")
    if not _is_inside(job, os.path.join(os.path.dirname(target), to)):
        raise job.refuse(member, f"is a link that leads outside: {to}")
    _make_room(job, member, target)
    os.symlink(to, target)
    job.links.append((member, target))
    job.inside.clear()
    job.count += 1


def write_hard_link(job: Unpacking, member: str, to: str) -> None:
    """Link to an entry that was unpacked before; copy it on a file system without hard links."""
    target = target_of(job, member)
    if target is None:
        return
    source = target_of(job, to)
    if source is None or source == target or not os.path.lexists(source):
        raise job.refuse(member, f"is a hard link to {to}, which was not unpacked before it")
    if os.path.islink(source):
        write_symlink(job, member, os.readlink(source))
        return
    _make_room(job, member, target)
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)
    job.count += 1


def finish(job: Unpacking) -> int:
    """Check all links again, set the times of folders, and return the number of files."""
    for member, link in job.links:
        # Each link was checked when it was created; later links may have changed where it leads.
        if os.path.islink(link) and not _is_inside(job, link):
            os.unlink(link)
            raise job.refuse(member, "is a link that leads outside through another link")
    for folder, mtime in reversed(job.folders):
        _set_mtime(folder, mtime)
    return job.count
