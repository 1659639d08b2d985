"""Masking: which texts are secret, in which forms, and what stays as it is."""

import base64
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy import masking
from envy.host.shell import LineSplitter
from envy.masking import MASK, Secrets


@pytest.fixture(autouse=True)
def nothing_known():
    """Values that one test remembers are unknown to the next."""
    yield
    masking.forget_all()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("it is hunter2!", "it is ***!"),
        ("hunter2hunter2", "******"),
        ("nothing", "nothing"),
        ("", ""),
        ("1234-5678 and 5678-9012: 1234-5678-9012", "*** and ***: ***"),
        ('say "a\\"b\\\\c"', 'say "***"'),
        ("a%22b%5Cc", "***"),
        ("-----BEGIN\nline of a key\n", "-----BEGIN\n***\n"),
        ("x\nabc\n", "x\nabc\n"),
    ],
)
def test_values_are_masked(text, shown):
    """Each value, its longer lines, and its escaped forms become the mask; overlaps become one."""
    secrets = Secrets(
        ["hunter2", "1234-5678", "5678-9012", 'a"b\\c', "x\nline of a key\nabc", "abc", "", " q "]
    )
    assert secrets.masked(text) == shown
    assert secrets.masked_bytes(text.encode()) == shown.encode()


@pytest.mark.parametrize("before", ["", "u:", "xy", "user:name:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_value_in_base64_is_masked(before, encode):
    """Wherever the value begins in the text that was encoded."""
    text = encode(f"{before}pass?>word~~1{before}".encode()).decode()
    assert MASK in Secrets(["pass?>word~~1"]).masked(f"Basic {text}")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h/x", "https://h/x"),
        ("ssh://git@h:22/x", "ssh://h:22/x"),
        ("see https://tok@h.", "see https://h."),
        ("https://u:a/b@h/x", "https://h/x"),
        ("http://[::1]:80/x@y", "http://[::1]:80/x@y"),
        ("http://h/?q=a@b", "http://h/?q=a@b"),
        ("https://h/x?a=1&token=t&b=2", "https://h/x?a=1&token=***&b=2"),
        ("https://h/x?X-Amz-Signature=1&KEY=2#access_token=3",
         "https://h/x?X-Amz-Signature=***&KEY=***#access_token=***"),
        ("(https://h/x?password=1&my.credentials=2),", "(https://h/x?password=***&my.credentials=***),"),
        ("https://h/?%74oken=5", "https://h/?%74oken=***"),
        ("https://h/?to=https%3A%2F%2Fu%3Ap%40i%2F%3Fsig%3Dq%26a%3D1",
         "https://h/?to=https%3A%2F%2Fi%2F%3Fsig%3D***%26a%3D1"),
        ("https://h/?to=%2Fx%3Fsecret%3Dq", "https://h/?to=%2Fx%3Fsecret%3D***"),
        ("https://h/?key=", "https://h/?key="),
        ("https://h/?keys", "https://h/?keys"),
        (r'"https:\/\/u:p@h\/x"', r'"https:\/\/h\/x"'),
        ("Authorization: Bearer abc.def", "Authorization: Bearer ***"),
        ('-H "authorization: basic YTpi" https://h', '-H "authorization: basic ***" https://h'),
        ("Proxy-Authorization: Digest username=u, response=r", "Proxy-Authorization: Digest ***"),
        ("authorization: denied", "authorization: denied"),
        ("me@example.org, a://b", "me@example.org, a://b"),
    ],
)  # fmt: skip
def test_addresses_and_headers_are_masked(text, shown):
    """Without any value: user info, secret parameters, and credentials of a header."""
    assert masking.masked(text) == shown
    assert masking.masked(shown) == shown


def test_one_address_may_be_relative_or_have_spaces():
    """What a server sends as an address is masked to its end."""
    assert masking.masked_address('/x?token=a b"c&d=1') == "/x?token=***&d=1"
    assert masking.masked_address('http://h/a "b?sig=q') == 'http://h/a "b?sig=***'


@pytest.mark.parametrize(
    ("address", "text", "shown"),
    [
        ("https://me:pa%2Fss@h/x", "pa/ss pa%2Fss", "*** ***"),
        ("https://me:word@h/x", base64.b64encode(b"me:word").decode(), MASK),
        ("https://0123456789abcdef@h/x", "is 0123456789abcdef", "is ***"),
        ("ssh://git@h/x", "git fetch", "git fetch"),
        ("https://h/a:b@c", "a:b", "a:b"),
    ],
)
def test_the_password_of_an_address_is_remembered(address, text, shown):
    """A program may print it alone; the name of a user is no secret."""
    masking.remember_address(address)
    assert masking.masked(text) == shown


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ('"https://h/x?token="..t.."&X-Sig=abcd&v=2"', '"https://h/x?token="..t.."&X-Sig=***&v=2"'),
        ("'?api_key=abcd#x' .. \"&PASSWORD=ef gh\"", "'?api_key=***#x' .. \"&PASSWORD=*** gh\""),
        ("[[&my%20secret=abcd]]", "[[&my%20secret=***]]"),
        ("if a & key == 5 then key = 6 end", "if a & key == 5 then key = 6 end"),
        ("x?v=1&y=token", "x?v=1&y=token"),
    ],
)
def test_parts_of_addresses_in_code(code, shown):
    """A recipe may put an address together, so that no part of it looks like one."""
    assert masking.masked_code(code) == shown


def test_data_is_masked_whole():
    """Texts in records and collections are masked; enumerations are words of envy."""

    class Word(Enum):
        ONE = "hunter2"

    @dataclass(frozen=True)
    class Row:
        name: str
        more: object

    row = Row(
        "hunter2", {"hunter2": ["x", ("hunter2", 1, None)], "w": Word.ONE, "s": frozenset("a")}
    )
    more = {MASK: ["x", (MASK, 1, None)], "w": Word.ONE, "s": frozenset("a")}
    assert Secrets(["hunter2"]).masked_data(row) == Row(MASK, more)


@settings(max_examples=50)
@given(
    st.integers(0, 40_000), st.integers(7, 30_000), st.integers(0, 40_000),
    st.sampled_from(["tok-secret-1", "https://me:tok-secret-1@h/x", "ä" * 3 + "tok-secret-1"]),
)  # fmt: skip
def test_a_value_is_masked_wherever_a_long_line_is_cut(before, step, after, text):
    """Neither the limit of a line nor the chunks of a stream divide a secret."""
    masking.remember(["tok-secret-1"])
    data = b"x" * before + text.encode() + b"y" * after
    splitter, pieces = LineSplitter(), []
    for start in range(0, len(data), step):
        pieces += splitter.feed(data[start : start + step])
    pieces += splitter.finish()
    whole = b"".join(pieces)
    assert b"secret" not in whole
    assert whole == masking.masked_bytes(data)
    assert all(len(piece) <= 16_384 for piece in pieces)


def test_an_address_without_an_end_is_not_held_forever():
    """A line that is one endless address is passed on, masked."""
    splitter = LineSplitter()
    pieces = splitter.feed(b"https://me:" + b"p" * 200_000 + b"@h/" + b"x" * 100)
    assert sum(map(len, [*pieces, *splitter.finish()])) < 300


@given(st.text(alphabet="ab:/@?=&%3Dtokenkeysig#. \\\"'", max_size=60))
def test_masking_twice_is_masking_once(text):
    """Whatever the text, and however broken its addresses."""
    shown = masking.masked(text)
    assert masking.masked(shown) == shown


def test_what_is_masked_quotes_well():
    """A value in a part of an address is found in its percent-encoded form."""
    value = "a b/c+d"
    assert Secrets([value]).masked(f"/x/{quote(value, safe='')}/y") == "/x/***/y"


def test_an_error_is_masked_before_it_is_shortened():
    """Where a long text is cut, no part of a secret is left."""
    masking.remember(["hunter2 and more"])
    text = "hunter2 and more " * 10_000
    assert "hunter2" not in masking.cut_short(text)
    assert masking.cut_short("hunter2 and more") == "hunter2 and more"
