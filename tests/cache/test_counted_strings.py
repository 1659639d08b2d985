"""Which files are no texts, since lengths of paths stand in them: pure functions of bytes."""

import pytest

from envy.cache.places import FIXED, TEXT, places_in
from envy.cache.rewriting import NotRewritten, new_content

PREFIX = b"/home/somebody/cache/assets/"
NAME = "local.gn@r0/linux-x86_64-blake3-0123456789abcdef"
PATH = PREFIX + NAME.encode() + b"/asset"


def places(data):
    return places_in("share/file", data, [PREFIX], own=NAME)


def moved(data, root):
    return new_content("share/file", data, places(data), [PREFIX], root, own=NAME)


DATA = {
    "MessagePack": b"\x82\xa1a\xd9%c%b\xa1b\xc3",
    "MessagePack, one text": b"\xd9%c%b",
    "bytes of MessagePack": b"\xc4%c%b",
    "CBOR": b"\xa1\x61px%c%b",
    "Protocol Buffers": b"\n%c%b",
    "Protocol Buffers, another field after it": b"\n%c%b2abc",
    "control characters": b"\x01=%c%b",
}


@pytest.mark.parametrize("form", DATA)
@pytest.mark.parametrize("text", [PATH, PATH + b"/lib", b"file://" + PATH])
def test_data_without_nul(form, text):
    """Data that has the length of a path before it keeps its own length under another root."""
    data = DATA[form] % (len(text), text)
    assert b"\0" not in data
    assert places(data).how == FIXED
    new = moved(data, b"/c")
    assert (len(new), new.count(b"/c" + b"/" * 18 + b"/assets/")) == (len(data), 1)
    with pytest.raises(NotRewritten, match="has room for a cache root of at most 20 bytes"):
        moved(data, b"/home/somebody/cache2")


@pytest.mark.parametrize("more", range(0, 70, 3))
def test_texts(more):
    """Texts stay texts, whatever character is before a path, and however long that is."""
    path = PREFIX + b"x" * more + NAME.encode()
    for text in (
        b"libdir=%b/lib64/a/folder:x",
        b"prefix=%b/lib64/a/folder",
        b'{"a":"%b/lib"}',
        b"-L%b/lib -I%b/include",
        b"caf\xe9 %b",  # Latin 1
        "\u0440 %b".encode(),
        b"\x1b[1m%b\x1b[0m",
        b"#!%b/bin/python\nprint('\x01')",
    ):
        data = text.replace(b"%b", path) + b"\n"
        assert places(data).how == TEXT
