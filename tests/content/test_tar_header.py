"""What the headers of a tar mean, however their numbers are written and their bytes arrive."""

import io
import tarfile
from pathlib import Path

import pytest

from envy.content.tar_header import DamagedHeader, parse_header
from envy.content.tar_stream import members_of


def header_with_size(field):
    """Return a header with these bytes as its size, and the right checksum."""
    block = bytearray(tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = field
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(
    ("field", "size"),
    [
        (b"00000000017\0", 15),
        (b"00000000017 ", 15),
        (b"17\0" + b"\0" * 9, 15),
        (b"17\0" + b"9" * 9, 15),
        (b"         17\0", 15),
        (b" 17" + b" " * 9, 15),
        (b"000000000017", 15),
        (b"\0" * 12, 0),
        (b" " * 12, 0),
        (b"\x80" + b"\0" * 9 + b"\1\0", 256),
        (b"\x80" + b"0" * 10 + b" ", int.from_bytes(b"0" * 10 + b" ", "big")),
    ],
)
def test_numbers(field, size):
    """Octal digits with zeros, spaces or NULs around them, or the bytes themselves as digits."""
    assert parse_header(header_with_size(field)).size == size


@pytest.mark.parametrize("field", [b"00000000018\0", b"0000000x017\0", b"\xff" * 12])
def test_what_is_no_number(field):
    """Digits beyond 7, letters and negative sizes are refused."""
    with pytest.raises(DamagedHeader):
        parse_header(header_with_size(field))


@pytest.mark.parametrize("size", [1, 511, 512, 513, 1000, 1 << 20])
def test_chunks_of_any_size(size):
    """The members are the same wherever a chunk ends; a tar that is cut is an error."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as made:
        for name, content in (("a", b"x" * 700), ("b" * 200, b""), ("c", b"y" * 512)):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    data = packed.getvalue()

    def members(data):
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        found = members_of(Path("t.tar"), chunks)
        return [(header.name, b"".join(content)) for header, content in found]

    assert members(data) == [("a", b"x" * 700), ("b" * 200, b""), ("c", b"y" * 512)]
    with pytest.raises(EOFError):
        members(data[:1000])


@pytest.mark.parametrize("filler", [b"\0", b"n", b"\x7f", b"\x80", b"\xff"])
def test_checksums(filler):
    """The sum of the bytes is compared exactly, be they signed or not, and however large it is."""
    block = bytearray(tarfile.TarInfo("f").tobuf(tarfile.USTAR_FORMAT))
    block[:100] = block[157:257] = filler * 100
    block[345:500] = filler * 155
    block[148:156] = b" " * 8
    unsigned = sum(block)
    signed = unsigned - 256 * sum(byte > 127 for byte in block)
    for right in {unsigned, signed}:
        if right >= 0:
            parse_header(bytes(block[:148] + b"%06o\0 " % right + block[156:]))
    wrongs = {unsigned - 1, unsigned + 1, unsigned + 8, unsigned // 2, unsigned % 65521}
    for wrong in wrongs - {unsigned}:
        with pytest.raises(DamagedHeader, match="checksum"):
            parse_header(bytes(block[:148] + b"%06o\0 " % wrong + block[156:]))
