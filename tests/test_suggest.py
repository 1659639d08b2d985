"""Suggestions of names for misspelt ones."""

import pytest

from envy.suggest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sorce", "source"), ("recipes", "recipe"), ("SOURCE", "source"), ("zzz", None)],
)
def test_nearest_is_the_name_that_looks_most_alike(name, expected):
    """A typo leads to the intended name, and nonsense to none."""
    assert nearest(name, ["source", "recipe", "options"]) == expected


def test_all_names_are_listed_when_none_is_near():
    """If no name is similar, all names are listed."""
    assert did_you_mean("zzz", ["b", "a"]) == "known names: a, b"
