"""What recipes declare that they take."""

from pathlib import Path

import pytest

from envy.declarations.options import apply_declarations, parse_declarations
from envy.errors import DeclarationError, SourceLocation

ORIGIN = SourceLocation(Path("r.lua"), 3)
ASKED = SourceLocation(Path("envy.lua"), 9)


def apply(table, given):
    return apply_declarations(parse_declarations(table, ORIGIN), given, origin=ASKED)


def test_defaults_are_filled_in():
    """A given value wins, then the default; an option without either is left out."""
    table = {
        "version": {"type": "string", "default": "1.0"},
        "jobs": {"type": "integer", "default": 2},
        "debug": {"type": "boolean"},
    }
    assert apply(table, {"jobs": 4}) == {"version": "1.0", "jobs": 4}


def test_false_is_a_default():
    """`default = false` is a default."""
    assert apply({"debug": {"type": "boolean", "default": False}}, {}) == {"debug": False}


def test_without_declarations_any_option_is_accepted():
    """Only a recipe that declares options is strict about them."""
    assert apply_declarations(None, {"x": 1}) == {"x": 1}


def test_empty_declarations_accept_no_option():
    """`options = {}` declares that there are no options."""
    with pytest.raises(DeclarationError, match="takes no options"):
        apply({}, {"x": 1})


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["x", ""], [1, True, []]),
        ("integer", [1, -1], [1.0, True, "1"]),
        ("number", [1, 1.5], [True, "1"]),
        ("boolean", [True, False], [1, "true"]),
        ("table", [{"a": 1}, {}, [1]], ["x", 1]),
        ("array", [[1], {}, ["a", {"b": 1}]], [{"a": 1}, "x"]),
    ],
)
def test_types(kind, good, bad):
    """A value of another type than the declared one is an error."""
    for value in good:
        assert apply({"x": {"type": kind}}, {"x": value}) == {"x": value}
    for value in bad:
        with pytest.raises(DeclarationError, match=r"^envy.lua:9: option x must be an? " + kind):
            apply({"x": {"type": kind}}, {"x": value})


@pytest.mark.parametrize(
    ("table", "given", "part"),
    [
        ({"version": {"type": "string"}}, {"verison": "1"}, 'did you mean "version"?'),
        ({"x": {"type": "string", "required": True}}, {}, "needs the option x, a string"),
        ({"x": {"type": "string", "choices": ["a", "b"]}}, {"x": "c"}, 'choices are "a", "b"'),
        ({"x": {"type": "string"}}, {"x": 3}, 'x = "3"'),
        ({"x": {"type": "array"}}, {"x": "a"}, 'x = { "a" }'),
    ],
)
def test_invalid_option_is_an_error_in_the_entry(table, given, part):
    """The location of the error is the entry, and the hint says what to write."""
    with pytest.raises(DeclarationError) as caught:
        apply(table, given)
    assert part in str(caught.value)
    assert caught.value.origin == ASKED


def test_number_matches_a_choice_by_value():
    """1 is among the choices 1.0 and 2.0."""
    assert apply({"x": {"type": "number", "choices": [1.0, 2.0]}}, {"x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ("x", "`options` must be a table of declarations, not a string"),
        ([{"type": "string"}], "`options` must be"),
        ({1: {"type": "string"}, "x": {"type": "string"}}, "without a name"),
        ({"x": "string"}, 'x = { type = "string" }'),
        ({"x": {"typ": "string"}}, 'did you mean "type"?'),
        ({"x": {"default": 1}}, "option x needs a `type`"),
        ({"x": {"type": "text"}}, "unknown type, 'text'"),
        ({"x": {"type": "string", "required": "yes"}}, "`required` must be true or false"),
        ({"x": {"type": "string", "required": True, "default": "a"}}, "and has a default"),
        ({"x": {"type": "string", "default": 1}}, "the default of option x must be a string"),
        ({"x": {"type": "string", "choices": ["a"], "default": "b"}}, "not among its choices"),
        ({"x": {"type": "string", "choices": {}}}, "`options.x.choices` must be"),
        ({"x": {"type": "string", "known": ["a"]}}, "`options.x.known` must be a table with a"),
        ({"x": {"type": "integer", "known": {"1": {}}}}, "option x has `known` values, and is not"),
        ({"x": {"type": "string", "choices": [1]}}, "a choice of option x must be a string"),
        ({"version": {"type": "number"}}, "3.10 would become 3.1"),
        ({"x": {"type": "table", "default": {"f": print}}}, "`options.x.f` is a function"),
    ],
)
def test_invalid_declaration_is_an_error(table, part):
    """The location of the error is the recipe file."""
    with pytest.raises(DeclarationError) as caught:
        parse_declarations(table, ORIGIN)
    assert part in str(caught.value)
    assert caught.value.origin == ORIGIN
