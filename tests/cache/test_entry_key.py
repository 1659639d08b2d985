"""The entry key and its ingredients."""

import dataclasses
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cache.entry_key import Ingredients, as_json, canonical_identity_hash, entry_key

# What text from files can be: no surrogates but those that stand for bytes that are not UTF-8.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"]) | st.integers(0xDC80, 0xDCFF).map(chr),
    max_size=8,
)
MAPPING = st.dictionaries(TEXT, TEXT, max_size=3)
MAYBE = st.dictionaries(TEXT, TEXT | st.none(), max_size=3)
TEXTS = st.lists(TEXT, max_size=3).map(tuple)
INGREDIENTS = st.builds(
    Ingredients,
    identity=TEXT,
    options_text=TEXT,
    recipe_digest=TEXT,
    modules=MAPPING,
    reads_files=MAYBE,
    reads_variables=MAYBE,
    inputs=MAPPING,
    sources=TEXTS,
    platform=TEXT,
    abi=TEXT,
    host=MAPPING,
    pass_env=MAYBE,
    shell=TEXT,
    dependencies=TEXTS.map(lambda keys: tuple(sorted(keys))),
)


@settings(deadline=None, max_examples=50)
@given(INGREDIENTS, INGREDIENTS)
def test_injective(one, other):
    """Two sets of ingredients have the same key only if they are equal."""
    assert (entry_key(one) == entry_key(other)) == (one == other)


@settings(deadline=None, max_examples=50)
@given(INGREDIENTS)
def test_every_ingredient_counts(ingredients):
    """A change of any one ingredient changes the key."""
    for field in dataclasses.fields(Ingredients):
        value = getattr(ingredients, field.name)
        if isinstance(value, str):
            changed = value + "x"
        elif isinstance(value, tuple):
            changed = (*value, "x")
        else:
            changed = {**value, "a name that was not there": "x"}
        other = dataclasses.replace(ingredients, **{field.name: changed})
        assert entry_key(ingredients) != entry_key(other), field.name


@settings(deadline=None, max_examples=50)
@given(INGREDIENTS)
def test_json_holds_everything(ingredients):
    """The JSON contains every ingredient, so that a changed key can be explained."""
    row = json.loads(as_json(ingredients))
    for field in dataclasses.fields(Ingredients):
        value = getattr(ingredients, field.name)
        assert row[field.name] == (list(value) if isinstance(value, tuple) else value)


def test_order_does_not_matter():
    """Dependencies and mappings count as sets: their order does not matter."""
    one = Ingredients(identity="a.b@1", dependencies=("k1", "k2"), host={"cc": "1", "ld": "2"})
    other = Ingredients(identity="a.b@1", dependencies=("k2", "k1"), host={"ld": "2", "cc": "1"})
    assert entry_key(one) == entry_key(other)


def test_order_of_sources_matters():
    """Sources are a list: a different order is a different fetch."""
    one = Ingredients(identity="a.b@1", sources=("s1", "s2"))
    other = Ingredients(identity="a.b@1", sources=("s2", "s1"))
    assert entry_key(one) != entry_key(other)


def test_unset_is_not_empty():
    """A variable that is not set differs from one that is empty."""
    unset = Ingredients(identity="a.b@1", reads_variables={"CC": None})
    empty = Ingredients(identity="a.b@1", reads_variables={"CC": ""})
    assert entry_key(unset) != entry_key(empty)


def test_stays_the_same():
    """A release that changes every key does so deliberately, by changing this line."""
    assert entry_key(Ingredients(identity="local.gn@r0")) == (
        "0492275da66fb5a9d67e32577202e5f7a490a022e236ae86cba47c817221d45f"
    )


def test_identity_hash():
    """The hash of a canonical key is that of its text, with any bytes in it."""
    assert len(canonical_identity_hash('a.b@1{v="\udcff"}')) == 64
    assert canonical_identity_hash("a.b@1") != canonical_identity_hash("a.b@2")
