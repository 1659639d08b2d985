from pathlib import Path

import pytest

from envy.declarations.entries import parse_dependency, parse_spec
from envy.declarations.identity_suggestion import similar_identity
from envy.errors import InvalidIdentity, SourceLocation

KNOWN = frozenset({"envy.python@r1", "envy.ninja@r1", "local.my.tool@r2"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("py", "envy.python@r1"),
        ("python", "envy.python@r1"),
        ("envy.python", "envy.python@r1"),
        ("python@r1", "envy.python@r1"),
        ("pyhton", "envy.python@r1"),
        ("envy.nijna@", "envy.ninja@r1"),
        ("my.tool", "local.my.tool@r2"),
        ('ninja{v="1"}', "envy.ninja@r1"),
        *((text, "") for text in ("", "p", "gcc", "../../evil")),
    ],
)
def test_a_part_of_a_known_identity_is_completed(text, expected):
    """A name without its namespace or revision, or with a typo, leads to the whole identity."""
    assert similar_identity(text, KNOWN) == expected


def error_for(entry, folder):
    """The message about an invalid entry of `packages`."""
    with pytest.raises(InvalidIdentity) as caught:
        parse_spec(entry, origin=SourceLocation(Path("envy.lua"), 2), base_dir=folder)
    return str(caught.value)


def test_the_message_suggests_a_shipped_recipe(tmp_path):
    """The error says what is wrong, and names the identity that may have been meant."""
    assert error_for("py", tmp_path).startswith(
        'envy.lua:2: "py" is not a valid identity: it has no revision; did you mean envy.python@r1?'
    )


def test_the_message_suggests_a_recipe_of_the_project(tmp_path):
    """A recipe file in the project's folder is known as well."""
    (tmp_path / "local.gears@r3.lua").touch()
    message = error_for({"recipe": "local.gears", "options": {}}, tmp_path)
    assert "it has no revision; did you mean local.gears@r3?" in message


def test_an_inner_entry_gets_one_suggestion(tmp_path):
    """An error that passes through several entries is not extended by each of them."""
    entry = {"recipe": "ninja", "weak": {"recipe": "envy.ninja"}}
    with pytest.raises(InvalidIdentity) as caught:
        parse_dependency(entry, origin=SourceLocation(Path("r.lua"), 2), base_dir=tmp_path)
    assert str(caught.value).count("did you mean envy.ninja@r1?") == 1


def test_nothing_similar_is_not_suggested(tmp_path):
    """Without a similar identity, the hint shows the form of one."""
    message = error_for("qqqq", tmp_path)
    assert "did you mean" not in message
    assert "hint: an identity is namespace.name@revision" in message
