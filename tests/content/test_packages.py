"""Unpacking ar archives, Debian and RPM packages and 7z archives, inside of their folder only."""

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packed import END, ar_bytes, ar_header, cpio_entry, deb_bytes, rpm_bytes, rpm_header, tar_of

from envy.content.archive import extract, is_archive, is_archive_called
from envy.errors import ArchiveError
from envy.limits import adopt_limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

GOOD_DEB = deb_bytes(gzip.compress(tar_of(("./usr/bin/x", b"run"))))
LINK = stat.S_IFLNK | 0o777
GOOD_RPM = rpm_bytes(cpio_entry("./a", b"one"), END)


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


def tree(folder):
    """What a folder holds: the content of files, the targets of links, None for folders."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        else:
            found[name] = None if path.is_dir() else path.read_bytes()
    return found


def unpacked(folder, name, data):
    """What an archive unpacks to."""
    archive, dest = folder / name, folder / "dest"
    archive.write_bytes(data)
    dest.mkdir()
    extract(archive, dest)
    return tree(dest)


def refused(folder, name, data):
    """The error for an archive, which leaves nothing outside of its folder."""
    with pytest.raises(ArchiveError) as caught:
        unpacked(folder, name, data)
    assert {path.name for path in folder.iterdir()} == {name, "dest"}
    assert str(folder / name) in caught.value.message
    return caught.value.message


# --- ar and Debian packages ---


def test_long_names_of_gnu_and_bsd(tmp_path):
    """Both forms of long names are read, and the indexes of linkers are no files."""
    long_names = b"a-name-of-many-letters/\nanother-long-name/\n"
    data = ar_bytes(
        ("/", b"symbols"),
        ("//", long_names),
        ("short/", b"1"),
        ("/0", b"22"),
        ("/24", b"333"),
        (ar_header("#1/20", 24), b"a-bsd-name".ljust(20, b"\0") + b"4444"),
        (ar_header("#1/12", 15), b"__.SYMDEF\0\0\0" + b"abc"),
    )
    assert unpacked(tmp_path, "a.ar", data) == {
        "short": b"1",
        "a-name-of-many-letters": b"22",
        "another-long-name": b"333",
        "a-bsd-name": b"4444",
    }


@pytest.mark.parametrize(
    ("data_name", "compress"),
    [
        ("data.tar", bytes),
        ("data.tar.gz", gzip.compress),
        ("data.tar.xz", lzma.compress),
        ("data.tar.bz2", bz2.compress),
        ("data.tar.zst", zstd.compress),
    ],
)
def test_the_files_of_a_debian_package(tmp_path, data_name, compress):
    """The files of a package are unpacked, and its control archive is not."""
    files = tar_of(("./", None), ("./usr/bin/x", b"run"), ("./usr/bin/y", (tarfile.SYMTYPE, "x")))
    data = deb_bytes(compress(files), data_name=data_name)
    found = unpacked(tmp_path, "x_1.0_amd64.deb", data)
    assert found == {"usr": None, "usr/bin": None, "usr/bin/x": b"run", "usr/bin/y": "-> x"}
    assert os.access(tmp_path / "dest/usr/bin/x", os.X_OK)


def test_the_names_of_archives(tmp_path):
    """A package is unpacked whatever it is called; of ar archives, only those that say so."""
    named = {"x.deb", "x.rpm", "x.ar", "x.7z"}
    for data, more in (
        (GOOD_DEB, {"package"}),
        (GOOD_RPM, {"package"}),
        (ar_bytes(("a.o", b"1")), set()),
        (b"7z\xbc\xaf\x27\x1c", {"package"}),
    ):
        path = tmp_path / "file"
        path.write_bytes(data)
        assert {
            name for name in {*named, "package"} if is_archive_called(path, name)
        } == named | more
    library = tmp_path / "libx.a"
    library.write_bytes(ar_bytes(("a.o", b"1")))
    assert not is_archive(library)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (ar_bytes((ar_header("a", "12x"), b"1")), "'12x' for a number"),
        (ar_bytes((ar_header("a", "-1"), b"1")), "'-1' for a number"),
        (ar_bytes((ar_header("a", 1, end=b"!!"), b"1")), "does not end as it should"),
        (ar_bytes((ar_header("a", 999), b"1")), "ends in the middle"),
        (ar_bytes(("a", b"1"))[:-20], "ends in the middle"),
        (ar_bytes(("/7", b"1")), "outside of the table of long names"),
        (ar_bytes(("//", b"x/\n"), ("/3", b"1")), "outside of the table of long names"),
        (ar_bytes((ar_header("#1/9", 4), b"abcd")), "a name is longer than its entry"),
        (ar_bytes((ar_header("#1/9999999", 4), b"abcd")), "the limit archive-header"),
        (ar_bytes((ar_header("//", 1 << 30), b"abcd")), "the limit archive-header"),
        (ar_bytes(("//", b"/etc/x\n"), ("/0", b"1")), "'/etc/x' is an absolute path"),
        (ar_bytes(("//", b"a/../../x\n"), ("/0", b"1")), 'contains ".."'),
        (ar_bytes(("../x", b"1")), 'contains ".."'),
        (ar_bytes(), "is empty"),
    ],
)
def test_hostile_ar_archives(tmp_path, data, said):
    """A damaged header, a name that leads outside, and names beyond their limit are errors."""
    assert said in refused(tmp_path, "a.ar", data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (deb_bytes(b"", version=b"3.0\n"), "another format than 2.0"),
        (deb_bytes(b"x", data_name="data.txt"), "without data.tar"),
        (ar_bytes(("debian-binary", b"2.0\n")), "without data.tar"),
        (ar_bytes(("debian-binary2", b"2.0\n")), "another format than 2.0"),
        (deb_bytes(b"nothing known"), "compressed in a way that envy does not know"),
        (GOOD_DEB[:-9], "ends in the middle"),
        (deb_bytes(gzip.compress(tar_of(("x", b"1")))[:-4]), "is damaged"),
        (deb_bytes(gzip.compress(b"")), "is damaged"),
        (deb_bytes(tar_of(("../x", b"1")), data_name="data.tar"), 'contains ".."'),
        (deb_bytes(tar_of(("/x", b"1")), data_name="data.tar"), "is an absolute path"),
        (deb_bytes(tar_of(("x", (tarfile.CHRTYPE, ""))), data_name="data.tar"), "is a device"),
        (deb_bytes(tar_of(("x", (tarfile.SYMTYPE, "../y"))), data_name="data.tar"), "outside"),
        (deb_bytes(tar_of(("x", (tarfile.LNKTYPE, "y"))), data_name="data.tar"), "hard link"),
    ],
)
def test_hostile_debian_packages(tmp_path, data, said):
    """A package of another format, a damaged one, and files that lead outside are errors."""
    assert said in refused(tmp_path, "a.deb", data)


# --- RPM packages ---


@pytest.mark.parametrize(
    "compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd.compress]
)
def test_the_files_of_an_rpm_package(tmp_path, compress):
    """Folders, files, links and all names of a file are unpacked."""
    shared = {"inode": 7, "links": 3, "mode": stat.S_IFREG | 0o755}
    data = rpm_bytes(
        cpio_entry("./opt", mode=stat.S_IFDIR | 0o755),
        cpio_entry("./opt/one", **shared),
        cpio_entry("./opt/two", **shared),
        cpio_entry("./opt/three", b"run", **shared),
        cpio_entry("./opt/link", b"one", mode=LINK),
        cpio_entry("./opt/none", inode=8, links=2),
        cpio_entry("./opt/nothing", inode=8, links=2),
        END,
        compress=compress,
    )
    assert unpacked(tmp_path, "a.rpm", data) == {
        "opt": None,
        "opt/one": b"run",
        "opt/two": b"run",
        "opt/three": b"run",
        "opt/link": "-> one",
        "opt/none": b"",
        "opt/nothing": b"",
    }
    one, three = (tmp_path / "dest/opt" / name for name in ("one", "three"))
    assert one.samefile(three)
    assert os.access(one, os.X_OK)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (GOOD_RPM[:50], "ends in the middle"),
        (GOOD_RPM[:100], "ends in the middle"),
        (GOOD_RPM[:150], "ends in the middle"),
        (GOOD_RPM[:-12], "is damaged"),
        (GOOD_RPM[:-6] + b"\1\1\1\1\1\1", "is damaged"),
        (rpm_bytes(cpio_entry("a", b"1")), "ends in the middle"),
        (rpm_bytes(END, headers=rpm_header(magic=b"none")), "does not begin as it should"),
        (rpm_bytes(END, headers=rpm_header(entries=1 << 31)), "the limit archive-index"),
        (rpm_bytes(END, headers=rpm_header(size=1 << 31)), "the limit archive-index"),
        (rpm_bytes(cpio_entry("a", magic=b"07070X")), "4 GiB or more"),
        (rpm_bytes(cpio_entry("a", magic=b"070707")), "another format than cpio's new one"),
        (rpm_bytes(b"070701" + b" 1_2" * 26), "not of hexadecimal digits"),
        (rpm_bytes(cpio_entry("a", name_size=1 << 30)), "the limit archive-header"),
        (rpm_bytes(cpio_entry("a", b"1", size=1 << 30), END), "ends in the middle"),
        (rpm_bytes(cpio_entry("../a", b"1"), END), 'contains ".."'),
        (rpm_bytes(cpio_entry("/a", b"1"), END), "is an absolute path"),
        (rpm_bytes(cpio_entry("a", mode=stat.S_IFCHR), END), "is a device"),
        (rpm_bytes(cpio_entry("a", b"/etc", mode=LINK), END), "the absolute path"),
        (rpm_bytes(cpio_entry("a", b"../b", mode=LINK), END), "outside"),
        (rpm_bytes(cpio_entry("a", size=1 << 28, mode=LINK), END), "a target of 268435456 bytes"),
        (rpm_bytes(END), "is empty"),
    ],
)
def test_hostile_rpm_packages(tmp_path, data, said):
    """A damaged header, sizes beyond their limit, and files that lead outside are errors."""
    assert said in refused(tmp_path, "a.rpm", data)


# --- 7z archives ---

py7zr = pytest.importorskip("py7zr", reason="the extra envy-tool[7z] is not installed")


def seven_zip(path, *members, **options):
    """A 7z of (name, content) pairs."""
    with py7zr.SevenZipFile(path, "w", **options) as made:
        for name, content in members:
            made.writestr(content, name)
    return path.read_bytes()


def test_the_entries_of_a_7z_archive(tmp_path):
    """Folders, files, their modes and times, empty files and links are unpacked."""
    source = tmp_path / "source"
    (source / "bin").mkdir(parents=True)
    (source / "bin/run").write_bytes(b"run" * 1000)
    (source / "bin/run").chmod(0o755)
    (source / "bin/link").symlink_to("run")
    (source / "empty").write_bytes(b"")
    (source / "folder").mkdir()
    os.utime(source / "bin/run", (1_600_000_000, 1_600_000_000))
    archive = tmp_path / "a.7z"
    with py7zr.SevenZipFile(archive, "w") as made:
        made.writeall(source, "top")
    dest = tmp_path / "dest"
    dest.mkdir()
    extract(archive, dest, strip=1)
    assert tree(dest) == tree(source)
    assert os.access(dest / "bin/run", os.X_OK)
    assert (dest / "bin/run").stat().st_mtime == 1_600_000_000


def seven_zip_with_link(folder, to):
    """A 7z with a link to `to`; py7zr packs no link that leads outside, so it is patched in."""
    source = folder / "source"
    source.mkdir()
    (source / ("x" * len(to))).write_bytes(b"")
    (source / "link").symlink_to("x" * len(to))
    path = folder / "link.7z"
    with py7zr.SevenZipFile(path, "w", filters=[{"id": py7zr.FILTER_COPY}]) as made:
        made.set_encoded_header_mode(False)
        made.writeall(source, "top")
    old, new = (b"x" * len(to), to.encode())
    data = path.read_bytes()
    # The 32 bytes of the first header stay: its digests may hold or end with what is replaced.
    first, rest = data[:32], data[32:]
    data = first + new + rest.removeprefix(old).replace(_crc(old), _crc(new))
    path.unlink()
    shutil.rmtree(source)
    start = int.from_bytes(data[12:20], "little") + 32
    header = data[start : start + int.from_bytes(data[20:28], "little")]
    place = data[12:28] + _crc(header)
    return data[:8] + _crc(place) + place + data[32:]


def _crc(data):
    return zlib.crc32(data).to_bytes(4, "little")


@pytest.mark.parametrize("to", ["../../other", "/etc/passwd"])
def test_a_link_of_a_7z_archive_that_leads_outside(tmp_path, to):
    """A link that leads outside is an error."""
    data = seven_zip_with_link(tmp_path, to)
    assert "is a link" in refused(tmp_path, "a.7z", data)


def test_a_7z_archive_with_a_password(tmp_path):
    """An archive with a password is an error that says so."""
    data = seven_zip(tmp_path / "a.7z", ("a", b"1"), password="secret")
    assert "needs a password" in refused(tmp_path, "a.7z", data)


def test_the_limits_of_a_7z_archive(tmp_path):
    """What it unpacks to, and the memory that this needs, have limits."""
    data = seven_zip(tmp_path / "a.7z", ("a", b"1" * 100_000))
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "a.7z").unlink()
    adopt_limits({"unpacked-size": 50_000})
    assert "the limit unpacked-size" in refused(tmp_path / "one", "a.7z", data)
    adopt_limits({"archive-memory": 50_000})
    assert "the limit archive-memory" in refused(tmp_path / "two", "a.7z", data)


def test_without_py7zr_the_error_names_the_extra(tmp_path):
    """Without py7zr, the error says how to install it."""
    path = tmp_path / "a.7z"
    seven_zip(path, ("a", b"1"))
    program = (
        "import sys; sys.modules['py7zr'] = None\n"
        "from pathlib import Path\n"
        "from envy.content.archive import extract\n"
        "from envy.errors import UsageError\n"
        "try: extract(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except UsageError as error: print(error.message, error.hint, sep='; ')\n"
    )
    command = [sys.executable, "-c", program, str(path), str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == f"unpacking {path} needs py7zr; pip install 'envy-tool[7z]'\n"


# --- damage of every kind ---


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """An archive of each format."""
    path = tmp_path_factory.mktemp("sample") / "a.7z"
    return {
        "deb": GOOD_DEB,
        "rpm": GOOD_RPM,
        "ar": ar_bytes(("//", b"a-long-name-of-a-file/\n"), ("/0", b"1"), ("b/", b"22")),
        "7z": seven_zip(path, ("a", b"one"), ("b/c", b"two" * 50)),
    }


@given(
    kind=st.sampled_from(["deb", "rpm", "ar", "7z"]),
    flips=st.lists(st.tuples(st.integers(0, 10_000), st.integers(1, 255)), max_size=4),
    cut=st.none() | st.integers(0, 10_000),
)
def test_damaged_archives(samples, tmp_path_factory, kind, flips, cut):
    """A damaged archive unpacks inside of its folder, or is an ArchiveError."""
    data = bytearray(samples[kind])
    for place, mask in flips:
        data[place % len(data)] ^= mask
    folder = tmp_path_factory.mktemp("damaged")
    archive, dest = folder / f"a.{kind}", folder / "dest"
    archive.write_bytes(bytes(data if cut is None else data[: cut % len(data)]))
    dest.mkdir()
    with contextlib.suppress(ArchiveError):
        extract(archive, dest)
    assert {path.name for path in Path(folder).iterdir()} == {archive.name, "dest"}
