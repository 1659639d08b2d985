"""Identities, keys and queries."""

import copy
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.declarations.key import LONGEST_IDENTITY, Query, RecipeKey, validate_identity
from envy.errors import DeclarationError

WORDS = st.text("abZ09_+-", min_size=1, max_size=4)
DOTTED = st.lists(WORDS, min_size=1, max_size=3).map(".".join)
IDENTITIES = st.builds("{}.{}@{}".format, WORDS, DOTTED, DOTTED)
VALUES = st.text(max_size=4) | st.integers(-5, 5) | st.booleans() | st.lists(st.integers(0, 3))
OPTIONS = st.dictionaries(st.sampled_from(["a", "b", "with-x", "end"]), VALUES, max_size=3)
KEYS = st.builds(RecipeKey.of, IDENTITIES, OPTIONS)

GOOD = ["local.python@r4", "a.b@c", "local.a.b@1.0", "x-y.c++@r1", "A_1.z@2024-01"]
BAD = [
    *("", "python", "local.python", "python@r4", ".b@c", "a.@c", "a.b@", "a.b@c@d"),
    *("local.../../evil@v1", "a..b@c", "a.b.@c", "a.b@.", "a.b@..", "a.b@c.", "../a.b@c"),
    *("a/b.c@d", "a\\b.c@d", "a.b@c\n", "a.b@c d", "é.b@c", "a.b@c{x=1}", "a.b@\0", "٣.b@c"),
    "a." + "b" * LONGEST_IDENTITY + "@c",
]


@pytest.mark.parametrize("identity", GOOD)
def test_identity_is_accepted(identity):
    """Letters, digits, `_`, `-`, `+`, and single dots in name and revision are allowed."""
    validate_identity(identity)


@pytest.mark.parametrize("identity", BAD)
def test_invalid_identity_is_refused(identity):
    """An identity becomes the name of a directory, so only safe characters are allowed."""
    with pytest.raises(DeclarationError, match="is not a valid identity"):
        validate_identity(identity)


@given(st.text(st.characters() | st.sampled_from("./\\@~"), max_size=12))
def test_no_accepted_identity_leaves_its_directory(text):
    """Every accepted text is one plain component of a path."""
    try:
        validate_identity(text)
    except DeclarationError:
        return
    assert not set(text) & set("/\\:\0\n ~")
    assert ".." not in text
    assert not text.startswith(".")


def test_parts():
    """The namespace ends at the first dot, the name at the first @ after it."""
    key = RecipeKey.of("local.a.b@1.0", {"version": "3"})
    assert (key.namespace, key.name, key.revision) == ("local", "a.b", "1.0")
    assert str(key) == key.canonical == 'local.a.b@1.0{version="3"}'
    assert key.options_text == '{version="3"}'
    assert key.options == {"version": "3"}


def test_no_options_leave_no_text():
    """An empty table of options is the same as no options."""
    assert RecipeKey.of("local.a@r1", {}).canonical == "local.a@r1"
    assert RecipeKey.of("local.a@r1", {}) == RecipeKey.parse("local.a@r1{}")


@given(KEYS)
def test_key_can_be_parsed(key):
    """Parsing the canonical text returns an equal key."""
    again = RecipeKey.parse(key.canonical)
    assert again == key
    assert hash(again) == hash(key)
    assert (again.identity, again.options_text) == (key.identity, key.options_text)


@given(KEYS, KEYS)
def test_keys_compare_by_canonical_text(one, other):
    """Equality and order are those of the text."""
    assert (one == other) == (one.canonical == other.canonical)
    assert (one < other) == (one.canonical < other.canonical)


def test_key_is_immutable():
    """A key that is in a table must not change."""
    key = RecipeKey.of("local.a@r1")
    with pytest.raises(AttributeError):
        key.identity = "local.b@r1"
    with pytest.raises(TypeError):
        key.options["a"] = 1


def test_key_does_not_change_with_its_options():
    """Later changes of the table of options do not affect the key."""
    options = {"a": 1}
    key = RecipeKey.of("local.a@r1", options)
    options["b"] = 2
    assert key.options == {"a": 1}


def test_key_can_be_copied():
    """Copies of records with keys are equal to the records."""
    key = RecipeKey.of("local.a@r1", {"a": [1]})
    assert copy.deepcopy(key) == key


def test_float_version_is_refused():
    """The error about `version = 3.10` says what to write instead."""
    with pytest.raises(DeclarationError, match="in quotes"):
        RecipeKey.of("local.a@r1", {"version": 3.1})


KEY = RecipeKey.of(
    "local.my.python@r4", {"version": "3.13", "jobs": 2, "ssl": True, "tags": ["a"], "none": {}}
)


@pytest.mark.parametrize(
    "text",
    [
        *("my.python", "local.my.python", "my.python@r4", "local.my.python@r4"),
        KEY.canonical,
        "my.python{version=3.13}",
        "my.python{version='3.13',jobs=2}",
        "my.python@r4{ssl=true}",
        "my.python{tags={a}}",
        "my.python{none={}}",
        "my.python{}",
    ],
)
def test_query_matches(text):
    """Every part of the query must match; other parts of the key may be anything."""
    assert Query.parse(text).matches(KEY)


@pytest.mark.parametrize(
    "text",
    [
        *("python", "my", "local", "py", "my.python@r5", "other.my.python", "my.python@r"),
        "my.python{version=3}",
        'my.python{jobs="2"}',
        "my.python{jobs=3}",
        "my.python{ssl=1}",
        "my.python{jobs=true}",
        "my.python{tags={a,b}}",
        "my.python{tags={b}}",
        "my.python{missing=1}",
        "my.python{version={}}",
    ],
)
def test_query_does_not_match(text):
    """Part of a name is not the name, and a quoted number is a string."""
    assert not Query.parse(text).matches(KEY)


def test_word_of_a_query_matches_strings_and_numbers():
    """`{version=3.13}` matches the string and the number."""
    query = Query.parse("a{v=3.13}")
    assert query.matches(RecipeKey.of("l.a@1", {"v": "3.13"}))
    assert query.matches(RecipeKey.of("l.a@1", {"v": 3.13}))
    assert not query.matches(RecipeKey.of("l.a@1", {"v": 3.1}))


def test_alias_of_a_recipe_file_matches_like_a_name():
    """The alias replaces the name, and a revision and options may follow."""
    key = RecipeKey.of("local.python@r4", {"v": "1"})
    assert Query.parse("py{v=1}").matches(key, alias="py")
    assert Query.parse("py@r4").matches(key, alias="py")
    assert not Query.parse("py").matches(key)


@given(KEYS)
def test_key_answers_to_all_its_own_queries(key):
    """Canonical text, identity and every shorter form match the key."""
    forms = [key.canonical, key.identity, f"{key.namespace}.{key.name}", key.name]
    forms += [f"{key.name}@{key.revision}", key.name + key.options_text]
    assert all(Query.parse(form).matches(key) for form in forms)


def test_query_says_whether_it_has_options():
    """An error may suggest to add options."""
    assert Query.parse("a{v=1}").has_options
    assert not Query.parse("a").has_options
    assert Query.parse("a{v=1}").text == "a{v=1}"


@pytest.mark.parametrize("text", ["", "@r1", "a@", "{v=1}", "a b", "a{", "a{v=1", "a{v=1}b", "a/b"])
def test_broken_query_is_an_error(text):
    """A text that is not a query is refused."""
    with pytest.raises(DeclarationError):
        Query.parse(text)


def test_import_is_light():
    """Every query needs keys, so importing them loads no large module."""
    script = "import sys, envy.declarations.key; print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True)
    heavy = {
        "lupa",
        "difflib",
        "json",
        "envy.lua",
        "envy.declarations.sources",
        "subprocess",
        "asyncio",
    }
    assert not heavy & set(loaded.split())
