"""What an archive contains, without unpacking it."""

import io
import tarfile
import zipfile

import pytest

from envy.content.archive_listing import ArchiveMember, members_in
from envy.errors import ArchiveError


def test_members_of_a_tar(tmp_path):
    """Each kind of member, with its mode and target; hostile names, too."""
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, size, link in (
            ("d", tarfile.DIRTYPE, 0, ""),
            ("d/f", tarfile.REGTYPE, 3, ""),
            ("l", tarfile.SYMTYPE, 0, "d/f"),
            ("h", tarfile.LNKTYPE, 0, "d/f"),
            ("../p", tarfile.FIFOTYPE, 0, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname, info.mode = kind, size, link, 0o755
            tar.addfile(info, io.BytesIO(b"abc"))
    assert list(members_in(path)) == [
        ArchiveMember("d", "folder", 0, 0o755),
        ArchiveMember("d/f", "file", 3, 0o755),
        ArchiveMember("l", "link", 0, 0o755, "d/f"),
        ArchiveMember("h", "hard link", 0, 0o755, "d/f"),
        ArchiveMember("../p", "other", 0, 0o755),
    ]


def test_members_of_a_zip(tmp_path):
    """The same of a zip."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, mode, content in (
            ("d/", 0o040755, b""),
            ("d/f", 0o100644, b"abc"),
            ("l", 0o120777, b"d/f"),
            ("p", 0o010644, b""),
        ):
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, mode << 16
            zipped.writestr(info, content)
        dos = zipfile.ZipInfo("x\\y")
        dos.create_system = 0
        zipped.writestr(dos, "")
    assert list(members_in(path)) == [
        ArchiveMember("d/", "folder", 0, 0o755),
        ArchiveMember("d/f", "file", 3, 0o644),
        ArchiveMember("l", "link", 3, 0o777, "d/f"),
        ArchiveMember("p", "other", 0, 0o644),
        ArchiveMember("x/y", "file", 0, 0),
    ]


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more", b"\x1f\x8b\x08"])
def test_what_is_no_archive(tmp_path, content):
    """It is an error that names the file."""
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.zip"):
        list(members_in(path))
