"""Hostile tars are errors, and all others mean what they mean to Python's own library."""

import io
import random
import sys
import tarfile

import pytest
from arriving_files import extract_while_it_arrives
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from left_open import nothing_left_open

from envy.content.archive import extract, tar_members
from envy.content.arriving import GivenUp
from envy.content.tar_header import DamagedHeader, parse_header, pax_records
from envy.errors import ArchiveError
from envy.limits import adopt_limits

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


def block(name=b"a", kind=b"0", size=0, *, link=b"", magic=b"ustar\00000", prefix=b"", **fields):
    """A header; `fields` are raw bytes in the place of others, by their offset (`at_124`)."""
    made = bytearray(512)
    made[0 : len(name[:100])] = name[:100]
    made[100:108] = b"0000644\0"
    made[124:136] = b"%011o\0" % size
    made[136:148] = b"%011o\0" % 1_600_000_000
    made[156:157] = kind
    made[157 : 157 + len(link)] = link
    made[257:265] = magic
    made[345 : 345 + len(prefix)] = prefix
    for offset, raw in fields.items():
        at = int(offset.removeprefix("at_"))
        made[at : at + len(raw)] = raw
    if "at_148" not in fields:
        made[148:156] = b" " * 8
        made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def entry(name=b"a", content=b"text", kind=b"0", **fields):
    padding = bytes(-len(content) % 512)
    return block(name, kind, fields.pop("size", len(content)), **fields) + content + padding


def record(key, value):
    body = b" " + key + b"=" + value + b"\n"
    length = len(body) + 1
    while len(str(length)) + len(body) != length:
        length += 1
    return str(length).encode() + body


def pax(*records, kind=b"x"):
    return entry(b"pax", b"".join(records), kind)


def link(name, to, kind=b"2"):
    return block(name, kind, link=to)


END = bytes(1024)
LONG_NAME = entry(b"././@LongLink", b"x/" * 100 + b"../evil\0", b"L")

# Each is refused by a message that names the member.
REFUSED = {
    "a parent": entry(b"../evil"),
    "a parent inside": entry(b"x/../../evil"),
    "a parent at the end": entry(b"x/.."),
    "backslashes": entry(b"x\\..\\..\\evil"),
    "absolute": entry(b"/evil"),
    "two slashes": entry(b"//evil"),
    "a share": entry(b"\\\\host\\evil"),
    "a drive": entry(b"C:/evil"),
    "a drive alone": entry(b"C:evil"),
    "a folder above": block(b"../evil", b"5"),
    "an absolute folder": block(b"/evil", b"5"),
    "an old folder above": block(b"../evil/", b"\0"),
    "a prefix above": entry(b"evil", prefix=b".."),
    "an absolute prefix": entry(b"evil", prefix=b"/"),
    "a parent over the prefix": entry(b"../../evil", prefix=b"x"),
    "a long name above": LONG_NAME + entry(b"good"),
    "a pax path above": pax(record(b"path", b"../evil")) + entry(b"good"),
    "an absolute pax path": pax(record(b"path", b"/evil")) + entry(b"good"),
    "a global path above": pax(record(b"path", b"../evil"), kind=b"g") + entry(b"good"),
    "a Solaris path above": pax(record(b"path", b"../evil"), kind=b"X") + entry(b"good"),
    "a pax path after a long name": pax(record(b"path", b"../evil"))
    + entry(b"n", b"good\0", b"L")
    + entry(b"good"),
    "an absolute link": link(b"l", b"/etc"),
    "a link outside": link(b"l", b"../.."),
    "a deep link outside": link(b"x/y/l", b"../../../evil"),
    "a link of a drive": link(b"l", b"C:/"),
    "a long link outside": entry(b"n", b"../../evil\0", b"K") + link(b"l", b"good"),
    "a pax link outside": pax(record(b"linkpath", b"../../evil")) + link(b"l", b"good"),
    "through a link": link(b"l", b"..") + entry(b"l/evil"),
    "through a link to nothing": link(b"l", b"../evil") + entry(b"l"),
    "a chain": block(b"x/y", b"5")
    + link(b"x/y/up", b"../..")
    + link(b"o", b"x/y/up/..")
    + entry(b"o/evil"),
    "a chain backwards": link(b"o", b"x/y/up/..") + block(b"x/y", b"5") + link(b"x/y/up", b"../.."),
    "a link that is replaced": block(b"s", b"5")
    + link(b"l", b"s")
    + entry(b"l/one")
    + link(b"l", b"..")
    + entry(b"l/evil"),
    "a hard link outside": link(b"l", b"../secret", b"1"),
    "an absolute hard link": link(b"l", b"/etc/hostname", b"1"),
    "a hard link to nothing": link(b"l", b"missing", b"1"),
    "a hard link to a folder": block(b"x", b"5") + link(b"l", b"x", b"1"),
    "a hard link through a link": link(b"s", b"..") + link(b"l", b"s/secret", b"1"),
    "a hard link to a later file": link(b"l", b"a", b"1") + entry(),
    "a device": block(b"x", b"3"),
    "a disk": block(b"x", b"4"),
    "a pipe": block(b"x", b"6"),
    "a part of a file": entry(b"x", kind=b"M"),
    "an unknown kind": entry(b"x", kind=b"~"),
    "an old sparse file": entry(b"x", kind=b"S"),
    "a sparse file": pax(record(b"GNU.sparse.major", b"1")) + entry(b"x"),
    "a sparse file by its name": pax(record(b"GNU.sparse.name", b"../evil")) + entry(b"x"),
    "a sparse file by a global header": pax(record(b"GNU.sparse.size", b"9"), kind=b"g") + entry(),
    "a file as a folder": entry(b"x") + entry(b"x/y"),
    "a folder as a file": entry(b"x/y") + entry(b"x"),
    "a file as a folder's entry": entry(b"x") + block(b"x", b"5"),
}

# Each is damage.
DAMAGED = {
    "a wrong checksum": entry(at_148=b"000001\0 ") + END,
    "no checksum": entry(at_148=bytes(8)) + END,
    "a checksum that is no number": entry(at_148=b"abc    \0") + END,
    "a wrong checksum later": entry() + entry(at_148=b"000001\0 ") + END,
    "a size that is no number": block(at_124=b"12x45678901\0") + END,
    "a negative size": block(at_124=b"-0000000001\0") + END,
    "a negative size in bytes": block(at_124=b"\xff" * 12) + END,
    "a mode that is no number": entry(at_100=b"rwxr-x\0\0") + END,
    "a time that is no number": entry(at_136=b"yesterday\0\0\0") + END,
    "larger than the file": entry(size=5000),
    "of 2**63 bytes": block(at_124=b"\x80\0\0\0\x80" + bytes(7)) + END,
    "of 2**88 bytes": block(at_124=b"\x80" + b"\xff" * 11) + END,
    "cut off in a header": entry() + block()[:300],
    "cut off in a file": entry(content=b"x" * 5000)[:3000],
    "cut off in the padding": entry()[:900],
    "cut off in a long name": LONG_NAME[:600],
    "cut off after a long name": LONG_NAME,
    "the end after a long name": LONG_NAME + END,
    "the end after a pax header": pax(record(b"path", b"x")) + END,
    "rubbish": entry() + random.Random(1).randbytes(512) + END,
    "text after a file": entry() + b"text" * 300,
    "a pax header without a length": pax(b"path=x\n") + entry() + END,
    "a pax record of no length": pax(b"0 path=x\n") + entry() + END,
    "a pax record that is too short": pax(b"3 path=x\n") + entry() + END,
    "a pax record that is too long": pax(b"999 path=x\n") + entry() + END,
    "a pax record of very many bytes": pax(b"9" * 19 + b" path=x\n") + entry() + END,
    "a pax record without a value": pax(b"7 path\n") + entry() + END,
    "a pax record without a name": pax(b"5 =x\n") + entry() + END,
    "a pax record without an end": pax(b"9 path=xy") + entry() + END,
    "a pax size that is no number": pax(record(b"size", b"many")) + entry() + END,
    "a negative pax size": pax(record(b"size", b"-1")) + entry() + END,
    "a pax size beyond all": pax(record(b"size", b"9" * 30)) + entry() + END,
    "a pax size that is larger": pax(record(b"size", b"9999")) + entry(),
    "a pax time that is no number": pax(record(b"mtime", b"now")) + entry() + END,
    "a hundred headers": LONG_NAME * 100 + entry() + END,
    "no checksum later": entry() + entry(b"x", at_148=b"\0" * 8) + END,
}


def refused(tmp_path, path):
    """Unpack into a folder of a box, and return the error; nothing else may change in the box."""
    box = tmp_path / "box"
    box.mkdir()
    (box / "secret").write_text("secret")
    with nothing_left_open(), pytest.raises(ArchiveError) as caught:
        extract(path, box / "out")
    # While it arrives, it is refused for the same reason.
    with nothing_left_open(), pytest.raises((ArchiveError, GivenUp)) as ahead:
        extract_while_it_arrives(path, box / "ahead", tmp_path / "part")
    if isinstance(ahead.value, ArchiveError):
        assert ahead.value.message == caught.value.message
    assert sorted(each.name for each in box.iterdir()) == ["ahead", "out", "secret"]
    assert (box / "secret").read_text() == "secret"
    assert (box / "secret").stat().st_nlink == 1
    for folder in (box / "out", box / "ahead"):
        for found in folder.rglob("*"):
            assert found.resolve().is_relative_to(folder.resolve())
    return caught.value


@pytest.mark.parametrize("case", REFUSED)
def test_refused(tmp_path, case):
    """What could lead outside, or is no file, folder or link, is an error that names the member."""
    (tmp_path / "a.tar").write_bytes(REFUSED[case] + END)
    assert refused(tmp_path, tmp_path / "a.tar").member


@pytest.mark.parametrize("case", DAMAGED)
def test_damage(tmp_path, case):
    """What is not as it says is damage, also in a compressed tar that is read ahead."""
    (tmp_path / "a.tar.zst").write_bytes(zstd.compress(block(b"first") + DAMAGED[case]))
    error = refused(tmp_path, tmp_path / "a.tar.zst")
    assert "is damaged: " in error.message or "the limit unpacked-size" in error.message


def test_a_sparse_file(tmp_path):
    """The error says what to do about a sparse file."""
    (tmp_path / "a.tar").write_bytes(REFUSED["a sparse file"] + END)
    error = refused(tmp_path, tmp_path / "a.tar")
    assert "the entry 'x' is sparse" in error.message
    assert error.hint == "pack it without the option --sparse"


def test_much_that_nobody_takes(tmp_path):
    """A thread that reads ahead ends with the extraction, however much it could read."""
    content = entry(b"../evil") + entry(b"x", bytes(40 * MIB))
    (tmp_path / "a.tar.zst").write_bytes(zstd.compress(content))
    assert 'contains ".."' in refused(tmp_path, tmp_path / "a.tar.zst").message


def test_headers_that_say_more_than_once(tmp_path):
    """The first extended header of a member counts, and the last record in it; an empty one not."""
    content = pax(record(b"path", b"x"), record(b"path", b"y")) + pax(record(b"path", b"z"))
    content += entry(b"a") + pax(record(b"path", b"")) + entry(b"b") + END
    (tmp_path / "a.tar").write_bytes(content)
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b", "y"]


def test_the_name_of_a_folder(tmp_path):
    """The name of a folder has no slash at its end, and an old folder is one by its slash."""
    (tmp_path / "a.tar").write_bytes(block(b"x/", b"5") + block(b"y/", b"\0") + block(b"z//", b"5"))
    found = [(member.name, member.kind) for member, _content in tar_members(tmp_path / "a.tar")]
    assert found == [("x", "folder"), ("y", "folder"), ("z", "folder")]


def test_a_file_with_the_name_of_a_folder(tmp_path):
    """What has a slash at its end is a folder for GNU tar, whose content is passed by."""
    made = entry(b"d/", b"text") + entry(b"d/x", b"y") + entry(b"e/", b"names", b"D") + entry(b"f")
    (tmp_path / "a.tar").write_bytes(made + END)
    assert extract(tmp_path / "a.tar", tmp_path / "out") == 2
    assert (tmp_path / "out/d/x").read_text() == "y"
    assert (tmp_path / "out/e").is_dir()
    assert (tmp_path / "out/f").read_text() == "text"


@pytest.mark.parametrize("size", [0, 700])
def test_the_label_of_a_volume(tmp_path, size):
    """A label is no member."""
    made = entry(b"backup 1", bytes(size), b"V") + entry(b"x", b"y")
    (tmp_path / "a.tar").write_bytes(made + END)
    assert extract(tmp_path / "a.tar", tmp_path / "out") == 1
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["x"]
    assert [member.name for member, _content in tar_members(tmp_path / "a.tar")] == ["x"]


def test_a_type_that_is_not_known(tmp_path):
    """It is not called dangerous."""
    (tmp_path / "a.tar").write_bytes(entry(b"x", b"y", b"M") + END)
    error = refused(tmp_path, tmp_path / "a.tar")
    assert "'x' has a type that envy does not know: 'M'" in error.message
    assert "unpack it with tar in a stage function" in error.hint


FILES = [entry(b"f%d" % number, b"") for number in range(9)]
COUNTED = {
    "files": FILES,
    "old and new files": [entry(b"f", b"")] * 9,
    "folders": [block(b"d%d/" % number, b"5") for number in range(9)],
    "folders in one name": [entry(b"a/" * 9 + b"x", b""), *FILES[:1]],
    "links": [link(b"l%d" % number, b"x") for number in range(9)],
    "hard links": [FILES[0], *(link(b"h%d" % number, b"f0", b"1") for number in range(9))],
}


@pytest.mark.parametrize("case", COUNTED)
def test_too_many_files(tmp_path, case):
    """Whatever takes an inode counts; what is there already does not count again."""
    adopt_limits({"unpacked-files": 8})
    (tmp_path / "a.tar").write_bytes(b"".join(COUNTED[case]) + END)
    assert "the limit unpacked-files" in refused(tmp_path, tmp_path / "a.tar").message
    adopt_limits({"unpacked-files": 20})
    same = b"".join([block(b"d/", b"5")] * 20) + entry(b"x")
    (tmp_path / "b.tar").write_bytes(same + b"".join(COUNTED[case]) + END)
    assert extract(tmp_path / "b.tar", tmp_path / "again")


def test_bytes_above_127(tmp_path):
    """A checksum of signed characters, as some old programs wrote it, is right."""
    name = "é".encode()
    total = sum(entry(name, at_148=b" " * 8)[:512]) - 256 * len(name)
    (tmp_path / "a.tar").write_bytes(entry(name, at_148=b"%06o\0 " % total) + END)
    extract(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out/é").read_bytes() == b"text"


# -- Python's own library as oracle --------------------------------------------------------------

NAMES = st.one_of(
    st.sampled_from(["a", "b/c", "b/c/d", "é/ü", "x" * 99, "x" * 100, "f/" * 60 + "g", "y" * 180]),
    st.text(st.sampled_from(list("ab/é.")), min_size=1, max_size=6).filter(
        lambda name: ".." not in name and name.strip("/.") and not name.startswith("/")
    ),
)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE])
FORMATS = st.sampled_from([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
SIZES = st.sampled_from([0, 1, 511, 512, 513, 5000])
TIMES = st.integers(0, 1 << 34) | st.floats(0, 1e9)
MEMBERS = st.lists(
    st.tuples(
        NAMES, KINDS, SIZES, st.integers(0, 0o7777), st.integers(0, 1 << 34) | st.floats(0, 1e9)
    ),
    max_size=5,
)
PAX = st.dictionaries(
    st.sampled_from(["comment", "SCHILY.xattr.user.é", "atime"]), st.text(max_size=20), max_size=2
)


def written(members, dialect, headers):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=dialect, pax_headers=headers) as tar:
        for name, kind, size, mode, mtime in members:
            info = tarfile.TarInfo(name)
            # The library takes a file of V7 for a folder if its name is cut off after a slash.
            is_old = kind == tarfile.AREGTYPE and len(name.encode()) < 99
            info.type = kind if is_old or kind != tarfile.AREGTYPE else tarfile.REGTYPE
            if info.type == tarfile.REGTYPE and name.endswith("/"):
                info.type = tarfile.DIRTYPE  # as for GNU tar, but not for the library
            info.mode = mode
            info.mtime = mtime if dialect == tarfile.PAX_FORMAT else int(mtime)
            is_file = info.type in tarfile.REGULAR_TYPES and not name.endswith("/")
            info.size = size if is_file else 0
            info.linkname = name[::-1] if kind == tarfile.SYMTYPE else ""
            try:
                tar.addfile(info, io.BytesIO(b"z" * size))
            except ValueError:
                continue  # too much for this format
    return stream.getvalue()


def by_library(data):
    kinds = {tarfile.DIRTYPE: "folder", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "hard link"}
    rows = []
    with tarfile.open(fileobj=io.BytesIO(data), encoding="utf-8") as tar:
        for member in tar:
            if member.issparse():
                raise tarfile.ReadError("sparse")
            kind = "file" if member.isreg() else kinds.get(member.type, "")
            content = tar.extractfile(member).read() if member.isreg() else b""
            if len(content) < member.size and member.isreg():
                raise tarfile.ReadError("cut off")
            if member.isreg() and member.name.endswith("/"):
                kind, content = "folder", b""  # as for GNU tar
            row = (kind, member.name.rstrip("/"), member.linkname, member.mode, member.mtime)
            rows.append((*row, content))
    return rows


def by_envy(path):
    return [
        (
            member.kind,
            member.name.rstrip("/"),
            member.link,
            member.mode,
            member.mtime,
            b"".join(content) if member.kind == "file" else b"",
        )
        for member, content in tar_members(path)
    ]


@given(MEMBERS, FORMATS, PAX)
@settings(max_examples=60)
def test_as_the_library(tmp_path_factory, members, dialect, headers):
    """Whatever the library writes in any format is read as the library reads it."""
    data = written(members, dialect, headers if dialect == tarfile.PAX_FORMAT else {})
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(data)
    if members:
        assert by_envy(path) == by_library(data)


@given(st.data())
@settings(max_examples=100)
def test_changed_bytes(tmp_path_factory, data):
    """A header with changed bytes, and a right checksum, is damage or what the library reads."""
    members = data.draw(MEMBERS.filter(bool))
    made = bytearray(written(members, data.draw(FORMATS), {}))
    # Not the owners, which the library reads, and envy does not.
    at = data.draw(st.integers(0, 103) | st.integers(124, 253))
    raw = data.draw(st.binary(min_size=1, max_size=4))
    made[at : at + len(raw)] = raw
    # Of backups and labels of GNU tar, the library knows nothing.
    assume(bytes(made[156:157]) not in {tarfile.AREGTYPE, b"D", b"V"})
    made[148:156] = b" " * 8
    made[148:156] = b"%06o\0 " % sum(made[:512])
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    path.write_bytes(made)
    try:
        found = by_envy(path)
    except ArchiveError:
        return
    assert found == by_library(bytes(made))


@given(
    st.binary(min_size=512, max_size=512)
    | st.binary(max_size=40).map(lambda b: b.ljust(512, b"\0"))
)
def test_any_block(data):
    """Any block is a header or damage."""
    try:
        parse_header(data)
    except DamagedHeader:
        return


@given(st.binary(max_size=60) | st.lists(st.binary(max_size=9)).map(b"\n".join))
def test_any_pax_header(data):
    """Any content of a pax header is records or damage."""
    try:
        assert all(key for key, _value in pax_records(data))
    except DamagedHeader:
        return
