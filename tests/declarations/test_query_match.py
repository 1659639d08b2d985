"""Queries on plain text: the rule that commands, references and warm answers share."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.declarations.key import Query, RecipeKey
from envy.declarations.query_match import find_answering, prefer_exact, split_query
from envy.errors import DeclarationError

WORDS = st.text("ab-", min_size=1, max_size=2)
DOTTED = st.lists(WORDS, min_size=1, max_size=2).map(".".join)
IDENTITIES = st.builds("{}.{}@{}".format, WORDS, DOTTED, DOTTED)
VALUES = st.sampled_from(["1", "true", "", 1, 1.5, True, False]) | st.lists(st.integers(0, 1))
OPTIONS = st.dictionaries(st.sampled_from(["o", "w"]), VALUES, max_size=2)
KEYS = st.builds(RecipeKey.of, IDENTITIES, OPTIONS)
ALIASES = st.just("") | WORDS
HEADS = st.builds("{}{}".format, DOTTED, st.just("") | DOTTED.map("@{}".format))
QUERY_OPTIONS = st.sampled_from(
    ["", "{}", "{o=1}", '{o="1"}', "{o=true}", "{o={}}", "{o={0}}", "{o=1,w=1.5}", "{o=", "{1}"]
)
QUERIES = st.builds("{}{}".format, HEADS | st.text("ab.@{", max_size=4), QUERY_OPTIONS)


def forms_of(key, alias):
    """The texts that name a package, without options, by the rule in the documentation."""
    names = {key.name, f"{key.namespace}.{key.name}"} | ({alias} if alias else set())
    return names | {f"{name}@{key.revision}" for name in names}


@given(st.lists(st.tuples(KEYS, ALIASES), max_size=6), QUERIES)
def test_text_and_parsed_queries_agree(packages, text):
    """The same packages answer, whether keys are compared as text or as parsed records."""
    found = find_answering(text, [(key.canonical, alias) for key, alias in packages])
    try:
        query = Query.parse(text)
    except DeclarationError:
        assert found == []
        return
    matching = [query.matches(key, alias=alias) for key, alias in packages]
    assert found == [position for position, matches in enumerate(matching) if matches]


@given(KEYS, ALIASES, HEADS)
def test_a_query_without_options_finds_by_name(key, alias, head):
    """It finds exactly the packages of which it is one of the names."""
    found = find_answering(head, [(key.canonical, alias)])
    assert found == ([0] if head in forms_of(key, alias) else [])


@given(KEYS, ALIASES)
def test_a_package_answers_to_each_of_its_names(key, alias):
    """Every documented form finds the package, and so does its whole key."""
    for form in {*forms_of(key, alias), key.canonical}:
        assert find_answering(form, [(key.canonical, alias)]) == [0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("python", ("python", "")),
        ("local.python@r4", ("local.python", "r4")),
        ("python@r4{version=3}", ("python", "r4")),
        *((text, None) for text in ("", "@r1", "a@", "{v=1}", "a b", "a/b", "a@b@c", "é")),
    ],
)
def test_a_query_is_a_name_and_perhaps_a_revision(query, expected):
    """A text that does not name a package is not a query."""
    assert split_query(query) == expected


def test_a_key_that_cannot_be_read_answers_nothing():
    """A query with options passes over a damaged key of the cache."""
    assert find_answering("a{v=1}", [("local.a@r1{v=", ""), ("local.a@r1{v=1}", "")]) == [1]


def test_a_whole_key_means_that_package():
    """The package without options is preferred to its variants, if it exists."""
    keys = ["local.a@r1", 'local.a@r1{v="1"}']
    assert prefer_exact("local.a@r1", keys, str) == keys[:1]
    assert prefer_exact("a", keys, str) == keys


def test_importing_it_loads_nothing():
    """Warm commands import the module, so it must cost next to nothing."""
    script = "import sys; before = set(sys.modules)\n"
    script += "import envy.declarations.query_match; print(*set(sys.modules) - before)"
    loaded = subprocess.check_output([sys.executable, "-c", script], text=True)
    own = {"envy", "envy.declarations", "envy.declarations.query_match"}
    assert set(loaded.split()) - {"__future__"} == own
