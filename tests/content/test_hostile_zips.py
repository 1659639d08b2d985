"""Hostile zips are errors: nothing is written outside, or larger than it says."""

import dataclasses
import io
import random
import stat
import struct
import zipfile
import zlib

import pytest
from arriving_files import extract_while_it_arrives
from bounded import outcome_of
from hypothesis import given, settings
from hypothesis import strategies as st
from left_open import nothing_left_open

from envy.content import inflate
from envy.content.archive import extract
from envy.content.arriving import GivenUp
from envy.errors import ArchiveError
from envy.limits import adopt_limits

MIB = 1 << 20


@pytest.fixture(autouse=True)
def _default_limits():
    yield
    adopt_limits({})


def deflated(data):
    made = zlib.compressobj(6, zlib.DEFLATED, -15)
    return made.compress(data) + made.flush()


@dataclasses.dataclass
class Entry:
    """One member, whose headers may say anything; None is the truth."""

    name: bytes = b"a"
    content: bytes = b"content " * 9
    method: int = 8
    mode: int = stat.S_IFREG | 0o644
    system: int = 3
    flags: int = 0x800
    version: int = 20  # that is needed to read it
    stored: bytes | None = None
    size: int | None = None
    compress_size: int | None = None
    crc: int | None = None
    offset: int | None = None
    extra: bytes = b""
    local_name: bytes | None = None
    local_magic: bytes = b"PK\x03\x04"
    local_name_size: int | None = None
    local_extra_size: int | None = None
    before: bytes = b""


def raw_zip(*entries, count=None, index_size=None, index_at=None, end=True, comment=b""):
    """A zip of entries whose headers say what they are told to say."""
    made, index = b"", b""
    for each in entries:
        data = each.stored
        if data is None:
            data = deflated(each.content) if each.method == 8 else each.content
        size = len(each.content) if each.size is None else each.size
        packed = len(data) if each.compress_size is None else each.compress_size
        crc = zlib.crc32(each.content) if each.crc is None else each.crc
        made += each.before
        at = len(made) if each.offset is None else each.offset
        local = each.name if each.local_name is None else each.local_name
        name_size = len(local) if each.local_name_size is None else each.local_name_size
        extra_size = 0 if each.local_extra_size is None else each.local_extra_size
        shared = struct.pack(
            "<4H3L", each.flags, each.method, 0, 33, crc, packed & 0xFFFFFFFF, size & 0xFFFFFFFF
        )
        made += each.local_magic + struct.pack("<H", 20) + shared
        made += struct.pack("<2H", name_size, extra_size) + local + data
        index += b"PK\x01\x02" + struct.pack("<BBH", 20, each.system, each.version) + shared
        index += struct.pack("<5H2L", len(each.name), len(each.extra), 0, 0, 0, each.mode << 16, at)
        index += each.name + each.extra
    if not end:
        return made + index
    number = len(entries) if count is None else count
    index_size = len(index) if index_size is None else index_size
    index_at = len(made) if index_at is None else index_at
    counts = struct.pack("<4H2LH", 0, 0, number, number, index_size, index_at, len(comment))
    return made + index + b"PK\x05\x06" + counts + comment


LINK, FIFO = stat.S_IFLNK | 0o777, stat.S_IFIFO | 0o644
GOOD = Entry(b"good")
LONG = bytes(range(256)) * 8192  # 2 MiB, which is inflated in pieces
MANY = [Entry(b"%03d" % number) for number in range(450)]  # enough for a second thread

# What the zip is, and what the error says.
NAMES = {
    "a parent": (b"../evil", 'contains ".."'),
    "a parent inside": (b"x/../../evil", 'contains ".."'),
    "a parent at the end": (b"x/..", 'contains ".."'),
    "a parent that stays": (b"x/../evil", 'contains ".."'),
    "backslashes": (b"..\\evil", 'contains ".."'),
    "mixed": (b"x\\../evil", 'contains ".."'),
    "absolute": (b"/evil", "is an absolute path"),
    "two slashes": (b"//evil", "is an absolute path"),
    "a share": (b"\\\\host\\evil", "is an absolute path"),
    "a drive": (b"C:/evil", "is an absolute path"),
    "a drive alone": (b"C:evil", "is an absolute path"),
    "a folder above": (b"../evil/", 'contains ".."'),
    "an absolute folder": (b"/evil/", "is an absolute path"),
    "too long a name": (b"e" * 300, "File name too long"),
    "too long a path": (b"/".join([b"e" * 200] * 30), "File name too long"),
}
LINKS = {
    "an absolute link": (Entry(b"l", b"/etc", 0, LINK),),
    "a link outside": (Entry(b"l", b"../..", 0, LINK),),
    "a deep link outside": (Entry(b"d/e/l", b"../../../evil", 0, LINK),),
    "through a link": (Entry(b"l", b"..", 0, LINK), Entry(b"l/evil")),
    "through a link to nothing": (Entry(b"l", b"../evil", 0, LINK), Entry(b"l")),
    "a chain": (
        Entry(b"x/y/", b"", 0, stat.S_IFDIR),
        Entry(b"x/y/up", b"../..", 0, LINK),
        Entry(b"o", b"x/y/up/..", 0, LINK),
        Entry(b"o/evil"),
    ),
    "a chain backwards": (
        Entry(b"o", b"x/y/up/..", 0, LINK),
        Entry(b"x/y/", b"", 0, stat.S_IFDIR),
        Entry(b"x/y/up", b"../..", 0, LINK),
    ),
    "a link that is replaced": (
        Entry(b"s/", b"", 0, stat.S_IFDIR),
        Entry(b"l", b"s", 0, LINK),
        Entry(b"l/one"),
        Entry(b"l", b"..", 0, LINK),
        Entry(b"l/evil"),
    ),
    "a link of a drive": (Entry(b"l", b"C:/", 0, LINK),),
    "a deflated link outside": (Entry(b"l", b"../..", 8, LINK),),
    "a pipe": (Entry(mode=FIFO),),
    "a device": (Entry(mode=stat.S_IFCHR),),
    "a disk": (Entry(mode=stat.S_IFBLK),),
    "a socket": (Entry(mode=stat.S_IFSOCK),),
    "a folder as a file": (Entry(b"x/y"), Entry(b"x")),
    "a file as a folder": (Entry(b"x"), Entry(b"x/y")),
    "a file as a folder's entry": (Entry(b"x"), Entry(b"x/", b"", 0)),
    "a folder's entry as a file": (Entry(b"x/", b"", 0), Entry(b"x")),
}
DAMAGED = {
    "a wrong CRC": raw_zip(Entry(crc=1)),
    "a wrong CRC of much": raw_zip(Entry(content=LONG, crc=1)),
    "a wrong CRC, stored": raw_zip(Entry(method=0, crc=1)),
    "a wrong CRC of much, stored": raw_zip(Entry(content=LONG, method=0, crc=1)),
    "longer than it says": raw_zip(Entry(size=10)),
    "much longer than it says": raw_zip(Entry(content=LONG, size=10)),
    "a little longer than it says": raw_zip(Entry(content=LONG, size=len(LONG) - 1)),
    "shorter than it says": raw_zip(Entry(size=1000)),
    "much shorter than it says": raw_zip(Entry(content=LONG, size=len(LONG) + 1)),
    "a bomb that says it is small": raw_zip(Entry(content=bytes(8 * MIB), size=10, crc=0)),
    "stored, longer than it says": raw_zip(Entry(method=0, size=10)),
    "stored, shorter than it says": raw_zip(Entry(method=0, size=100)),
    "empty, and says it is not": raw_zip(Entry(content=b"", size=5)),
    "no data": raw_zip(Entry(stored=b"")),
    "no data of much": raw_zip(Entry(content=LONG, stored=b"")),
    "cut off": raw_zip(Entry(stored=deflated(b"content " * 9)[:-4])),
    "much, cut off": raw_zip(Entry(content=LONG, stored=deflated(LONG)[:-9])),
    "an invalid block": raw_zip(Entry(stored=b"\xff" * 30)),
    "much with an invalid block": raw_zip(
        Entry(content=LONG, stored=deflated(LONG)[:5000] + b"\xff" * 900)
    ),
    "as long as 4 GiB": raw_zip(Entry(compress_size=0xFFFFFFF0)),
    "as long as 4 GiB, stored": raw_zip(Entry(method=0, size=0xFFFFFFF0)),
    "beyond the list of names": raw_zip(Entry(compress_size=150)),
    "beyond the next": raw_zip(Entry(compress_size=150), GOOD),
    "beyond the file": raw_zip(Entry(compress_size=5000)),
    "over another": raw_zip(Entry(b"x", method=0), Entry(b"x", method=0, offset=0)),
    "inside another": raw_zip(
        Entry(b"x", method=0, stored=raw_zip(Entry(b"y"))), Entry(b"y", offset=31)
    ),
    "header beyond the file": raw_zip(Entry(offset=1 << 30)),
    "header in the list of names": raw_zip(GOOD, Entry(offset=150)),
    "another magic number": raw_zip(GOOD, Entry(local_magic=b"PK\x03\x05")),
    "no header": raw_zip(Entry(offset=4)),
    "another name": raw_zip(Entry(local_name=b"b")),
    "another name of a file in a folder": raw_zip(Entry(b"x/y", local_name=b"../evil")),
    "a longer name": raw_zip(Entry(local_name_size=40)),
    "a shorter name": raw_zip(Entry(b"name", local_name_size=2)),
    "long fields": raw_zip(Entry(local_extra_size=60000)),
    "damaged bzip2": raw_zip(Entry(method=12)),
    "damaged lzma": raw_zip(Entry(method=14)),
    "no end": raw_zip(GOOD, end=False),
    "a list of names that is elsewhere": raw_zip(GOOD, index_at=1 << 30),
    "a list of names that is shorter": raw_zip(GOOD, GOOD, index_size=20),
    "a list of names that is longer": raw_zip(GOOD, index_size=1 << 30),
    "rows that are cut off": raw_zip(GOOD)[:60] + raw_zip(GOOD)[-22:],
    "a damaged field": raw_zip(Entry(extra=b"\1\0\xff\xff")),
    "zip64 without sizes": raw_zip(Entry(size=0xFFFFFFFF, extra=b"\1\0\0\0")),
    "zip64 of 2**63 bytes": raw_zip(
        Entry(size=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, 1 << 63))
    ),
    **{
        f"zip64 at {at}": raw_zip(
            GOOD, Entry(mode=mode, offset=0xFFFFFFFF, extra=struct.pack("<2HQ", 1, 8, at))
        )
        for at in ((1 << 63) + 5, (1 << 64) - 16, 1 << 62)
        for mode in (LINK, stat.S_IFREG)
    },
    "after the list of names": raw_zip(GOOD, Entry(b"x", offset=200)),
    "no bytes, and a checksum": raw_zip(Entry(content=b"", stored=b"", crc=1)),
    "only the first bytes": b"PK\x03\x04" + bytes(30),
    "only an end of another disk": b"PK\x05\x06" + struct.pack("<4H2LH", 9, 9, 9, 9, 99, 99, 0),
    "damage among many": raw_zip(*MANY[:200], Entry(b"x", crc=1), *MANY[200:]),
    "a name among many": raw_zip(*MANY[:200], Entry(b"x", local_name=b"y"), *MANY[200:]),
}

TOO_LARGE = {
    "damaged lzma": "the limit archive-memory",
    "zip64 of 2**63 bytes": "the limit unpacked-size",
}


def refused(tmp_path, data):
    """Unpack into a folder of a box, and return the error; nothing else may be in the box."""
    (tmp_path / "a.zip").write_bytes(data)
    with nothing_left_open(), pytest.raises(ArchiveError) as caught:
        extract(tmp_path / "a.zip", tmp_path / "box" / "out")
    assert [each.name for each in (tmp_path / "box").iterdir()] == ["out"]
    # While it arrives, it is refused for the same reason.
    with nothing_left_open(), pytest.raises((ArchiveError, GivenUp)) as ahead:
        extract_while_it_arrives(tmp_path / "a.zip", tmp_path / "box" / "ahead", tmp_path / "part")
    if isinstance(ahead.value, ArchiveError):
        assert ahead.value.message == caught.value.message
    for folder in ("out", "ahead"):
        for link in (tmp_path / "box" / folder).rglob("*"):
            assert link.resolve().is_relative_to((tmp_path / "box" / folder).resolve())
    return caught.value


@pytest.mark.parametrize("case", NAMES)
def test_names(tmp_path, case):
    """A name that could lead outside, or cannot exist, is an error that says so."""
    name, text = NAMES[case]
    error = refused(tmp_path, raw_zip(GOOD, Entry(name)))
    assert text in error.message


@pytest.mark.parametrize("case", LINKS)
def test_links_and_kinds(tmp_path, case):
    """What would be written through a link, in place of a folder, or is no file, is an error."""
    assert refused(tmp_path, raw_zip(*LINKS[case])).member


@pytest.mark.parametrize("case", DAMAGED)
def test_damage(tmp_path, case):
    """What is not as the archive says is damage."""
    error = refused(tmp_path, DAMAGED[case])
    assert TOO_LARGE.get(case, "is damaged: ") in error.message


OTHER_METHODS = {
    "encrypted": (Entry(flags=0x801), "'a' needs a password"),
    "encrypted, stored": (Entry(flags=0x801, method=0), "'a' needs a password"),
    "strongly": (Entry(flags=0x840), "'a' needs a password"),
    "an encrypted link": (Entry(mode=LINK, flags=0x801), "'a' needs a password"),
    "AES": (Entry(flags=0x801, method=99), "'a' needs a password"),
    "Deflate64": (Entry(method=9), "a way that envy does not know: Deflate64 (method 9)"),
    "zstd": (Entry(method=93), "a way that envy does not know: Zstandard (method 93)"),
    "PPMd": (Entry(method=98, mode=LINK), "a way that envy does not know: PPMd (method 98)"),
    "another": (Entry(method=77), "a way that envy does not know: (method 77)"),
    "a newer version": (Entry(version=90), "has a form that envy does not know: zip file version"),
    "a patch": (Entry(flags=0x820), "a way that envy does not know: it is a patch"),
}


@pytest.mark.parametrize("case", OTHER_METHODS)
def test_what_envy_does_not_read(tmp_path, case):
    """A zip that is encrypted, or compressed in another way, is not damaged."""
    entry, says = OTHER_METHODS[case]
    error = refused(tmp_path, raw_zip(GOOD, entry))
    assert says in error.message
    assert "in a stage function" in error.hint


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_an_empty_file_without_compressed_data(tmp_path, method):
    """Some programs write no data at all for an empty file, whatever its method is."""
    (tmp_path / "a.zip").write_bytes(raw_zip(GOOD, Entry(content=b"", stored=b"", method=method)))
    assert extract(tmp_path / "a.zip", tmp_path / "out") == 2
    assert (tmp_path / "out/a").read_bytes() == b""


def test_an_empty_zip(tmp_path):
    """A zip without members is not damaged, but empty."""
    assert refused(tmp_path, raw_zip()).message.endswith("a.zip is empty")


def test_what_was_said_to_be_small_is_never_larger(tmp_path):
    """No more than an entry says is written, and no more is kept in memory."""
    (tmp_path / "a.zip").write_bytes(
        raw_zip(Entry(content=bytes(60 * MIB), size=2 * MIB), Entry(b"b", bytes(MIB), size=10))
    )
    kind, text = outcome_of(extract, tmp_path / "a.zip", tmp_path / "out", memory=20 * MIB)
    assert (kind, "is damaged" in text) == ("error", True), text
    assert (tmp_path / "out/a").stat().st_size <= 2 * MIB


def test_the_first_failure_is_reported(tmp_path):
    """Of several damaged files, the first in the archive is named, whichever is written first."""
    bad = [Entry(b"bad%d" % number, crc=number) for number in range(3)]
    large = Entry(b"large", content=LONG, crc=9)
    data = raw_zip(*MANY[:100], bad[0], *MANY[100:200], bad[1], large, *MANY[200:], bad[2])
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        assert "'bad0'" in refused(tmp_path / str(number), data).message


def test_many_files_that_are_more_than_the_limit(tmp_path):
    """The limit of all files together holds for two threads."""
    adopt_limits({"unpacked-size": 10_000})
    assert "the limit unpacked-size" in refused(tmp_path, raw_zip(*MANY)).message
    written = sum(path.stat().st_size for path in (tmp_path / "box/out").iterdir())
    assert written <= 10_000


@pytest.mark.parametrize("content", [b"", b"x"])
def test_too_many_files(tmp_path, content):
    """The number of files has a limit of its own, which the empty ones count for."""
    adopt_limits({"unpacked-files": 300})
    error = refused(
        tmp_path, raw_zip(*(dataclasses.replace(each, content=content) for each in MANY))
    )
    assert "would exceed 300 files, folders and links, the limit unpacked-files" in error.message
    assert "ENVY_LIMITS=unpacked-files=600" in error.hint
    assert len([*(tmp_path / "box/out").iterdir()]) <= 300


NAME = st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a", "l/a"])
CONTENT = st.sampled_from([b"", b"x", b"text " * 40, LONG])
FILES = st.lists(
    st.tuples(NAME, CONTENT, st.sampled_from([0, 8, 12, 14]), st.booleans()), min_size=1, max_size=9
)


@given(FILES, st.booleans())
@settings(max_examples=30, deadline=None)
def test_as_zipfile(tmp_path_factory, files, link):
    """The content of every file is what zipfile reads; a later one replaces an earlier one."""
    folder = tmp_path_factory.mktemp("zip")
    data = io.BytesIO()
    expected = {}
    with zipfile.ZipFile(data, "w") as made:
        if link:
            info = zipfile.ZipInfo("l")
            info.create_system, info.external_attr = 3, LINK << 16
            made.writestr(info, "d")
        for name, content, method, is_first in files:
            with pytest.warns() if name in made.namelist() else _no_context():
                info = zipfile.ZipInfo(name)
                info.create_system, info.external_attr = 3, (0o755 if is_first else 0o644) << 16
                made.writestr(info, content, method)
            real = name.replace("l/", "d/") if link else name
            expected[real] = (content, is_first)
    (folder / "a.zip").write_bytes(data.getvalue())
    extract(folder / "a.zip", folder / "out")
    found = {
        path.relative_to(folder / "out").as_posix(): (
            path.read_bytes(),
            bool(path.stat().st_mode & 0o100),
        )
        for path in (folder / "out").rglob("*")
        if path.is_file()
    }
    assert found == expected


def _no_context():
    import contextlib

    return contextlib.nullcontext()


@pytest.mark.parametrize("name", ["zlib", "isal.isal_zlib"])
def test_both_libraries(name):
    """Both libraries give the same content, and find the same damage."""
    library = pytest.importorskip(name)
    for content in (b"", b"x", LONG):
        raw = deflated(content)
        assert inflate.inflate(raw, len(content), library) == content
        stream = inflate.inflater(inflate.RAW, library)
        assert stream.decompress(raw, len(content) + 1) == content
        assert stream.eof
    for damaged in (deflated(LONG)[:-9], b"", b"\xff\xff"):
        with pytest.raises((EOFError, library.error)):
            inflate.inflate(damaged, 10, library)
    with pytest.raises(EOFError):
        inflate.inflate(deflated(random.Random(1).randbytes(50_000)), 10, library)
