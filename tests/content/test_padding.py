"""Zeros between and after the streams of gz and xz files are accepted as by gzip and xz."""

import gzip
import io
import lzma
import random
import tarfile

import pytest

from envy.content.archive import decompress_file, extract
from envy.content.xz_streams import XzStreams
from envy.errors import ArchiveError

TEXT = random.Random(1).randbytes(3000) * 3  # so that a part of it is not the whole
STREAMS = {"gz": lambda data: gzip.compress(data, mtime=0), "xz": lzma.compress}


def tar_of(text):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        info = tarfile.TarInfo("a")
        info.size = len(text)
        tar.addfile(info, io.BytesIO(text))
    return stream.getvalue()


def parts_of(data, compress):
    """Two streams for the two halves of the data."""
    half = len(data) // 2
    return compress(data[:half]), compress(data[half:])


PADDED = {
    "after": lambda one, two: one + two + b"\0" * 4,
    "between": lambda one, two: one + b"\0" * 8 + two,
    "both": lambda one, two: one + b"\0" * 4 + two + b"\0" * 512,
    "much": lambda one, two: one + b"\0" * 300_000 + two + b"\0" * 300_000,
    "none": lambda one, two: one + two,
}


@pytest.mark.parametrize("suffix", STREAMS)
@pytest.mark.parametrize("case", PADDED)
def test_padding(tmp_path, suffix, case):
    """All streams are read, of a tar and of a single file."""
    for name, data in (("tool", TEXT), ("a.tar", tar_of(TEXT))):
        (tmp_path / f"{name}.{suffix}").write_bytes(PADDED[case](*parts_of(data, STREAMS[suffix])))
    decompress_file(tmp_path / f"tool.{suffix}", tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == TEXT
    extract(tmp_path / f"a.tar.{suffix}", tmp_path / "out")
    assert (tmp_path / "out/a").read_bytes() == TEXT


DAMAGED = {
    "cut in the second stream": lambda one, two: one + b"\0" * 4 + two[:-9],
    "cut before its padding": lambda one, two: one + two[:-9] + b"\0" * 12,
    "cut in the first stream": lambda one, two: one[:-9] + b"\0" * 12 + two,
    "something else after it": lambda one, two: one + two + b"something else",
    "something else after padding": lambda one, two: one + two + b"\0" * 4 + b"something else",
    "the start of a stream": lambda one, two: one + two[:3],
}


@pytest.mark.parametrize("suffix", STREAMS)
@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_no_padding(tmp_path, suffix, case):
    """A file that is cut off, or ends in something else, is an error."""
    for name, data in (("tool", TEXT), ("a.tar", tar_of(TEXT))):
        (tmp_path / f"{name}.{suffix}").write_bytes(DAMAGED[case](*parts_of(data, STREAMS[suffix])))
    with pytest.raises(ArchiveError, match="is damaged"):
        decompress_file(tmp_path / f"tool.{suffix}", tmp_path / "tool")
    with pytest.raises(ArchiveError, match="is damaged"):
        extract(tmp_path / f"a.tar.{suffix}", tmp_path / "out")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 511])
def test_padding_of_xz_is_a_multiple_of_four(tmp_path, count):
    """Another number of zeros means that something is missing, between streams and after them."""
    path = tmp_path / "tool.xz"
    for data in (lzma.compress(TEXT) + b"\0" * count, b"\0" * count + lzma.compress(TEXT)):
        path.write_bytes(lzma.compress(TEXT) + data)
        with pytest.raises(ArchiveError, match="multiple of four"):
            decompress_file(path, tmp_path / "tool")


@pytest.mark.parametrize("size", range(1, 6))
def test_xz_streams_in_small_reads(size):
    """Whatever is read at once, of the file and of its content, the content is the same."""

    class Slow(io.BytesIO):
        def read(self, _size=-1):
            return super().read(size)

    stream = XzStreams(Slow(lzma.compress(b"one") + b"\0" * 8 + lzma.compress(b"two") + b"\0" * 4))
    found = b""
    while data := stream.read(size):
        found += data
    assert (found, stream.read(size)) == (b"onetwo", b"")
