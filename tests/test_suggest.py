"""Guesses of what somebody meant."""

import pytest

from envy.suggest import did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "expected"),
    [("sorce", "source"), ("recipes", "recipe"), ("SOURCE", "source"), ("zzz", None)],
)
def test_nearest_is_the_name_that_looks_most_alike(name, expected):
    """A typo finds the name it was for, and nonsense finds none."""
    assert nearest(name, ["source", "recipe", "options"]) == expected


def test_all_names_are_listed_when_none_is_near():
    """Where nothing comes near, the author sees what there is."""
    assert did_you_mean("zzz", ["b", "a"]) == "known names: a, b"
