"""Misspelt globals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.declarations.typos import distance, misspelt

FIELDS = frozenset({"fetch", "install", "options", "host"})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("fetch", "fetch", 0), ("fetch", "fecth", 1), ("a", "", 1), ("patch", "fetch", 2)],
)
def test_distance_counts_changes(one, other, expected):
    """Each added, dropped, replaced or swapped letter counts as one."""
    assert distance(one, other) == expected


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_distance_is_symmetric(one, other):
    """It does not matter which of two words is the misspelt one."""
    assert distance(one, other) == distance(other, one)


@pytest.mark.parametrize("name", ["instal", "isntall", "installs", "Install", "option"])
def test_near_global_is_reported(name):
    """A global within two changes of a field is probably meant to be it."""
    assert [found for found, _ in misspelt({name: "x"}, FIELDS)] == [name]


@pytest.mark.parametrize("name", ["helper", "hash", "x", "destination_folder"])
def test_other_globals_are_let_be(name):
    """A recipe may have globals of its own."""
    assert list(misspelt({name: "x"}, FIELDS)) == []


def test_field_that_is_there_is_not_meant_by_another_global():
    """`patch` beside a `fetch` is a name of its own."""
    assert list(misspelt({"patch": 1, "fetch": 1}, FIELDS)) == []
