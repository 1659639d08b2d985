"""Archives: recognising them, and unpacking them safely.

Owns the list of formats that envy unpacks. The first bytes of a file decide its format; its name
decides only whether it is meant to be unpacked at all (a `.jar` is a zip that is used as it is).
"""

import contextlib
import os
import re
import stat
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from envy import interpreter
from envy.content.ar_file import DEBIAN_MAGIC, data_of_debian, extract_ar
from envy.content.ar_file import MAGIC as AR_MAGIC
from envy.content.archive_errors import named_errors, unknown
from envy.content.arriving import Arriving, GivenUp
from envy.content.atomic import temporary_beside
from envy.content.below_root import BelowRoot, open_below
from envy.content.brought import Parts
from envy.content.count_files import CountFiles
from envy.content.decompression import COMPRESSIONS, decompressed, kind_of_compression
from envy.content.extraction import (
    PlaceMember,
    Unpacking,
    copy_beside,
    finish,
    judge_links,
    settle_digests,
    write_file,
    write_folder,
    write_hard_link,
    write_symlink,
)
from envy.content.member_selection import MemberSelection
from envy.content.read_ahead import chunks_ahead, chunks_of
from envy.content.rpm_package import MAGIC as RPM_MAGIC
from envy.content.rpm_package import extract_rpm
from envy.content.seven_zip import MAGIC as SEVEN_ZIP_MAGIC
from envy.content.seven_zip import extract_seven_zip
from envy.content.tar_header import FILE, FOLDER, HARD_LINK, SYMLINK, Header
from envy.content.tar_stream import members_of
from envy.content.unpacked_size import UnpackedSize
from envy.content.zip_members import extract_zip
from envy.errors import ArchiveError

_BLOCK = 512
_ARCHIVE_NAMES = re.compile(
    r"\.(tar(\.(gz|bz2|xz|zst))?|tgz|tbz2?|txz|tzst|zip|whl|7z|deb|rpm|ar)$", re.IGNORECASE
)
# Zip files (or tars) that are used as one file.
_NEVER_UNPACKED = re.compile(
    r"\.(jar|war|ear|aar|apk|ipa|vsix|xpi|nupkg|pyz|docx|xlsx|pptx|odt|ods|epub|npz|gem)$",
    re.IGNORECASE,
)
_MAGIC = (
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (DEBIAN_MAGIC, "deb"),
    (AR_MAGIC, "ar"),
    (RPM_MAGIC, "rpm"),
    (SEVEN_ZIP_MAGIC, "7z"),
)
# Archives by their content, whatever they are called; an ar is mostly a library of objects.
_ARCHIVES = frozenset({"zip", "tar", "deb", "rpm", "7z"})
_DEVICES = frozenset({b"3", b"4", b"6"})  # in a tar
_OTHERS = {"ar": extract_ar, "rpm": extract_rpm, "7z": extract_seven_zip}


def is_archive(path: Path) -> bool:
    """Return whether a file should be unpacked: see `formats`."""
    return is_archive_called(path, path.name)


def is_unpacked(path: Path, name: str) -> bool:
    """Return whether a file that is to be called `name` is unpacked or decompressed."""
    return is_archive_called(path, name) or _kind_of(path) in COMPRESSIONS


def is_archive_called(path: Path, name: str) -> bool:
    """Return whether a file that is to be called `name` should be unpacked."""
    if _ARCHIVE_NAMES.search(name):
        return True
    if _NEVER_UNPACKED.search(name):
        return False
    kind = _kind_of(path)
    return kind in _ARCHIVES or (kind in COMPRESSIONS and _holds_tar(path, kind))


def is_single_compressed_file(path: Path) -> bool:
    """Return whether a file is compressed, and neither a tar nor another archive."""
    return not is_archive(path) and _kind_of(path) in COMPRESSIONS


def decompressed_name(name: str) -> str:
    """Return the name of what a compressed file becomes: without one suffix, the last."""
    stem, dot, suffix = name.rpartition(".")
    return stem if stem and dot and suffix in COMPRESSIONS else name


def extract(archive: Path, dest: Path, *, strip: int = 0, subdir: str = "") -> int:
    """Unpack into a folder, judge the links, and return the number of files; see `extract_below`.

    Raises:
        ArchiveError: the archive is damaged, an entry would be written outside `dest`, or no file
            was unpacked.
    """
    with open_below(dest) as below:
        count = extract_below(archive, below, (), strip=strip, subdir=subdir)
        judge_links(below)
    return count


def extract_below(
    archive: Path,
    below: BelowRoot,
    into: Parts,
    *,
    strip: int = 0,
    subdir: str = "",
    select: MemberSelection | None = None,
    report: CountFiles | None = None,
    arriving: Arriving | None = None,
) -> int:
    """Unpack into the folder `into` of a root, and return the number of files.

    The first `strip` parts of each name are dropped. Of the rest, only entries below `subdir` are
    unpacked, directly into the folder; and of these, only what `select` takes. The caller judges
    the links, once every archive of the root is unpacked.

    Raises:
        ArchiveError: the archive is damaged, an entry would be written outside the root, no file
            was unpacked, or a pattern matches nothing.
    """
    wanted = tuple(part for part in re.split(r"[/\\]", subdir) if part not in {"", "."})

    def place(parts: Parts) -> Parts | None:
        left = parts[strip:]
        return left[len(wanted) :] if left[: len(wanted)] == wanted else None

    depth = strip + len(wanted)
    count = extract_placed(
        archive, below, into, place, depth=depth, select=select, report=report, arriving=arriving
    )
    if not count:
        asked = f"strip = {strip}" if strip else ""
        asked += (" and " if asked and subdir else "") + (f'subdir = "{subdir}"' if subdir else "")
        raise ArchiveError(
            f"no file of {archive} is left with {asked}" if asked else f"{archive} is empty",
            archive=archive,
            hint="list the archive, and adapt `strip` and `subdir` to its folders" if asked else "",
        )
    return count


def extract_placed(
    archive: Path,
    below: BelowRoot,
    into: Parts,
    place: PlaceMember,
    *,
    depth: int = 0,
    select: MemberSelection | None = None,
    report: CountFiles | None = None,
    arriving: Arriving | None = None,
) -> int:
    """Unpack each selected member to where `place` puts it; return the number of files, perhaps 0.

    `depth` is the number of leading parts that `place` drops: a link that leads beside what is
    left is replaced by a copy of its target. An archive that is still `arriving` is a zip or a tar.

    Raises:
        GivenUp: it does not arrive, or cannot be unpacked before it is there.
    """
    kind = _kind_of(archive) if arriving is None else _kind_of_head(arriving.pread(_BLOCK, 0))
    with interpreter.released(), named_errors(archive):
        unpacking = Unpacking(
            archive=archive,
            below=below,
            into=into,
            place=place,
            select=select,
            depth=depth,
            report=report,
            arriving=arriving,
        )
        _extract_members(unpacking, kind)
        for field, pattern in select.unused() if select is not None else ():
            raise ArchiveError(
                f'no file of {archive} matches "{pattern}" of `{field}`',
                archive=archive,
                hint="list the archive: paths are those that are left after `strip` and `subdir`",
            )
        if unpacking.beside:
            if arriving is not None:
                raise GivenUp
            _copy_beside(unpacking, kind)
        return finish(unpacking)


def _extract_members(job: Unpacking, kind: str) -> None:
    if job.below.digests is not None:
        job.below.digests.begin()
    if kind == "zip":
        extract_zip(job)
    elif kind == "tar" or kind in COMPRESSIONS:
        with contextlib.closing(_tar_members(job.archive, kind, job.arriving)) as members:
            for member, content in members:
                _extract_tar_member(job, member, content)
    elif kind == "deb":
        with job.archive.open("rb") as stream:
            data = data_of_debian(job.archive, stream)
            for member, content in members_of(job.archive, chunks_of(data)):
                _extract_tar_member(job, member, content)
    elif kind in _OTHERS:
        _OTHERS[kind](job)
    else:
        raise unknown(job.archive)
    settle_digests(job)


def _copy_beside(job: Unpacking, kind: str) -> None:
    """Unpack all of the archive to a temporary folder, and copy from there what links lead to."""
    with (
        temporary_beside(Path(job.below.root, "archive"), sole_writer=False) as temporary,
        open_below(temporary) as tree,
    ):
        whole = Unpacking(
            archive=job.archive, below=tree, into=(), place=lambda parts: parts, judged=False
        )
        _extract_members(whole, kind)
        copy_beside(job, tree)


def decompress_file(path: Path, dest: Path, size: UnpackedSize | None = None) -> None:
    """Decompress a single `.gz`, `.bz2`, `.xz` or `.zst` file to the file `dest`.

    Raises:
        ArchiveError: the file is not compressed, is damaged, or is larger than its limit.
    """
    with open_below(dest.parent) as below:
        if size is not None:
            below.unpacked = size
        decompress_below(path, below, (dest.name,))


def decompress_below(
    path: Path, below: BelowRoot, parts: Parts, *, executable: bool = False
) -> None:
    """Decompress a single file to a path below a root, perhaps as an executable file.

    Raises:
        ArchiveError: the file is not compressed, is damaged, or is larger than its limit.
        LeadsOutside: the path leads outside.
    """
    kind = _kind_of(path)
    if kind not in COMPRESSIONS:
        raise unknown(path)
    with (
        interpreter.released(),
        named_errors(path),
        decompressed(path, kind) as source,
        open(below.create_file(parts, 0o666), "wb") as target,  # noqa: PTH123
    ):
        below.unpacked.copy(source, target, path)
        if executable:
            os.fchmod(target.fileno(), stat.S_IMODE(os.fstat(target.fileno()).st_mode) | 0o111)


# --- formats ---------------------------------------------------------------------------------


def is_unpacked_while_arriving(name: str, head: bytes) -> bool:
    """Return whether a file of this name that begins so can be unpacked before all of it is there.

    Of others, too much must be known: whether a compressed file has a tar inside, for example.
    """
    kind = _kind_of_head(head, name)
    is_read_in_order = kind == "tar" or kind in COMPRESSIONS
    return bool(_ARCHIVE_NAMES.search(name)) and (kind == "zip" or is_read_in_order)


def archive_kind(path: Path) -> str:
    """Return the kind of an archive by its first bytes, such as `zip`, `gz` or `deb`; or ""."""
    return _kind_of(path)


def _kind_of(path: Path) -> str:
    """Return `zip`, `tar`, the name of a compression, or "" for any other file."""
    with path.open("rb") as file:
        head = file.read(_BLOCK)
    return _kind_of_head(head, path.name)


def _kind_of_head(head: bytes, name: str = "") -> str:
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if compression := kind_of_compression(head):
        return compression
    # An empty tar is all zeros, as many other files are: then the name decides.
    is_empty_tar = len(head) == _BLOCK and not any(head) and _ARCHIVE_NAMES.search(name)
    return "tar" if is_empty_tar or _is_tar_header(head) else ""


def _is_tar_header(head: bytes) -> bool:
    if len(head) < _BLOCK:
        return False
    if head[257:262] == b"ustar":
        return True
    # Old tars have no magic number, but a checksum in the header.
    digits = head[148:156].strip(b" \0")
    try:
        return int(digits, 8) == sum(head[:148]) + 8 * 0x20 + sum(head[156:])
    except ValueError:
        return False


def _holds_tar(path: Path, kind: str) -> bool:
    try:
        with named_errors(path), decompressed(path, kind) as stream:
            return _is_tar_header(stream.read(_BLOCK))
    except ArchiveError:
        return False


# --- tar and zip ---


def tar_members(archive: Path) -> Generator[tuple[Header, Iterable[bytes]]]:
    """Yield the members of a tar in order, with the pieces of their content; to be closed.

    The pieces are a tuple if they are at hand.

    Raises:
        ArchiveError: the file is not a tar, is damaged, or has a header that is too large. Taking
            the content raises it, too.
    """
    with named_errors(archive):
        kind = _kind_of(archive)
    with contextlib.closing(_tar_members(archive, kind)) as members:
        for member, content in members:
            yield member, content if isinstance(content, tuple) else _named(archive, content)


def _named(archive: Path, content: Iterable[bytes]) -> Iterator[bytes]:
    with named_errors(archive):
        yield from content


def _tar_members(
    archive: Path, kind: str, arriving: Arriving | None = None
) -> Generator[tuple[Header, Iterable[bytes]]]:
    if kind != "tar" and kind not in COMPRESSIONS:
        with named_errors(archive):
            raise unknown(archive)
    with (
        named_errors(archive),
        decompressed(archive, kind, arriving) as stream,
        chunks_ahead(stream) as chunks,
    ):
        yield from members_of(archive, chunks)


def _extract_tar_member(job: Unpacking, member: Header, content: Iterable[bytes]) -> None:
    mtime, kind = int(member.mtime), member.kind
    if kind == FILE:
        write_file(job, member.name, content, mode=member.mode, mtime=mtime)
    elif kind == FOLDER:
        write_folder(job, member.name, mtime=mtime)
    elif kind == SYMLINK:
        write_symlink(job, member.name, member.link)
    elif kind == HARD_LINK:
        write_hard_link(job, member.name, member.link)
    elif member.type in _DEVICES:
        raise job.refuse(member.name, "is a device or a pipe")
    else:
        raise ArchiveError(
            f"{job.archive}: the entry {member.name!r} has a type that envy does not know: "
            f"{member.type.decode('latin-1')!r}",
            archive=job.archive,
            member=member.name,
            hint="unpack it with tar in a stage function, or pack it in the format pax",
        )
