"""Events wait until it is known which values of the manifest are secret."""

from types import SimpleNamespace

import pytest

from envy import masking
from envy.declarations.key import RecipeKey
from envy.engine.undecided import Undecided
from envy.events import EventBus


@pytest.fixture(autouse=True)
def nothing_known():
    """Values that one test remembers are unknown to the next."""
    yield
    masking.forget_all()


class Listener:
    """Notes the messages that it receives."""

    def __init__(self):
        self.messages = []

    def on_event(self, stamped):
        self.messages.append(stamped.event.message)

    def close(self):
        self.messages.append("closed")


@pytest.fixture
def listener():
    return Listener()


@pytest.fixture
def bus(listener):
    return EventBus([listener])


def recipe(value, *, is_loaded):
    """A recipe that the manifest gave a value as an option."""
    key = RecipeKey.of("local.a@r1", {"option": value})
    return SimpleNamespace(key=key, loaded_or_none="loaded" if is_loaded else None)


def test_events_wait_for_the_recipes(bus, listener):
    """Then what a loaded recipe has declared as secret is masked, and all else is shown."""
    undecided = Undecided(bus)
    undecided.manifest_read({})
    bus.log("info", "first")
    undecided.manifest_read({"A": "hunter2"})
    bus.log("info", "has hunter2 and public")
    undecided.manifest_read({"A": "hunter2", "B": "public", "C": None})
    assert listener.messages == ["first"]
    masking.remember(["hunter2"])
    undecided.decide([recipe("public", is_loaded=True)])
    undecided.decide([recipe("public", is_loaded=False)])
    bus.log("info", "more")
    assert listener.messages == ["first", "has *** and public", "more"]


def test_events_do_not_wait_without_variables(bus, listener):
    """A manifest that reads nothing that could be secret delays nothing."""
    undecided = Undecided(bus)
    bus.log("info", "x")
    undecided.manifest_read({"A": "abc", "B": None})
    assert listener.messages == ["x"]


def test_the_key_of_an_unknown_recipe_may_be_secret(bus, listener):
    """A recipe that is not loaded, perhaps never, may have declared it."""
    undecided = Undecided(bus)
    undecided.manifest_read({"A": "hunter2", "B": "public"})
    bus.log("info", "hunter2 public")
    undecided.decide([recipe("hunter2", is_loaded=False)])
    assert listener.messages == ["*** public"]


def test_an_early_end_shows_no_value(bus, listener):
    """If nothing can be decided any more, every value counts as secret."""
    Undecided(bus).manifest_read({"A": "hunter2", "B": "public"})
    bus.log("info", "hunter2 public")
    bus.close()
    assert listener.messages == ["*** ***", "closed"]
