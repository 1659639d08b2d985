"""Excerpts of long texts."""

from hypothesis import given
from hypothesis import strategies as st

from envy.testing.excerpt import Excerpt

PIECES = st.lists(st.text("ab\n", min_size=1, max_size=9), max_size=60)


@given(PIECES, st.integers(2, 600))
def test_both_ends_are_kept_and_the_gap_is_counted(pieces, limit):
    """A short text is kept; of a long text, at most the limit and one piece at each end."""
    excerpt = Excerpt(limit)
    for piece in pieces:
        excerpt.add(piece)
    whole, kept = "".join(pieces), "".join(excerpt)
    if len(whole) <= limit // 2:
        assert kept == whole
    if kept == whole:
        return
    head, gap, tail = kept.partition("\n... envy left out ")
    number, _, tail = tail.partition(" characters of output ...\n")
    assert gap
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + int(number) + len(tail) == len(whole)
    assert len(head) + len(tail) <= limit + 2 * 9
