"""The names of tests: each text has a name of its own, which tells what the text was."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from envy.testing.drivers.projects.names import is_lossy, raw_name, test_name, unequal

TEXTS = st.text("%25F/ \n\\n a\ud800", max_size=8)


@settings(max_examples=200)
@given(TEXTS, TEXTS)
@example("a/b", "a%2Fb")
@example("a%2Fb", "a%252Fb")
@example("a%25", "a%2525")
@example("a\n", "a\\n")
@example(" a", "a")
@example("x" * 600 + "a", "x" * 600 + "b")
@example("", "(no name)")
def test_different_texts_have_different_names(one, other):
    """Slashes, spaces, line ends and what is beyond the longest name are not lost."""
    assert (test_name(one) == test_name(other)) == (one == other)
    assert is_lossy(test_name(one)) or raw_name(test_name(one)) == one


def test_names_are_readable():
    """Most of them are the texts."""
    assert test_name("a/b [100%]") == "a%2Fb [100%]"
    assert test_name("a\nb").startswith("a\\nb…")
    assert len(test_name("x" * 600)) == 500


def test_equal_names_get_numbers():
    """The first one keeps its name, and no number is one that another name has."""
    assert unequal(["a", "b", "a", "a#01", "a"]) == ["a", "b", "a#02", "a#01", "a#03"]
