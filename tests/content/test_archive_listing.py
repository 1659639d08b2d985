"""What an archive contains, without unpacking it."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile

import pytest
from packed import END, ar_bytes, cpio_entry, deb_bytes, rpm_bytes, tar_of

from envy.content.archive import decompressed_name
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


@pytest.mark.parametrize(("kind", "library"), [("gz", gzip), ("bz2", bz2), ("xz", lzma)])
def test_a_compressed_file(tmp_path, kind, library):
    """A file that is compressed alone is listed as what it becomes."""
    path = tmp_path / f"notes.xz.{kind}"
    path.write_bytes(library.compress(b"text" * 99))
    assert list(members_in(path)) == [ArchiveMember("notes.xz", "file", 396, 0o644)]
    path.write_bytes(library.compress(b"text" * 99)[:-9])
    with pytest.raises(ArchiveError, match="is damaged"):
        list(members_in(path))


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("a.gz", "a"),
        ("a.xz.gz", "a.xz"),
        ("a.tar.zst", "a.tar"),
        ("a", "a"),
        ("a.b", "a.b"),
        (".gz", ".gz"),
    ],
)
def test_the_name_of_what_a_compressed_file_becomes(name, becomes):
    """One suffix is dropped: the content is decompressed once."""
    assert decompressed_name(name) == becomes


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 and no more", b"\x1f\x8b\x08"])
def test_what_is_no_archive(tmp_path, content):
    """It is an error that names the file."""
    path = tmp_path / "a.zip"
    path.write_bytes(content)
    with pytest.raises(ArchiveError, match=r"a\.zip"):
        list(members_in(path))


def test_members_of_packages(tmp_path):
    """The files of Debian and RPM packages, and those of an ar archive."""
    tar = tar_of(("./d", None), ("./d/f", b"abc"), ("./l", (tarfile.SYMTYPE, "d/f")))
    files = [
        cpio_entry("./f", b"abc", mode=0o100755),
        cpio_entry("./l", b"f", mode=0o120777),
        cpio_entry("./p", mode=0o010644),
    ]
    for name, content, expected in (
        (
            "a.deb",
            deb_bytes(gzip.compress(tar)),
            [
                ArchiveMember("./d", "folder", 0, 0o755),
                ArchiveMember("./d/f", "file", 3, 0o755),
                ArchiveMember("./l", "link", 0, 0o755, "d/f"),
            ],
        ),
        (
            "a.rpm",
            rpm_bytes(*files, END),
            [
                ArchiveMember("./f", "file", 3, 0o755),
                ArchiveMember("./l", "link", 1, 0o777, "f"),
                ArchiveMember("./p", "other", 0, 0o644),
            ],
        ),
        ("a.ar", ar_bytes(("f/", b"abc")), [ArchiveMember("f", "file", 3, 0o644)]),
    ):
        (tmp_path / name).write_bytes(content)
        assert list(members_in(tmp_path / name)) == expected


def test_members_of_a_7z(tmp_path):
    """Entries with their sizes, before anything is decompressed."""
    py7zr = pytest.importorskip("py7zr")
    path = tmp_path / "a.7z"
    (tmp_path / "f").write_bytes(b"abc")
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.write(tmp_path / "f", "d/f")
    [member] = members_in(path)
    assert (member.name, member.type, member.size) == ("d/f", "file", 3)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ArchiveError, match=r"a\.7z is damaged"):
        list(members_in(path))
