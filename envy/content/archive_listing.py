"""What an archive contains, without unpacking it."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from envy.content.archive import tar_members
from envy.content.archive_errors import named_errors
from envy.content.zip_file import link_target, open_zip
from envy.content.zip_names import member_name

if TYPE_CHECKING:
    import tarfile
    import zipfile


class ArchiveMember(NamedTuple):
    """A member as the archive names it; `target` is where a link leads."""

    name: str
    type: str  # "file", "folder", "link", "hard link" or "other", such as a device
    size: int
    mode: int
    target: str = ""


def members_in(archive: Path) -> Iterator[ArchiveMember]:
    """Yield the members of an archive, in their order.

    Raises:
        ArchiveError: it is damaged, or not an archive.
    """
    with archive.open("rb") as file:
        is_zip = file.read(4) in {b"PK\x03\x04", b"PK\x05\x06"}
    if not is_zip:
        for member, _ in tar_members(archive):
            yield _tar_member(member)
        return
    with named_errors(archive), open_zip(archive) as zipped:
        for info in zipped.infolist():
            yield _zip_member(archive, zipped, info)


def _tar_member(member: tarfile.TarInfo) -> ArchiveMember:
    kinds = (
        ("folder", member.isdir()),
        ("link", member.issym()),
        ("hard link", member.islnk()),
        ("file", member.isreg()),
    )
    kind = next((kind for kind, is_that in kinds if is_that), "other")
    return ArchiveMember(member.name, kind, member.size, member.mode & 0o7777, member.linkname)


def _zip_member(archive: Path, zipped: zipfile.ZipFile, info: zipfile.ZipInfo) -> ArchiveMember:
    made_on_dos = info.create_system == 0
    name = member_name(info)
    name = name.replace("\\", "/") if made_on_dos else name
    mode = 0 if made_on_dos else info.external_attr >> 16
    kind, target = "file", ""
    if name.endswith("/"):
        kind = "folder"
    elif stat.S_ISLNK(mode):
        kind, target = "link", link_target(archive, zipped, info)
    elif stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        kind = "other"
    return ArchiveMember(name, kind, info.file_size, stat.S_IMODE(mode), target)
