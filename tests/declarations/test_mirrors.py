"""Mirrors are addresses for other addresses, in an order that is written down."""

import pytest

from envy.declarations.mirrors import mirrored, mirrors_in, prefix_map
from envy.errors import DeclarationError

ONE, TWO = "https://one.example/", "https://two.example/files"
SOURCE = "https://example.org/tools/x.tgz"


@pytest.mark.parametrize(
    ("prefixes", "expected"),
    [
        ({"https://example.org/": (ONE,)}, ["https://one.example/tools/x.tgz"]),
        ({"https://example.org": (ONE,)}, ["https://one.example/tools/x.tgz"]),
        ({"https://example.org/tools": (TWO,)}, ["https://two.example/files/x.tgz"]),
        (
            {"https://example.org/tools/": (ONE, TWO)},
            ["https://one.example/x.tgz", "https://two.example/files/x.tgz"],
        ),
        ({"https://example.org/": (ONE,), "https://example.org/tools": (TWO,)},
         ["https://two.example/files/x.tgz"]),
        ({SOURCE: ("https://one.example/y",)}, ["https://one.example/y"]),
        ({"https://example.or": (ONE,), "https://example.org/too": (ONE,)}, []),
        ({"http://example.org/": (ONE,)}, []),
    ],
)  # fmt: skip
def test_beginnings(prefixes, expected):
    """An address begins with another at a slash; the longest that fits counts."""
    assert mirrored(SOURCE, (), (prefixes,)) == [*expected, SOURCE]


def test_the_order_of_addresses():
    """Maps come first, in their order, then the source, then its mirrors in the same way."""
    maps = ({"https://example.org/": (ONE,)}, {"https://example.org/": (TWO,), TWO: (ONE,)})
    assert mirrored("https://example.org/x", ("https://two.example/files/y",), maps) == [
        "https://one.example/x",
        "https://two.example/files/x",
        "https://example.org/x",
        "https://one.example/y",
        "https://two.example/files/y",
    ]


def test_credentials_of_a_source_are_for_its_server():
    """A mirror gets no credentials of the address that it is for."""
    source = "https://me:hunter22@example.org/x"
    assert mirrored(source, (), ({"https://example.org/": (ONE,)},)) == [f"{ONE}x", source]


def test_the_variable():
    """A beginning may have several mirrors, and an address may have an equals sign."""
    text = f"https://example.org/={ONE}?a=1\n https://example.org/={TWO}  http://x={ONE}"
    assert mirrors_in(text) == {"https://example.org/": (f"{ONE}?a=1", TWO), "http://x": (ONE,)}
    for wrong in ("https://example.org/", f"x={ONE}", "https://a/=file:///x", "https://a/=http://"):
        with pytest.raises(ValueError, match="is not of the form BEGINNING=ADDRESS"):
            mirrors_in(wrong)
    with pytest.raises(ValueError, match=r"x://\S") as caught:
        mirrors_in("https://a/=x://me:hunter22@h/")
    assert "hunter22" not in str(caught.value)


def test_the_global_of_a_manifest():
    """One address, or several in order."""
    assert prefix_map(None, origin=None) == {}
    assert prefix_map({ONE: TWO, TWO: [ONE, TWO]}, origin=None) == {ONE: (TWO,), TWO: (ONE, TWO)}
    for wrong, says in [
        ([ONE], "must be a table of addresses"),
        (ONE, "must be a table of addresses"),
        ({ONE: 3}, "must name addresses, not a number"),
        ({ONE: [TWO, "x"]}, 'names "x"'),
        ({"example.org": TWO}, 'names "example.org"'),
    ]:
        with pytest.raises(DeclarationError, match=says):
            prefix_map(wrong, origin=None)
