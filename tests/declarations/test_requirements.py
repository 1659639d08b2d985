"""What a recipe declares of the requirements that it resolves."""

from pathlib import Path

import pytest

from envy.declarations.requirements import Requirements, parse_requirements
from envy.errors import DeclarationError, SourceLocation

ORIGIN = SourceLocation(Path("recipe.lua"), 3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ({}, Requirements()),
        (["six", " ", ""], Requirements(("six",))),
        ({"lines": ["six"], "python": "3.12"}, Requirements(("six",), "3.12")),
        ({"lines": {}}, Requirements()),
    ],
)
def test_shapes(value, expected):
    """An array of lines, with or without the oldest Python; nil says that nothing is known."""
    assert parse_requirements(value, ORIGIN) == expected


def test_what_is_open():
    """Lines with digests are not resolved; without a Python, the oldest that envy runs on."""
    assert Requirements(("six",)).is_open
    assert not Requirements().is_open
    assert not Requirements(("six==1 --hash=sha256:0",)).is_open
    assert Requirements(("six",)).subject == "python>=3.11"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("six", "`requirements` must be an array of lines, not a string"),
        ([1], "`requirements`"),
        (["six", "\udcff"], r'has a line that is not UTF-8 text: "\\255"'),
        (["six\0"], r'has a line that is not UTF-8 text: "six\\0'),
        ({"lines": ["six"], "pythn": "3.12"}, 'has no field "pythn"'),
        ({"lines": ["six"], "python": "2"}, 'for Python "2", which is not a version such as'),
    ],
)
def test_mistakes(value, message):
    """Each mistake says what is wrong, and where."""
    with pytest.raises(DeclarationError, match=message) as caught:
        parse_requirements(value, ORIGIN)
    assert caught.value.origin == ORIGIN
