"""What an archive contains, without unpacking it."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from envy.content.ar_file import ar_members, data_of_debian
from envy.content.archive import (
    archive_kind,
    decompressed_name,
    is_single_compressed_file,
    tar_members,
)
from envy.content.archive_errors import named_errors
from envy.content.decompression import decompressed
from envy.content.piece import read_exactly
from envy.content.read_ahead import chunks_of
from envy.content.rpm_package import rpm_members
from envy.content.seven_zip import seven_zip_members
from envy.content.tar_header import FOLDER, Header
from envy.content.tar_stream import members_of
from envy.content.unpacked_size import UnpackedSize, pieces_of
from envy.content.zip_file import link_target, open_zip
from envy.content.zip_names import member_name
from envy.limits import ARCHIVE_HEADER

if TYPE_CHECKING:
    import zipfile


class ArchiveMember(NamedTuple):
    """A member as the archive names it; `target` is where a link leads, "" for one of a 7z."""

    name: str
    type: str  # "file", "folder", "link", "hard link" or "other", such as a device
    size: int
    mode: int
    target: str = ""


def members_in(archive: Path) -> Iterator[ArchiveMember]:
    """Yield the members of an archive, in their order.

    Raises:
        ArchiveError: it is damaged, or not an archive; UsageError: its format needs an extra.
    """
    listing = _LISTINGS.get(archive_kind(archive), _tar_listing)
    if is_single_compressed_file(archive):
        listing = _content_listing
    with named_errors(archive):
        yield from listing(archive)


def _content_listing(archive: Path) -> Iterator[ArchiveMember]:
    size = UnpackedSize()
    with decompressed(archive, archive_kind(archive)) as content:
        for piece in pieces_of(content):
            size.add(len(piece), archive)
    yield ArchiveMember(decompressed_name(archive.name), "file", size.size, 0o644)


def _tar_listing(archive: Path) -> Iterator[ArchiveMember]:
    with contextlib.closing(tar_members(archive)) as members:
        for member, _ in members:
            yield _tar_member(member)


def _zip_listing(archive: Path) -> Iterator[ArchiveMember]:
    with open_zip(archive) as zipped:
        for info in zipped.infolist():
            yield _zip_member(archive, zipped, info)


def _debian_listing(archive: Path) -> Iterator[ArchiveMember]:
    with archive.open("rb") as stream:
        for member, _ in members_of(archive, chunks_of(data_of_debian(archive, stream))):
            yield _tar_member(member)


def _ar_listing(archive: Path) -> Iterator[ArchiveMember]:
    with archive.open("rb") as stream:
        for member, content in ar_members(archive, stream):
            yield ArchiveMember(member.name, "file", content.left, stat.S_IMODE(member.mode))


def _rpm_listing(archive: Path) -> Iterator[ArchiveMember]:
    with archive.open("rb") as stream:
        for member, content in rpm_members(archive, stream):
            target = ""
            if stat.S_ISLNK(member.mode):
                if member.size > ARCHIVE_HEADER.value:
                    raise ValueError(f"the link {member.name!r} has a target of {member.size} B")
                target = os.fsdecode(read_exactly(cast("IO[bytes]", content), member.size))
            yield _of_mode(member.name, member.mode, member.size, target)


def _seven_zip_listing(archive: Path) -> Iterator[ArchiveMember]:
    for member, size in seven_zip_members(archive):
        yield _of_mode(member.name, member.mode, size)


_LISTINGS = {
    "zip": _zip_listing,
    "deb": _debian_listing,
    "ar": _ar_listing,
    "rpm": _rpm_listing,
    "7z": _seven_zip_listing,
}


def _of_mode(name: str, mode: int, size: int, target: str = "") -> ArchiveMember:
    kinds = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFREG: "file", 0: "file"}
    kind = kinds.get(stat.S_IFMT(mode), "other")
    return ArchiveMember(name, kind, size, stat.S_IMODE(mode), target)


def _tar_member(member: Header) -> ArchiveMember:
    kind = member.kind or "other"
    name = (member.name.rstrip("/") if kind == FOLDER else "") or member.name
    return ArchiveMember(name, kind, member.content_size, member.mode & 0o7777, member.link)


def _zip_member(archive: Path, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArchiveMember:
    made_on_dos = info.create_system == 0
    name = member_name(info)
    name = name.replace("\\", "/") if made_on_dos else name
    mode = 0 if made_on_dos else info.external_attr >> 16
    if name.endswith("/"):
        return ArchiveMember(name, "folder", info.file_size, stat.S_IMODE(mode))
    target = link_target(archive, zipped, info) if stat.S_ISLNK(mode) else ""
    return _of_mode(name, mode, info.file_size, target)
