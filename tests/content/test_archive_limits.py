"""Archives whose headers, names or windows would take gigabytes are errors that name the limit."""

import io
import itertools
import lzma
import random
import stat
import struct
import sys
import tarfile
import zipfile
import zlib

import pytest
from bounded import outcome_of

from envy.content.archive import decompress_file, extract
from envy.content.below_root import open_below
from envy.content.extraction import Unpacking, write_folder
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


def header(kind, size, name="x"):
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def padded(data):
    return data + b"\0" * (-len(data) % 512)


def pax(*rows):
    made = b""
    for key, value in rows:
        body = b" " + key + b"=" + value + b"\n"
        length = next(n for n in itertools.count(len(body)) if len(str(n)) + len(body) == n)
        made += str(length).encode() + body
    return made


def compressed(path, *pieces):
    """Write pieces into a .tar.zst: bytes, a number of MiB of the letter a, or (count, bytes)."""
    with zstd.ZstdFile(path, "wb") as file:
        for piece in pieces:
            whole = (1, piece) if isinstance(piece, bytes) else piece
            count, block = (whole, b"a" * MIB) if isinstance(whole, int) else whole
            for _ in range(count):
                file.write(block)
    return path


# Pieces: all of them at once would make each worker, and each fork of it, hundreds of MiB larger.
LARGE = {
    "a GNU name": [header(b"L", 700 * MIB), 700, header(b"0", 0)],
    "a GNU link": [header(b"K", 700 * MIB), 700, header(b"2", 0)],
    "a pax header": [header(b"x", 700 * MIB), b"734003200 path=", 700, header(b"0", 0)],
    "a global pax header": [header(b"g", 700 * MIB), b"734003200 comment=", 700, header(b"0", 0)],
}


@pytest.mark.parametrize("name", LARGE)
def test_headers_of_a_tar(tmp_path, name):
    """No header makes envy keep hundreds of megabytes: beyond the limit, it is an error."""
    archive = compressed(tmp_path / "a.tar.zst", *LARGE[name])
    kind, text = outcome_of(extract, archive, tmp_path / "out")
    assert (kind, "the limit archive-header" in text) == ("error", True), text
    assert "ENVY_LIMITS=archive-header=2M" in text


def test_many_global_headers(tmp_path):
    """Global headers that say nothing about names are not kept for every later member."""
    pieces = []
    for number in range(60):
        data = pax((b"comment.%d" % number, b"a" * (MIB - 2048)))
        pieces += [header(b"g", len(data)), padded(data), header(b"0", 0, f"file{number}")]
    archive = compressed(tmp_path / "a.tar.zst", *pieces, bytes(1024))
    assert outcome_of(extract, archive, tmp_path / "out", memory=40 * MIB) == ("value", 60)


def test_a_member_with_very_many_headers(tmp_path):
    """A member that has one name after the other is damaged."""
    rows = (header(b"L", 512) + b"a" * 512) * 1900
    archive = compressed(tmp_path / "a.tar.zst", rows, header(b"0", 0))
    kind, text = outcome_of(extract, archive, tmp_path / "out")
    assert (kind, "is damaged: an entry has too many headers" in text) == ("error", True), text


def test_the_same_folder_again_and_again(tmp_path):
    """A folder that an archive names again and again is kept once, with its last time."""
    with open_below(tmp_path) as below:
        job = Unpacking(archive=tmp_path / "a", below=below, into=(), place=lambda parts: parts)
        for mtime in (1, 2, 3):
            write_folder(job, "folder/", mtime=mtime)
            write_folder(job, "folder/inner/", mtime=mtime)
        assert job.folders == {("folder",): 3, ("folder", "inner"): 3}


def test_a_raised_limit_of_headers(tmp_path):
    """A limit that was raised holds, and so does one that was lowered."""
    data = pax((b"SCHILY.xattr.user.icon", b"a" * 2 * MIB))
    archive = compressed(
        tmp_path / "a.tar.zst", header(b"x", len(data)), padded(data), header(b"0", 0), bytes(1024)
    )
    assert outcome_of(extract, archive, tmp_path / "out")[0] == "error"
    adopt_limits({"archive-header": 3 * MIB})
    assert outcome_of(extract, archive, tmp_path / "out") == ("value", 1)


def zip_with(path, content, *, mode, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as made:
        info = zipfile.ZipInfo("entry")
        info.compress_type = method
        info.create_system, info.external_attr = 3, mode << 16
        with made.open(info, "w", force_zip64=True) as file:
            for piece in content:
                file.write(piece)
    return path


METHODS = [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("method", METHODS)
def test_the_link_target_of_a_zip(tmp_path, method):
    """A link whose target is 40 MiB of one letter is an error, however it is compressed."""
    content = [b"a" * MIB] * 40
    archive = zip_with(tmp_path / "a.zip", content, mode=stat.S_IFLNK | 0o777, method=method)
    kind, text = outcome_of(extract, archive, tmp_path / "out", memory=30 * MIB)
    assert (kind, "a target of more than 1 MiB, the limit archive-header" in text) == (
        "error",
        True,
    ), text


def test_a_file_that_bzip2_made_tiny(tmp_path):
    """A member is decompressed in small steps, whatever its compression."""
    archive = zip_with(tmp_path / "a.zip", [b"a" * MIB] * 100, mode=0o644, method=zipfile.ZIP_BZIP2)
    assert outcome_of(extract, archive, tmp_path / "out", memory=60 * MIB) == ("value", 1)


@pytest.mark.parametrize("method", METHODS)
def test_every_compression_of_a_zip_is_verified(tmp_path, method):
    """A member has the content that was compressed, or its archive is damaged."""
    pieces = [random.Random(1).randbytes(100_000), bytes(500_000), b"end"]
    archive = zip_with(tmp_path / "a.zip", pieces, mode=0o644, method=method)
    extract(archive, tmp_path / "out")
    assert (tmp_path / "out/entry").read_bytes() == b"".join(pieces)
    data = archive.read_bytes()
    with zipfile.ZipFile(archive) as made:
        digest = struct.pack("<L", made.getinfo("entry").CRC)
    archive.write_bytes(data.replace(digest, b"\1\2\3\4"))
    with pytest.raises(ArchiveError, match="is damaged: Bad CRC-32 for file 'entry'"):
        extract(archive, tmp_path / "again")


def test_the_window_of_a_member_that_lzma_compressed(tmp_path):
    """A member of a zip that needs more memory than the limit is an error."""
    archive = zip_with(tmp_path / "a.zip", [b"a" * 100], mode=0o644, method=zipfile.ZIP_LZMA)
    adopt_limits({"archive-memory": MIB})
    kind, text = outcome_of(extract, archive, tmp_path / "out")
    assert (kind, "the limit archive-memory" in text) == ("error", True), text


def test_the_size_that_an_archive_unpacks_to(tmp_path):
    """A small archive that holds more than the limit is an error, whatever its format."""
    tar = compressed(tmp_path / "a.tar.zst", header(b"0", 3 * MIB, "entry"), 3, bytes(1024))
    zipped = zip_with(tmp_path / "a.zip", [b"a" * MIB] * 3, mode=0o644)
    single = compressed(tmp_path / "a.zst", 3)
    for archive, use in ((tar, extract), (zipped, extract), (single, decompress_file)):
        adopt_limits({"unpacked-size": 3 * MIB - 1})
        out = tmp_path / f"out-{archive.name}" / "entry"
        with pytest.raises(ArchiveError) as caught:
            use(archive, out.parent if use is extract else out)
        assert f"{archive} cannot be unpacked: " in caught.value.message
        assert "would exceed 3145727 bytes, the limit unpacked-size" in caught.value.message
        assert "ENVY_LIMITS=unpacked-size=6291454" in caught.value.hint
        assert out.stat().st_size < 3 * MIB
        adopt_limits({"unpacked-size": 3 * MIB})
        use(archive, out.parent if use is extract else out)
        assert out.stat().st_size == 3 * MIB


def index_row():
    row = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, 20, *[0] * 3, 33, *[0] * 3, 1, *[0] * 6)
    return row + b"a"


@pytest.mark.parametrize(("size", "said"), [(40 * MIB, 40 * MIB), (100, 1 << 31), (7 * MIB, 0)])
def test_the_list_of_names_of_a_zip(tmp_path, size, said):
    """The list of names of a zip is read up to its limit, and not as far as it says."""
    rows = index_row() * (size // len(index_row()))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 60000, 60000, said or len(rows), 0, 0)
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK\x03\x04" + bytes(100) + rows + end)
    kind, text = outcome_of(extract, archive, tmp_path / "out", memory=140 * MIB)
    assert kind == "error", text
    assert ("the limit archive-index" in text) is (size > 32 * MIB), text
    assert "needs more than" not in text


def test_windows_of_gigabytes(tmp_path):
    """An xz or zstd file that needs more memory than the limit is an error that names it."""
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    made = bytearray(lzma.compress(b"a" * 100, filters=filters))
    # The size of the dictionary is one byte of the block's header, which has a checksum of its own.
    at = made.index(b"\x21\x01", 12)
    made[at + 2] = 40  # 4 GiB
    end = 12 + (made[12] + 1) * 4
    made[end - 4 : end] = struct.pack("<L", zlib.crc32(made[12 : end - 4]))
    (tmp_path / "a.tar.xz").write_bytes(bytes(made))
    # A frame without a checksum whose window is 2 GiB.
    (tmp_path / "a.tar.zst").write_bytes(
        b"\x28\xb5\x2f\xfd\x00" + bytes([21 << 3]) + b"\x01\x00\x00"
    )
    for name in ("a.tar.xz", "a.tar.zst"):
        kind, text = outcome_of(extract, tmp_path / name, tmp_path / "out")
        assert (kind, "the limit archive-memory" in text) == ("error", True), text
        assert "ENVY_LIMITS=archive-memory=512M" in text


def test_streams_of_xz_with_padding(tmp_path):
    """Several streams are one content, and zeros between and after them are padding."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        info = tarfile.TarInfo("file")
        info.size = 100_000
        content = random.Random(1).randbytes(info.size)
        tar.addfile(info, io.BytesIO(content))
    raw = data.getvalue()
    halves = lzma.compress(raw[:50_000]), lzma.compress(raw[50_000:])
    for between, after in ((b"", b""), (bytes(8), bytes(4)), (bytes(70_000), b"")):
        archive = tmp_path / "a.tar.xz"
        archive.write_bytes(halves[0] + between + halves[1] + after)
        extract(archive, tmp_path / "out")
        assert (tmp_path / "out/file").read_bytes() == content
