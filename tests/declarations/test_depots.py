"""The depots of options, variables and manifests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.declarations.depots import Depot, checked_url, chosen_depots
from envy.errors import UsageError

A, B, C = ("file:///a", "https://h/b", "http://h/c")


def urls(depots):
    return [depot.url for depot in depots]


def test_the_order():
    """Options come first, then the variable, then the manifest; each depot once."""
    of_manifest = [Depot(url=C), Depot(url=A)]
    assert urls(chosen_depots([A], f"{B} {A}", of_manifest)) == [A, B, C]
    assert urls(chosen_depots([], "", of_manifest)) == [C, A]


def test_none_ends_the_list():
    """What comes after `none` is not used."""
    of_manifest = [Depot(url=C)]
    assert urls(chosen_depots([A, "none", B], B, of_manifest)) == [A]
    assert urls(chosen_depots([], f"{B} none", of_manifest)) == [B]
    assert urls(chosen_depots(["none"], B, of_manifest)) == []


@pytest.mark.parametrize(
    ("text", "url"),
    [("file:///a/", A), ("file://localhost/a", A), ("https://h/b//", B), ("http://h:80/", "http://h:80")],
)  # fmt: skip
def test_urls(text, url):
    """A URL loses the slashes at its end."""
    assert checked_url(text) == url


@pytest.mark.parametrize(
    "text",
    ["", "x", "/a", "file://h/a", "https://", "https://h:x/", "https://h/#f", "https://h/a b"],
)
def test_what_is_no_depot(text):
    """Anything else is an error that says why."""
    with pytest.raises(UsageError, match="--depot has"):
        chosen_depots([text], "", [])


@given(st.text(max_size=40))
def test_any_text(text):
    """Whatever the text, it is a depot or an error of the user."""
    try:
        found = chosen_depots([text], "", [])
    except UsageError as error:
        found, said = None, str(error)
    else:
        said = ""
    assert (found is None) == bool(said)
