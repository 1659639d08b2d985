"""The text of options: injective, and a table that Lua reads back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lupa import lua54

from envy.declarations.option_text import (
    BareWord,
    parse_options,
    parse_query_options,
    serialise_options,
)
from envy.errors import DeclarationError

TEXTS = st.text(max_size=8) | st.sampled_from(
    ['"', "\\", "\n", "\r\0", "1\x012", "end", "a b", "\x85", "\u202e", "\udcff9", "é", "]]", "0"]
)
SCALARS = (
    TEXTS
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.sampled_from([1, 1.0, True, "1", -(2**63), 2**63 - 1, -0.0, math.inf, -math.inf, 1e16])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3)
    ),
    max_leaves=8,
)


def is_allowed(value):
    """Leaves out a float called version, which is refused at every depth."""
    if isinstance(value, list):
        return all(map(is_allowed, value))
    if isinstance(value, dict):
        return not isinstance(value.get("version"), float) and all(map(is_allowed, value.values()))
    return True


OPTIONS = st.dictionaries(TEXTS, VALUES, max_size=4).filter(is_allowed)


def exact(value):
    """A value with what == ignores: types, and the sign of zero."""
    if isinstance(value, dict):
        return {key: exact(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [exact(inner) for inner in value]
    return type(value).__name__, repr(value)


def from_lua(value):
    """A Lua value as plain Python, with all distinctions that Lua makes."""
    if lua54.lua_type(value) == "table":
        pairs = [(from_lua(key), from_lua(inner)) for key, inner in value.items()]
        if pairs and all(isinstance(key, int) for key, _ in pairs):
            return [inner for _, inner in sorted(pairs)]
        return dict(pairs)
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value


LUA = lua54.LuaRuntime(encoding=None)


@given(OPTIONS)
def test_text_evaluates_in_lua_to_the_same_table(options):
    """Lua 5.4 evaluates the text to the original table."""
    text = serialise_options(options)
    value = LUA.execute(b"return " + text.encode())
    assert exact(from_lua(value)) == exact(options)


@given(OPTIONS)
def test_text_is_parsed_to_the_same_options(options):
    """Parsing returns the original values, types included."""
    assert exact(parse_options(serialise_options(options))) == exact(options)


@given(OPTIONS)
def test_text_is_canonical(options):
    """Reading and writing again changes nothing, whatever the order of the keys."""
    text = serialise_options(options)
    assert serialise_options(dict(reversed(parse_options(text).items()))) == text


@given(OPTIONS)
def test_text_is_one_printable_line(options):
    """The text has no line break, and no character that controls a terminal."""
    text = serialise_options(options)
    assert len(text.splitlines()) == 1
    assert not any(c < " " or "\x7f" <= c <= "\x9f" or "\u202a" <= c <= "\u202e" for c in text)


@given(OPTIONS, OPTIONS)
def test_different_options_have_different_texts(one, other):
    """Two tables that Lua distinguishes have different texts."""
    same = exact(one) == exact(other)
    assert (serialise_options(one) == serialise_options(other)) == same


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, "{}"),
        ({"b": 1, "a": 1.0}, "{a=1.0,b=1}"),
        ({"version": "3.10"}, '{version="3.10"}'),
        ({"a b": True, "end": "x\ny1"}, '{["a b"]=true,["end"]="x\\010y1"}'),
        ({"t": ["a", {"k": 2}], "e": {}}, '{e={},t={"a",{k=2}}}'),
        ({"i": math.inf, "m": -(2**63)}, "{i=1e999,m=0x8000000000000000}"),
        ({"bytes": "\udcff9"}, '{bytes="\\2559"}'),
    ],
)
def test_canonical_text(options, expected):
    """Stored keys depend on the canonical text."""
    assert serialise_options(options) == expected


CYCLIC: dict = {}
CYCLIC["self"] = CYCLIC


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"a": {"b": print}}, "`options.a.b` is a function"),
        ({"a": [1, None]}, "`options.a[2]` is nil"),
        ({"a": {1: "x", "k": "y"}}, "`options.a` mixes named values with the index 1"),
        ({"deep": CYCLIC}, "contains itself"),
        ({"version": 3.1}, "3.10 would become 3.1"),
        ({"tool": {"version": 3.1}}, "`options.tool.version`"),
        ({"n": math.nan}, "`options.n` is not a number"),
        ({"n": 2**63}, "`options.n` is"),
        ({"s": "\ud800"}, "`options.s` is not valid text"),
    ],
)
def test_value_without_a_text_is_an_error_that_names_the_option(options, part):
    """Functions, cycles, mixed tables and values that Lua cannot have are refused."""
    with pytest.raises(DeclarationError) as caught:
        serialise_options(options)
    assert part in str(caught.value)


def test_whole_number_may_be_called_version():
    """Only a float loses digits."""
    assert serialise_options({"version": 3}) == "{version=3}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ a = 1 ; b = 'x' , }", {"a": 1, "b": "x"}),
        (r'{a="\x41\u{e9}\9"}', {"a": "Aé\t"}),
        ("{n=0xff, m=-0x1, f=-1e3}", {"n": 255, "m": -1, "f": -1000.0}),
    ],
)
def test_other_texts_of_lua_are_parsed(text, expected):
    """Text typed by hand need not be canonical."""
    assert parse_options(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{a=}", "{a=1", "{a=1}}", "{1,2}", "{a=b}", '{a="x', "{a=1,a=2}", "{=1}"),
        *("{a 1}", "{[a]=1}", r'{a="\300"}', r'{a="\u{110000}"}', "{a=1,2}", "{" * 300),
    ],
)
def test_broken_text_is_an_error(text):
    """A text that is not a table of options is refused, not guessed."""
    with pytest.raises(DeclarationError):
        parse_options(text)


def test_words_of_a_query_need_no_quotes():
    """On a command line, quotes would have to be quoted."""
    options = parse_query_options("{version=3.13, with-ssl=true, tags={a,'b'}}")
    assert options == {"version": "3.13", "with-ssl": "true", "tags": ["a", "b"]}
    assert isinstance(options["version"], BareWord)


@given(st.text("{}[]=,\"'\\ ab1.-xu\n", max_size=12))
def test_any_text_is_parsed_or_refused(text):
    """No text raises anything except a DeclarationError."""
    try:
        options = parse_query_options(text)
    except DeclarationError:
        return
    assert isinstance(options, dict)
