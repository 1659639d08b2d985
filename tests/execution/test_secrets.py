"""Secrets: which texts are masked, and where."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from loaded import loaded_recipe

from envy.declarations.definition import RecipeDefinition
from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.errors import EnvyError, SourceLocation
from envy.execution.secrets import mask_error, masked, masked_text, secrets_of
from envy.graph.recipe import Recipe

KEY_FILE = "BEGIN\nabcd\nxyz\nEND"


def secrets_for(environment, *names):
    """The secrets of a recipe with these names in `secret_env`."""
    spec = RecipeSpec(
        identity="local.a@r1",
        source=SourceItem(source="a.lua", base_dir=Path("/here")),
        origin=SourceLocation(Path("envy.lua"), 1),
    )
    recipe = Recipe(key=spec.key, spec=spec)
    recipe.loaded = loaded_recipe(
        RecipeDefinition(identity=spec.identity, path=Path("a.lua"), secret_env=names)
    )
    return secrets_of(recipe, SimpleNamespace(environment=environment))


@pytest.mark.parametrize(
    ("environment", "names", "expected"),
    [
        ({"TOKEN": "abc"}, (), ()),
        ({}, ("TOKEN",), ()),
        ({"TOKEN": ""}, ("TOKEN",), ()),
        ({"TOKEN": "abc", "OTHER": "z"}, ("TOKEN",), (b"abc",)),
        ({"A": "abc", "B": "abcdef"}, ("A", "B"), (b"abcdef", b"abc")),
        ({"KEY": KEY_FILE}, ("KEY",), (KEY_FILE.encode(), b"BEGIN", b"abcd")),
        ({"TOKEN": "\udcff"}, ("TOKEN",), (b"\xff",)),
    ],
)
def test_secrets_of_a_recipe(environment, names, expected):
    """Values of `secret_env` and their longer lines are secrets, longest first."""
    assert secrets_for(environment, *names) == expected


def test_a_recipe_that_is_not_loaded_has_no_secrets():
    """Until its file is loaded, a recipe has not declared what is secret."""
    recipe = SimpleNamespace(loaded_or_none=None)
    assert secrets_of(recipe, SimpleNamespace(environment={"TOKEN": "abc"})) == ()


@pytest.mark.parametrize(
    ("text", "expected"), [("abc", "***"), ("xabcabc!", "x******!"), ("ab c", "ab c"), ("", "")]
)
def test_text_is_masked(text, expected):
    """Each secret in a text becomes the mask, as bytes and as text."""
    assert masked(text.encode(), (b"abc",)) == expected.encode()
    assert masked_text(text, (b"abc",)) == expected


def test_a_longer_secret_leaves_no_rest():
    """A secret that starts like another is masked whole."""
    assert masked_text("abcdef", (b"abcdef", b"abc")) == "***"


def test_an_error_is_masked_in_place():
    """The message, the hint and the arguments of an error show no secret."""
    error = EnvyError("cannot log in with abc", hint="is abc right?")
    mask_error(error, (b"abc",))
    assert (error.message, error.hint) == ("cannot log in with ***", "is *** right?")
    assert error.args == ("cannot log in with ***",)
