"""Secrets of recipes: what is remembered, and what a failing or chatty file may print."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from loaded import loaded_recipe

from envy import masking
from envy.declarations.definition import RecipeDefinition
from envy.declarations.sources import SourceItem
from envy.declarations.spec import RecipeSpec
from envy.errors import EnvyError, LuaScriptError, SourceLocation
from envy.execution.secrets import (
    Held,
    learning_secrets,
    mask_error,
    remember_secrets,
    secrets_in_key,
)
from envy.graph.recipe import Recipe

SERVICES = SimpleNamespace(environment={"TOKEN": "hunter2", "OTHER": "another"})


@pytest.fixture(autouse=True)
def nothing_known():
    """Values that one test remembers are unknown to the next."""
    yield
    masking.forget_all()


def recipe_with(*names, options=None):
    """A loaded recipe with these names in `secret_env`."""
    spec = RecipeSpec(
        identity="local.a@r1",
        options=options or {},
        source=SourceItem(source="a.lua", base_dir=Path("/here")),
        origin=SourceLocation(Path("envy.lua"), 1),
    )
    recipe = Recipe(key=spec.key, spec=spec)
    recipe.loaded = loaded_recipe(
        RecipeDefinition(identity=spec.identity, path=Path("a.lua"), secret_env=names)
    )
    return recipe


def test_a_key_depends_on_the_secrets_of_its_recipe_alone():
    """What another recipe declares is shown masked, but is in the key of this one."""
    remember_secrets(recipe_with("TOKEN").loaded.definition, SERVICES)
    assert masking.masked("hunter2") == "***"
    assert secrets_in_key(recipe_with(), SERVICES).masked("hunter2 another") == "hunter2 another"
    own = secrets_in_key(recipe_with("TOKEN", "UNSET"), SERVICES)
    assert own.masked("hunter2 another") == "*** another"


def test_a_secret_in_the_options_is_not_in_the_key():
    """A recipe that needs this one has passed on its own secret."""
    masking.remember(["hunter2", "another"])
    given = secrets_in_key(recipe_with(options={"token": "a hunter2"}), SERVICES)
    assert given.masked("hunter2 another") == "*** another"


def test_an_error_is_masked_in_place():
    """The message, the hint and the arguments of an error show no secret."""
    masking.remember(["hunter2"])
    error = EnvyError("cannot log in with hunter2", hint="is hunter2 right?")
    mask_error(error)
    assert (error.message, error.hint) == ("cannot log in with ***", "is *** right?")
    assert error.args == ("cannot log in with ***",)


class State:
    """A Lua state that has run a file up to some line."""

    def __init__(self, value=None):
        self.value = value

    def user_globals(self, names):
        return dict.fromkeys(names, self.value)


def held_back(emit, text=""):
    """Messages of a file that has read variables."""
    return Held(emit, text, SERVICES, has_read=lambda: True)


def test_messages_wait_until_a_file_is_loaded():
    """What a file prints before it declares its secrets is masked, too."""
    said = []
    held = held_back(lambda _level, message: said.append(masking.masked(message)))
    with learning_secrets("", SERVICES, State(), held):
        held.add("info", "has hunter2")
        assert said == []
        masking.remember(["hunter2"])
    held.add("info", "more")
    assert said == ["has ***", "more"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('error(os.getenv("TOKEN"))\nsecret_env = { "TOKEN", [[X]] }', None),
        ("secret_env = names()", ["TOKEN", 1]),
    ],
)
def test_a_file_that_fails_still_has_secrets(text, value):
    """They are those that it had set, and those that its text would have declared."""
    with (
        pytest.raises(LuaScriptError),
        learning_secrets(text, SERVICES, State(value), held_back(print)),
    ):
        raise LuaScriptError("no hunter2")
    assert masking.masked("hunter2 another") == "*** another"


def test_endless_messages_are_not_held_forever():
    """After a thousand they are passed on, without what the text of the file declares."""
    said = []
    held = held_back(
        lambda _level, message: said.append(masking.masked(message)), 'secret_env = { "TOKEN" }'
    )
    for _ in range(1001):
        held.add("info", "hunter2")
    assert said == ["***"] * 1001


def test_messages_before_any_variable_are_not_held():
    """They can hold no value of a variable; an endless file is seen to be at work."""
    said: list[str] = []
    read: list[str] = []
    held = Held(lambda _level, message: said.append(message), "", SERVICES, has_read=lambda: read)
    held.add("info", "begun")
    read.append("TOKEN")
    held.add("info", "more")
    assert said == ["begun"]
