"""Writing the entries of an archive below one folder, and nowhere else.

Owns the check of every name, and the writing of files, folders and links; `below_root` decides
where they may be. Knows no archive format.

Guarantees
  No file is written outside the root, whatever names, links and chains of links the entries have.
  When the root's links have been judged, no link that was created leads outside the root.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from envy.content.arriving import Arriving
from envy.content.below_root import BelowRoot
from envy.content.beside import CannotCopy, Copies, NoTarget, lowest_level
from envy.content.brought import Brought, LeadsOutside, Parts
from envy.content.count_files import CountFiles
from envy.content.member_selection import MemberSelection
from envy.content.open_file import set_time, write_all
from envy.errors import ArchiveError

_DRIVE = re.compile(r"[A-Za-z]:(?!:)")

# From the parts of a member's name to those of its target; None leaves the member out.
PlaceMember = Callable[[Parts], Parts | None]


class Beside(NamedTuple):
    """A link to what is left out of the archive, to be replaced by a copy."""

    names: Parts  # the whole name of the member
    member: str
    to: str


@dataclass(slots=True)
class Unpacking:
    """One archive being unpacked, into the folder `into` of a root."""

    archive: Path
    below: BelowRoot
    into: Parts
    place: PlaceMember
    select: MemberSelection | None = None
    depth: int = 0  # the leading parts of names that `place` drops
    judged: bool = True  # false: links may lead anywhere, since nothing of this is kept
    report: CountFiles | None = None
    arriving: Arriving | None = None  # the archive, if it is still being written
    total: int = 0  # members; 0 if the format does not tell before the end
    count: int = 0
    beside: dict[Parts, Beside] = field(default_factory=dict)  # by their place below the root
    folders: dict[Parts, int] = field(default_factory=dict)  # their times

    def refuse(self, member: str, why: str) -> ArchiveError:
        """Return the error for an entry that must not be written."""
        return refusal(self.archive, member, why)


def refusal(archive: Path, member: str, why: str) -> ArchiveError:
    """Return the error for an entry of an archive that must not be written."""
    return ArchiveError(
        f"{archive}: the entry {member!r} {why}",
        archive=archive,
        member=member,
        hint="such an archive can overwrite files elsewhere; do not use it unless you know why",
    )


def parts_of(job: Unpacking, member: str) -> Parts:
    """Return the parts of a member's name; raise if the name could lead outside the root."""
    if member.startswith(("/", "\\")) or (member[1:2] == ":" and _DRIVE.match(member)):
        raise job.refuse(member, "is an absolute path")
    if ".." in member and ".." in re.split(r"[/\\]", member):
        raise job.refuse(member, 'contains ".."')
    parts = member.split("/")
    if "" in parts or "." in parts:
        parts = [part for part in parts if part not in {"", "."}]
    return tuple(parts)


def _is_beside(job: Unpacking, member: str, parts: Parts, to: str) -> bool:
    """Record a link that leads to what is left out of the archive; return whether it does."""
    names = parts_of(job, member)
    if not 0 <= lowest_level(names, to) < job.depth:
        return False
    _leave_beside(job, parts, Beside(names, member, to))
    return True


def _leave_beside(job: Unpacking, parts: Parts, link: Beside) -> None:
    """Record a link that is going to be a copy, for which patterns count already."""
    if job.select is not None:
        job.select.makes_executable(parts[len(job.into) :])
    job.beside[parts] = link


def _place(job: Unpacking, member: str) -> Parts | None:
    """Return the path of a member below the root; None if it is left out."""
    parts = job.place(parts_of(job, member))
    if not parts:
        return None
    if (parts[0][1:2] == ":" and _DRIVE.match(parts[0])) or parts[0].startswith("\\"):
        raise job.refuse(member, "is an absolute path")
    if job.select is not None and not job.select.takes(parts):
        return None
    return job.into + parts if job.into else parts


def _refused(job: Unpacking, member: str, error: LeadsOutside | OSError) -> Exception:
    """Return the error for an entry that `below_root` refused, or the system's own."""
    if isinstance(error, LeadsOutside):
        return job.refuse(member, f"would be written through {error.why}")
    if isinstance(error, IsADirectoryError):
        return job.refuse(member, "is already a folder")
    if isinstance(error, NotADirectoryError):
        return job.refuse(member, "is inside an entry that is a file")
    return error


def place_file(job: Unpacking, member: str) -> Parts | None:
    """Return the path of a member that is a file, with a real folder; None if it is left out.

    The folder is created.
    """
    parts = _place(job, member)
    if parts is None:
        return None
    job.below.unpacked.add_files(job.archive)
    job.beside.pop(parts, None)
    try:
        return (*job.below.real_folder(parts[:-1]), parts[-1])
    except (LeadsOutside, OSError) as error:
        raise _refused(job, member, error) from None


def create_file(job: Unpacking, member: str, parts: Parts, mode: int) -> int:
    """Create a file in place of an earlier one of this name, and return its descriptor."""
    if job.select is not None and job.select.makes_executable(parts[len(job.into) :]):
        mode |= 0o111
    # Only the executable bit is kept: setuid is never wanted, and a build could not patch a
    # read-only file.
    kept = 0o755 if mode & 0o111 else 0o644
    try:
        return job.below.create_file(parts, kept & ~0o222 if job.below.is_final else kept)
    except (LeadsOutside, OSError) as error:
        raise _refused(job, member, error) from None


def fill_file(job: Unpacking, descriptor: int, pieces: Iterable[bytes], mtime: int) -> None:
    """Write the content of a new file, and close it; may be called by several threads at once."""
    digests = job.below.digests
    try:
        if digests is None:
            for piece in pieces:
                write_all(descriptor, piece)
            set_time(descriptor, mtime)
            return
        digest = digests.write(descriptor, pieces)
        set_time(descriptor, mtime)
        digests.note(os.fstat(descriptor), digest)
    finally:
        os.close(descriptor)


def write_file(
    job: Unpacking, member: str, pieces: Iterable[bytes], *, mode: int, mtime: int
) -> None:
    """Write a file; a later entry of the same name replaces an earlier one."""
    parts = place_file(job, member)
    if parts is None:
        return
    if isinstance(pieces, tuple):  # without a generator for each file
        job.below.unpacked.add(sum(map(len, pieces)), job.archive)
    else:
        pieces = _counted(job, pieces)
    descriptor = create_file(job, member, parts, mode)
    fill_file(job, descriptor, pieces, mtime)
    job.count += 1
    if job.report:
        job.report(job.count, job.total)


def _counted(job: Unpacking, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces, none of them beyond the limit of what may be unpacked."""
    for piece in pieces:
        job.below.unpacked.add(len(piece), job.archive)
        yield piece


def write_folder(job: Unpacking, member: str, *, mtime: int) -> None:
    """Create a folder; its time is set by `finish`, after its content was written."""
    parts = _place(job, member)
    if parts is None:
        return
    try:
        job.below.real_folder(parts)
    except (LeadsOutside, OSError) as error:
        raise _refused(job, member, error) from None
    job.below.unpacked.add_files(job.archive, 0)
    job.folders.pop(parts, None)
    job.folders[parts] = mtime


def write_symlink(job: Unpacking, member: str, to: str) -> None:
    """Create a symbolic link, which must be relative and lead to a path inside the root."""
    parts = _place(job, member)
    if parts is None:
        return
    job.below.unpacked.add_files(job.archive)
    if (os.path.isabs(to) or _DRIVE.match(to)) and job.judged:  # noqa: PTH117
        raise job.refuse(member, f"is a link to the absolute path {to}")
    if job.depth and _is_beside(job, member, parts, to):
        return
    _create_link(job, member, parts, to)


def _create_link(job: Unpacking, member: str, parts: Parts, to: str) -> None:
    brought = Brought(item=str(job.archive), member=member, to=to, judged=job.judged)
    job.beside.pop(parts, None)
    try:
        job.below.create_link(parts, brought)
    except LeadsOutside as error:
        if error.brought is brought:
            raise job.refuse(member, _leads_outside(error, to)) from None
        raise _refused(job, member, error) from None
    except OSError as error:
        raise _refused(job, member, error) from None
    job.count += 1


def _leads_outside(error: LeadsOutside, to: str) -> str:
    return f"is {error.what}: {to}" + (f", through {error.other}" if error.other else "")


def write_hard_link(job: Unpacking, member: str, to: str) -> None:
    """Link to an entry that was unpacked before; copy it on a file system without hard links.

    Nothing is done for a link to itself, by its own or by another name, as with GNU tar.
    """
    parts, source = _place(job, member), _place(job, to)
    if parts is None:
        return
    job.below.unpacked.add_files(job.archive)
    if source is None and (job.depth or job.select is not None):
        _leave_beside(job, parts, Beside(parts_of(job, member), member, to))
        return
    job.beside.pop(parts, None)
    try:
        status = job.below.status(source) if source is not None else None
        if status is not None and _is_same(status, job.below.status(parts)):
            return
        if source is None or status is None or stat.S_ISDIR(status.st_mode):
            raise job.refuse(member, f"is a hard link to {to}, which was not unpacked before it")
        if stat.S_ISLNK(status.st_mode):
            _create_link(job, member, parts, job.below.read_link(source))
            return
        if not job.below.create_hard_link(source, parts):
            _copy(job, source, parts, status)
        _make_executable(job, parts)
    except (LeadsOutside, OSError) as error:
        raise _refused(job, member, error) from None
    job.count += 1


def _make_executable(job: Unpacking, parts: Parts) -> None:
    """Make what a link has become executable, if it matches: a file is that by all its names."""
    if job.select is None or not job.select.makes_executable(parts[len(job.into) :]):
        return
    status = job.below.status(parts)
    if status is not None and stat.S_ISREG(status.st_mode):
        job.below.set_mode(parts, stat.S_IMODE(status.st_mode) | 0o111)


def _is_same(one: os.stat_result, other: os.stat_result | None) -> bool:
    if other is None or stat.S_ISDIR(one.st_mode):
        return False
    return os.path.samestat(one, other)


def _copy(job: Unpacking, source: Parts, parts: Parts, status: os.stat_result) -> None:
    with (
        open(job.below.open_file(source), "rb") as reading,  # noqa: PTH123
        open(job.below.create_file(parts, stat.S_IMODE(status.st_mode)), "wb") as writing,  # noqa: PTH123
    ):
        job.below.unpacked.copy(reading, writing, job.archive)
        writing.flush()
        set_time(writing.fileno(), int(status.st_mtime))
        if job.below.digests is not None:
            job.below.digests.forget(os.fstat(writing.fileno()))


def copy_beside(job: Unpacking, tree: BelowRoot) -> None:
    """Copy the targets of links that lead to what was left out, from the whole archive.

    A link to what the archive does not contain is created, unless it leads outside of the root.
    """

    def bring(link: Parts, to: str) -> Brought:
        return Brought(str(job.archive), "/".join(link), to, judged=True)

    def copied(parts: Parts) -> None:
        _make_executable(job, parts)

    copies = Copies(tree, job.below, bring)
    for parts, link in [*job.beside.items()]:
        try:
            job.count += copies.copy_target(link.names, parts, copied)
        except NoTarget as error:
            # Perhaps another item brings the target.
            try:
                _create_link(job, link.member, parts, tree.read_link(link.names))
            except ArchiveError:
                raise _no_copy(job, link, error) from None
        except CannotCopy as error:
            raise _no_copy(job, link, error) from None
        except (LeadsOutside, OSError) as error:
            raise _refused(job, link.member, error) from None


def _no_copy(job: Unpacking, link: Beside, error: CannotCopy) -> ArchiveError:
    return ArchiveError(
        f"{job.archive}: the entry {link.member!r} → {link.to} is a link {error.why}",
        archive=job.archive,
        member=link.member,
        hint=error.hint
        or "a copy takes the place of a link to what is left out of the archive; unpack all of "
        "the archive, and move what you need in a stage function",
    )


def settle_digests(job: Unpacking) -> None:
    """Call when the members are written, before anything else changes the files."""
    if job.below.digests is not None:
        job.below.digests.settle()


def finish(job: Unpacking) -> int:
    """Set the times of folders, and return the number of files."""
    for parts, mtime in reversed(job.folders.items()):
        job.below.set_folder_time(parts, mtime)
    return job.count


def judge_links(below: BelowRoot) -> None:
    """Judge all links that archives have brought below a root, once all of them are unpacked.

    Raises:
        ArchiveError: one of them leads outside, perhaps through a link that another item brought.
    """
    try:
        below.judge()
    except LeadsOutside as error:
        if error.brought is None:
            raise
        brought = error.brought
        why = _leads_outside(error, brought.to)
        raise refusal(Path(brought.item), brought.member, why) from None
