"""Long values in the explanation of a rebuild."""

import pytest

from envy.cache.explanation import KeyRecord, changes

LONG = "x" * 300


def changed(before, after):
    """Return the line about a changed variable."""
    old, new = (
        KeyRecord(
            ingredients={"identity": "local.a@r1", "pass_env": {"V": value}},
            notes={},
        )
        for value in (before, after)
    )
    [line] = changes(old, new)
    return line.removeprefix("variable V (pass_env): ")


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("1", "2", "1 → 2"),
        (LONG + "1", LONG + "2", "…" + "x" * 20 + "1 → …" + "x" * 20 + "2"),
        (LONG, LONG + "2", "…" + "x" * 20 + " → …" + "x" * 20 + "2"),
        ("a" + LONG, "b" + LONG, "a" + "x" * 98 + "… → b" + "x" * 98 + "…"),
        (LONG, "", "x" * 99 + "… → none"),
    ],
    ids=["short", "last", "longer", "first", "none"],
)
def test_long_values_show_where_they_differ(before, after, line):
    """The shown part begins shortly before the first difference."""
    assert changed(before, after) == line
