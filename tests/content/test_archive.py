"""Archives are recognised by content and unpacked inside their folder only."""

import bz2
import errno
import gzip
import io
import lzma
import os
import random
import stat
import struct
import sys
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from envy.content.archive import (
    decompress_file,
    extract,
    extract_below,
    is_archive,
    is_single_compressed_file,
)
from envy.content.below_root import open_below
from envy.errors import ArchiveError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstd.compress,
}


def member(name, *, kind=tarfile.REGTYPE, to="", mode=0o644, mtime=1_600_000_000):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.mtime = kind, to, mode, mtime
    return info


def tar_bytes(*members):
    """A tar of TarInfos, or (TarInfo, content) pairs."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for each in members:
            info, content = each if isinstance(each, tuple) else (each, b"")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def tar_file(folder, *members, name="a.tar"):
    path = folder / name
    path.write_bytes(tar_bytes(*members))
    return path


def old_tar():
    """A tar from before its format had a magic number."""
    header = bytearray(tar_bytes(*GOOD))
    header[257:265] = b"\0" * 8
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header[:512])
    return bytes(header)


def zip_file(folder, *entries, name="a.zip"):
    """A zip of (name, content, unix mode) entries; mode None is an entry written on DOS."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as made:
        for entry, content, mode in entries:
            info = zipfile.ZipInfo(entry, date_time=(2021, 2, 3, 4, 5, 6))
            info.create_system = 0 if mode is None else 3
            info.external_attr = (mode or 0) << 16
            made.writestr(info, content)
    return path


def tree(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


GOOD = [(member("pkg/bin/tool", mode=0o755), b"run"), (member("pkg/doc/a.txt"), b"text")]


@pytest.mark.parametrize("suffix", ["", *COMPRESS])
def test_every_tar_is_unpacked(tmp_path, suffix):
    """A tar, compressed in any way envy knows, is unpacked, and its files are counted."""
    data = tar_bytes(*GOOD)
    path = tmp_path / f"a.tar{'.' if suffix else ''}{suffix}"
    path.write_bytes(COMPRESS[suffix](data) if suffix else data)
    assert extract(path, tmp_path / "out") == 2
    assert tree(tmp_path / "out") == {"pkg/bin/tool": b"run", "pkg/doc/a.txt": b"text"}


def test_zip_is_unpacked(tmp_path):
    """A zip is unpacked, even with the backslashes that DOS programs write."""
    path = zip_file(tmp_path, ("a/b.txt", "1", 0o644), ("c\\d.txt", "2", None))
    assert extract(path, tmp_path / "out") == 2
    assert tree(tmp_path / "out") == {"a/b.txt": b"1", "c/d.txt": b"2"}


def unicode_path(raw, name, *, version=1):
    """The Unicode Path field for a member with this raw name."""
    data = struct.pack("<BL", version, zlib.crc32(raw)) + name
    return struct.pack("<HH", 0x7075, len(data)) + data


ZIP_NAMES = {
    "utf-8 with the flag": ("é", None, b"", "é"),
    "utf-8 without the flag": (None, "é".encode(), b"", "é"),
    "code page 437": (None, b"\x82", b"", "é"),
    "a unicode path": (None, b"?", unicode_path(b"?", "é€".encode()), "é€"),
    "a unicode path and the flag": ("a", None, unicode_path(b"a", b"b"), "b"),
    "a unicode path before utf-8": (None, "é".encode(), unicode_path("é".encode(), b"e"), "e"),
    "a unicode path after another field": (None, b"?", b"\1\0\0\0" + unicode_path(b"?", b"a"), "a"),
    "an outdated unicode path": (None, b"new", unicode_path(b"old", b"old"), "new"),
    "another version": (None, b"a", unicode_path(b"a", b"b", version=2), "a"),
    "a unicode path that is not utf-8": (None, b"a", unicode_path(b"a", b"\xff"), "a"),
    "an empty unicode path": (None, b"a", unicode_path(b"a", b""), "a"),
}


class RawName(zipfile.ZipInfo):
    """A member whose name is stored as these bytes, without the flag for UTF-8."""

    raw = b""

    def _encodeFilenameFlags(self):
        return self.raw, self.flag_bits & ~0x800


@pytest.mark.parametrize("case", ZIP_NAMES)
def test_names_in_a_zip(tmp_path, case):
    """A valid Unicode Path counts first, then valid UTF-8 with or without the flag."""
    text, raw, extra, name = ZIP_NAMES[case]
    info = zipfile.ZipInfo(text) if text else RawName("x")
    if isinstance(info, RawName):
        info.raw = raw
    info.extra = extra
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        if text and text.isascii():
            info.flag_bits |= 0x800
        made.writestr(info, "content")
    extract(tmp_path / "a.zip", tmp_path / "out")
    assert tree(tmp_path / "out") == {name: b"content"}


@pytest.mark.parametrize("name", [b"../evil", b"/evil", b"a/../../evil"])
def test_a_unicode_path_cannot_leave(tmp_path, name):
    """The name that counts is the one that is checked."""
    info = RawName("x")
    info.raw, info.extra = b"good", unicode_path(b"good", name)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(info, "content")
    with pytest.raises(ArchiveError):
        extract(tmp_path / "a.zip", tmp_path / "box" / "out")
    assert not list(tmp_path.rglob("evil"))


def test_content_decides_how_to_unpack(tmp_path):
    """An archive with the wrong file extension is unpacked by its content."""
    path = tar_file(tmp_path, *GOOD, name="really-a-tar.zip")
    assert extract(path, tmp_path / "out") == 2


@pytest.mark.parametrize("size", [511, 512, 8192, 1 << 20, (1 << 20) + 8192])
def test_members_of_every_size(tmp_path, size):
    """Members that end at the edge of a block or a buffer are complete, in every compression."""
    content = random.Random(size).randbytes(size)
    data = tar_bytes((member("a"), content), (member("empty"), b""), (member("b"), content))
    for suffix, compress in COMPRESS.items():
        path = tmp_path / f"a.tar.{suffix}"
        path.write_bytes(compress(data))
        assert extract(path, tmp_path / suffix) == 3
        assert tree(tmp_path / suffix) == {"a": content, "b": content, "empty": b""}


def test_long_names(tmp_path):
    """Names that need an extra header are read, in every format of tar."""
    name = "/".join(["folder" * 10] * 5) + "/fïle"
    for number, dialect in enumerate((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)):
        path = tmp_path / f"{number}.tar"
        with tarfile.open(path, "w", format=dialect) as tar:
            tar.addfile(member(name))
        extract(path, tmp_path / str(number))
        assert list(tree(tmp_path / str(number))) == [name]


def test_strip_and_subdir(tmp_path):
    """Leading folders are dropped first, then only entries below subdir are unpacked."""
    path = tar_file(tmp_path, *GOOD)
    assert extract(path, tmp_path / "out", strip=1, subdir="bin") == 1
    assert tree(tmp_path / "out") == {"tool": b"run"}


@pytest.mark.parametrize("asked", [{"strip": 3}, {"subdir": "nowhere"}])
def test_unpacking_no_file_is_an_error(tmp_path, asked):
    """If no file is left, the error names the settings."""
    with pytest.raises(ArchiveError, match=next(iter(asked))):
        extract(tar_file(tmp_path, *GOOD), tmp_path / "out", **asked)


def test_empty_archive_is_an_error(tmp_path):
    """An archive without a file is an error that says it is empty."""
    with pytest.raises(ArchiveError, match="is empty"):
        extract(tar_file(tmp_path), tmp_path / "out")


def test_modes_and_times(tmp_path):
    """The executable bit and the time are kept, setuid and read-only are not."""
    path = tar_file(
        tmp_path,
        member("d", kind=tarfile.DIRTYPE, mode=0o500, mtime=1_500_000_000),
        (member("d/tool", mode=0o6555), b"x"),
        (member("d/plain", mode=0o400), b"y"),
    )
    extract(path, tmp_path / "out")
    out = tmp_path / "out" / "d"
    mode = stat.S_IMODE((out / "tool").stat().st_mode)
    assert mode & 0o7700 == 0o700
    assert stat.S_IMODE((out / "plain").stat().st_mode) & 0o7700 == 0o600
    assert (out / "tool").stat().st_mtime == 1_600_000_000
    assert out.stat().st_mtime == 1_500_000_000


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("pack", ["zip", "tar"])
def test_files_that_nothing_changes_later(tmp_path, pack):
    """They are created without write permission; a later entry still takes the name of one."""
    entries = [("a", "1", 0o100666), ("run", "2", 0o100777), ("a", "3", 0o100640)]
    if pack == "zip":
        path = zip_file(tmp_path, *entries)
    else:
        made = [(member(name, mode=mode), text.encode()) for name, text, mode in entries]
        path = tar_file(tmp_path, *made)
    with open_below(tmp_path / "out") as below:
        below.is_final = True
        assert extract_below(path, below, ()) == 3
    found = {each.name: each.stat().st_mode & 0o322 for each in (tmp_path / "out").iterdir()}
    assert found == {"a": 0, "run": 0o100}
    assert (tmp_path / "out" / "a").read_text() == "3"


def test_zip_modes_and_times(tmp_path):
    """A zip keeps the executable bit and its time, read as UTC."""
    extract(zip_file(tmp_path, ("tool", "x", 0o100755)), tmp_path / "out")
    status = (tmp_path / "out" / "tool").stat()
    assert status.st_mode & 0o100
    assert status.st_mtime == 1612325106


def test_links_inside_are_created(tmp_path):
    """Symbolic and hard links that stay inside are created."""
    path = tar_file(
        tmp_path,
        (member("lib/libx.so.1"), b"elf"),
        member("lib/libx.so", kind=tarfile.SYMTYPE, to="libx.so.1"),
        member("bin/x", kind=tarfile.LNKTYPE, to="lib/libx.so.1"),
        member("bin/up", kind=tarfile.SYMTYPE, to="../lib"),
    )
    assert extract(path, tmp_path / "out") == 4
    out = tmp_path / "out"
    assert (out / "lib/libx.so").readlink() == Path("libx.so.1")
    assert (out / "bin/x").samefile(out / "lib/libx.so.1")
    assert (out / "bin/up/libx.so").read_bytes() == b"elf"


def test_hard_link_follows_strip(tmp_path):
    """The target of a hard link is stripped like every other name."""
    path = tar_file(tmp_path, (member("p/a"), b"1"), member("p/b", kind=tarfile.LNKTYPE, to="p/a"))
    extract(path, tmp_path / "out", strip=1)
    assert tree(tmp_path / "out") == {"a": b"1", "b": b"1"}


SELF_LINKS = {
    "by its name": [member("lib/a", kind=tarfile.LNKTYPE, to="lib/a")],
    "by another spelling": [member("./lib//a", kind=tarfile.LNKTYPE, to="lib/./a")],
    "through a link": [
        member("lib64", kind=tarfile.SYMTYPE, to="lib"),
        member("lib64/a", kind=tarfile.LNKTYPE, to="lib/a"),
    ],
    "by another hard link": [
        member("b", kind=tarfile.LNKTYPE, to="lib/a"),
        member("lib/a", kind=tarfile.LNKTYPE, to="b"),
    ],
    "of a link": [
        member("l", kind=tarfile.SYMTYPE, to="lib/a"),
        member("l", kind=tarfile.LNKTYPE, to="l"),
    ],
}


@pytest.mark.parametrize("case", SELF_LINKS)
def test_a_hard_link_to_itself_is_ignored(tmp_path, case):
    """The file stays, as with GNU tar."""
    path = tar_file(tmp_path, (member("lib/a", mode=0o755), b"1"), *SELF_LINKS[case])
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/lib/a").read_bytes() == b"1"
    assert (tmp_path / "out/lib/a").stat().st_mode & 0o100


def test_a_hard_link_to_itself_needs_a_file(tmp_path):
    """Without a file before it, there is nothing that could stay."""
    for names in (("a", "a"), ("d", "d")):
        entries = [member(names[0], kind=tarfile.LNKTYPE, to=names[1])]
        if names[0] == "d":
            entries.insert(0, member("d", kind=tarfile.DIRTYPE))
        with pytest.raises(ArchiveError, match="was not unpacked before it"):
            extract(tar_file(tmp_path, *entries), tmp_path / "out")


def test_zip_symlink(tmp_path):
    """A symbolic link in a zip is created."""
    path = zip_file(tmp_path, ("a", "1", 0o100644), ("l", "a", 0o120777))
    extract(path, tmp_path / "out")
    assert (tmp_path / "out" / "l").readlink() == Path("a")


def test_files_under_an_inner_link_are_written(tmp_path):
    """Entries below a link that stays inside (lib64 → lib) are written through it."""
    path = tar_file(
        tmp_path,
        member("lib", kind=tarfile.DIRTYPE),
        member("lib64", kind=tarfile.SYMTYPE, to="lib"),
        (member("lib64/a"), b"1"),
    )
    extract(path, tmp_path / "out")
    assert (tmp_path / "out/lib/a").read_bytes() == b"1"


def test_later_entry_wins(tmp_path):
    """The later of two entries with one name wins, and hard links to the first do not change."""
    path = tar_file(
        tmp_path,
        (member("a"), b"1"),
        member("b", kind=tarfile.LNKTYPE, to="a"),
        (member("a"), b"2"),
    )
    extract(path, tmp_path / "out")
    assert tree(tmp_path / "out") == {"a": b"2", "b": b"1"}


ESCAPES = {
    "absolute": [(member("/evil"), b"x")],
    "parent": [(member("a/../../evil"), b"x")],
    "backslash parent": [(member("a\\..\\..\\evil"), b"x")],
    "drive": [(member("C:/evil"), b"x")],
    "drive relative": [(member("C:evil"), b"x")],
    "symlink to absolute": [member("l", kind=tarfile.SYMTYPE, to="/")],
    "symlink outside": [member("d/l", kind=tarfile.SYMTYPE, to="../../evil")],
    "through a symlink": [
        member("l", kind=tarfile.SYMTYPE, to=".."),
        (member("l/evil"), b"x"),
    ],
    "chain of symlinks": [
        member("a/b", kind=tarfile.DIRTYPE),
        member("a/b/up", kind=tarfile.SYMTYPE, to="../.."),
        member("out", kind=tarfile.SYMTYPE, to="a/b/up/.."),
        (member("out/evil"), b"x"),
    ],
    "chain made backwards": [
        member("out", kind=tarfile.SYMTYPE, to="a/b/up/.."),
        member("a/b", kind=tarfile.DIRTYPE),
        member("a/b/up", kind=tarfile.SYMTYPE, to="../.."),
    ],
    "link replaced after use": [
        member("safe", kind=tarfile.DIRTYPE),
        member("l", kind=tarfile.SYMTYPE, to="safe"),
        (member("l/one"), b"x"),
        member("l", kind=tarfile.SYMTYPE, to="../"),
        (member("l/evil"), b"x"),
    ],
    "hard link outside": [member("l", kind=tarfile.LNKTYPE, to="../secret")],
    "hard link absolute": [member("l", kind=tarfile.LNKTYPE, to="/etc/hostname")],
    "hard link to nothing": [member("l", kind=tarfile.LNKTYPE, to="missing")],
    "device": [member("null", kind=tarfile.CHRTYPE)],
    "pipe": [member("pipe", kind=tarfile.FIFOTYPE)],
}


@pytest.mark.parametrize("case", ESCAPES)
def test_escapes_are_refused(tmp_path, case):
    """An entry that would be written or lead outside is an error that names the entry."""
    box = tmp_path / "box"
    box.mkdir()
    (box / "secret").write_text("secret")
    path = tar_file(tmp_path, *ESCAPES[case])
    with pytest.raises(ArchiveError) as caught:
        extract(path, box / "out")
    assert caught.value.member
    assert sorted(each.name for each in box.iterdir()) == ["out", "secret"]
    for link in (box / "out").rglob("*"):
        assert link.resolve().is_relative_to((box / "out").resolve())


ZIP_ESCAPES = {
    "parent": ("../evil", "x", 0o644),
    "absolute": ("/evil", "x", 0o644),
    "backslashes": ("..\\evil", "x", None),
    "symlink": ("l", "../..", 0o120777),
    "pipe": ("p", "", 0o010644),
}


@pytest.mark.parametrize("case", ZIP_ESCAPES)
def test_zip_escapes_are_refused(tmp_path, case):
    """The same holds for zip files."""
    with pytest.raises(ArchiveError) as caught:
        extract(zip_file(tmp_path, ZIP_ESCAPES[case]), tmp_path / "box" / "out")
    assert caught.value.member
    assert [each.name for each in (tmp_path / "box").iterdir()] == ["out"]


def test_existing_outer_link_is_not_written_through(tmp_path):
    """No file is written through an existing link that leads outside."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "pkg").symlink_to(outside)
    with pytest.raises(ArchiveError, match="through a link"):
        extract(tar_file(tmp_path, *GOOD), tmp_path / "out")
    assert not list(outside.iterdir())


NAMES = st.text(st.sampled_from(list("ab./\\:C")), min_size=1, max_size=12)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE])


def is_loop(link):
    """Return whether a link leads to itself."""
    try:
        link.stat()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


@given(st.lists(st.tuples(NAMES, KINDS, NAMES), min_size=1, max_size=8))
@example([(":", tarfile.SYMTYPE, "://")])
def test_no_archive_writes_outside(tmp_path_factory, entries):
    """Whatever entries an archive has, no file outside its folder is created or changed."""
    box = tmp_path_factory.mktemp("box")
    (box / "a").write_text("secret")
    members = [
        (member(name, kind=kind, to=to), b"x" if kind == tarfile.REGTYPE else b"")
        for name, kind, to in entries
    ]
    path = tar_file(tmp_path_factory.mktemp("archive"), *members)
    try:
        extract(path, box / "out" / "in")
    except ArchiveError:
        pass
    else:
        for link in (box / "out" / "in").rglob("*"):
            # A loop leads nowhere, and `realpath` goes on with what is left of its text.
            if not is_loop(link):
                assert Path(os.path.realpath(link)).is_relative_to(box / "out" / "in")
    assert sorted(each.name for each in box.iterdir()) == ["a", "out"]
    assert [each.name for each in (box / "out").iterdir()] == ["in"]
    assert (box / "a").read_text() == "secret"
    assert (box / "a").stat().st_nlink == 1


@pytest.mark.parametrize("suffix", COMPRESS)
def test_cut_off_archive_is_damaged(tmp_path, suffix):
    """A compressed tar that ends too early is an error, even if all members are complete."""
    data = COMPRESS[suffix](tar_bytes((member("a"), random.Random(1).randbytes(50_000))))
    path = tmp_path / f"a.tar.{suffix}"
    path.write_bytes(data[:-6])
    with pytest.raises(ArchiveError, match="damaged"):
        extract(path, tmp_path / "out")


def test_damaged_header_is_not_the_end(tmp_path):
    """A damaged header in the middle of a tar is not taken for its end."""
    data = bytearray(tar_bytes(*GOOD))
    data[1024 + 150] ^= 0xFF
    path = tmp_path / "a.tar"
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize("place", [45, 60])
def test_damaged_zip(tmp_path, place):
    """A changed byte in a zip is found by its checksum."""
    path = zip_file(tmp_path, ("a", "x" * 100, 0o644))
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(ArchiveError, match="damaged"):
        extract(path, tmp_path / "out")


def test_web_page_in_place_of_an_archive(tmp_path):
    """The error says that the server sent a web page instead of the archive."""
    path = tmp_path / "a.tar.gz"
    path.write_bytes(b"\n<!DOCTYPE html><html>log in</html>")
    with pytest.raises(ArchiveError, match="web page"):
        extract(path, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.tar.gz", b"anything", True),
        ("a.TGZ", b"anything", True),
        ("tool-1-py3-none-any.whl", b"anything", True),
        ("download", tar_bytes(*GOOD), True),
        ("download", gzip.compress(tar_bytes(*GOOD), mtime=0), True),
        ("download", b"PK\x03\x04", True),
        ("app.jar", b"PK\x03\x04", False),
        ("tool.gz", gzip.compress(b"\x7fELF" * 300, mtime=0), False),
        ("tool.crate", gzip.compress(tar_bytes(*GOOD), mtime=0), True),
        ("notes.txt", b"text", False),
        ("empty", b"", False),
        ("from-1979", old_tar(), True),
        ("zeros.img", b"\0" * 2048, False),
    ],
)
def test_is_archive(tmp_path, name, data, expected):
    """An archive is recognised by its name, or else by its first bytes."""
    path = tmp_path / name
    path.write_bytes(data)
    assert is_archive(path) is expected


@pytest.mark.parametrize("suffix", COMPRESS)
def test_single_file_is_decompressed(tmp_path, suffix):
    """A single compressed file is distinguished from a tar, and decompressed."""
    path = tmp_path / f"tool.{suffix}"
    path.write_bytes(COMPRESS[suffix](b"\x7fELF" * 10_000))
    assert is_single_compressed_file(path)
    decompress_file(path, tmp_path / "out" / "tool")
    assert (tmp_path / "out" / "tool").read_bytes() == b"\x7fELF" * 10_000


def test_damaged_single_file(tmp_path):
    """A single compressed file that is damaged is an error."""
    path = tmp_path / "tool.gz"
    path.write_bytes(gzip.compress(random.Random(1).randbytes(5000))[:-4])
    with pytest.raises(ArchiveError, match="damaged"):
        decompress_file(path, tmp_path / "tool")


def test_files_are_counted_while_they_are_unpacked(tmp_path):
    """A zip knows how many files it has, folders left out; a tar does not."""
    zipped, tarred = tmp_path / "a.zip", tmp_path / "a.tar"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.mkdir("d")
        for name in ("d/x", "y"):
            archive.writestr(name, name)
    with tarfile.open(tarred, "w") as archive:
        for name in ("x", "y"):
            archive.addfile(tarfile.TarInfo(name), io.BytesIO())
    told = []
    for path in (zipped, tarred):
        with open_below(tmp_path / path.stem) as below:
            extract_below(path, below, (), report=lambda *counts: told.append(counts))
    assert told == [(1, 2), (2, 2), (1, 0), (2, 0)]
