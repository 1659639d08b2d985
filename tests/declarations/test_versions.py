"""The order of versions, constraints, and the choice of a version for one."""

import pytest
from hypothesis import given, strategies

from envy.declarations.options import OptionDeclaration, apply_declarations, parse_declarations
from envy.declarations.versions import (
    is_constraint,
    nearest_versions,
    newest,
    order_of,
    parse_constraint,
    satisfies,
)
from envy.errors import DeclarationError

ASCENDING = [
    "0.9",
    "1.0.dev2",
    "1.0a1",
    "1.0b1",
    "1.0-rc1",
    "1.0rc2",
    "1.0rc10",
    "1.0",
    "1.0w",
    "1.0.1",
    "1.0.1.2",
    "1.2",
    "1.10.2.4",
    "1.13.2",
    "2",
    "10.0",
    "2024.01.15",
]


def test_versions_sort_as_their_authors_mean_them():
    """Numbers are compared as numbers, stages are below the release, letters above it."""
    shuffled = [*ASCENDING[1::2], *ASCENDING[::2]]
    assert sorted(shuffled, key=order_of) == ASCENDING


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("v1.2", "1.2"),
        ("1", "1.0.0"),
        ("1.0-rc1", "1rc1"),
        ("1.0alpha2", "1.0a2"),
        ("1.0c1", "1.0-RC.1"),
        ("1_2", "1.2"),
        ("1.02", "1.2"),
    ],
)
def test_spellings_of_one_version_are_equal(one, other):
    """A leading v, zeros at the end, separators and names of stages do not matter."""
    assert order_of(one) == order_of(other)


@pytest.mark.parametrize(
    ("constraint", "taken"),
    [
        (">=1.0", "1.0 1.1 1.10 2.0"),
        (">1.0", "1.1 1.10 2.0"),
        (">=1.0, <2", "1.0 1.1 1.10"),
        ("<=1.1", "0.9 1.0 1.1"),
        ("==1.1", "1.1"),
        ("==v1.1.0", "1.1"),
        ("==1.*", "1.0 1.1 1.10"),
        ("!=1.*", "0.9 2.0"),
        ("!=1.1,>=1", "1.0 1.10 2.0"),
        ("~=1.1", "1.1 1.10"),
        ("~=1.1.0", "1.1"),
        (">=2.0rc1", "2.0rc1 2.0"),
        ("==2.0rc1", "2.0rc1"),
        (">=1.0rc1", "1.0 1.1 1.10 2.0"),
        (">2", ""),
    ],
)
def test_a_constraint_takes_these_versions(constraint, taken):
    """All clauses hold; a version before a release is taken only when one of it is named."""
    versions = ["0.9", "1.0", "1.1", "1.10", "2.0rc1", "2.0"]
    clauses = parse_constraint(constraint)
    assert [one for one in versions if satisfies(one, clauses)] == taken.split()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (">=", "invalid at '>='"),
        (">=1,", "invalid at ''"),
        (">= 1 2", "invalid at '>= 1 2'"),
        ("==*", "invalid at '==*'"),
        (">=1.*", "compares >= with a prefix"),
        ("~=1", "needs a version of two numbers"),
        ("=1.0", "invalid at '=1.0'"),
    ],
)
def test_what_is_no_constraint_is_an_error(text, said):
    """The error shows the part that is wrong, and how to write one."""
    with pytest.raises(DeclarationError, match="constraint") as caught:
        parse_constraint(text)
    assert said in str(caught.value)


@given(strategies.lists(strategies.text("0123456789abrcv.-", min_size=1), min_size=1, max_size=6))
def test_any_texts_have_one_order(versions):
    """Every text can be compared with every other, and the newest is among them."""
    ordered = sorted(versions, key=order_of)
    found = newest(versions)
    assert set(found) <= set(versions)
    assert all(order_of(one) <= order_of(found[0]) for one in ordered)


def test_a_version_of_many_digits_is_compared_too():
    """The number of digits has no limit."""
    assert order_of("1." + "9" * 6000) < order_of("1.1" + "0" * 6000)


def test_the_nearest_versions_share_most_of_the_beginning():
    """They are those beside the version in order, newest first."""
    assert nearest_versions("1.12.1", ["1.13.2", "1.11.1", "1.10.2.4", "2.0"], count=2) == [
        "1.13.2",
        "1.11.1",
    ]


def version(**fields):
    return OptionDeclaration(name="version", type="string", **fields)


@pytest.mark.parametrize(
    ("declaration", "asked", "taken"),
    [
        (version(known=("1.13.2", "1.11.1")), ">=1.11", "1.13.2"),
        (version(known=("1.13.2", "1.11.1")), "<1.13", "1.11.1"),
        (version(choices=("2", "10")), ">1", "10"),
        (version(choices=("1.0",), known=("2.0",)), ">=1", "1.0"),
        (version(known=("1.0", ">=weird")), ">=weird", ">=weird"),
        (version(), ">=1.0", ">=1.0"),
    ],
)
def test_an_option_takes_the_newest_version(declaration, asked, taken):
    """It is one of its choices, or of the known versions; without these, any text is a value."""
    assert apply_declarations([declaration], {"version": asked}) == {"version": taken}
    assert is_constraint(asked)


def test_a_default_may_be_a_constraint():
    """It is replaced like one that was asked for."""
    declared = parse_declarations(
        {"version": {"type": "string", "default": ">=1", "choices": ["1.0", "1.2"]}}, None
    )
    assert apply_declarations(declared, {}) == {"version": "1.2"}


@pytest.mark.parametrize(
    ("choices", "asked", "said"),
    [
        (("1.0", "1.1", "1.2", "1.3"), ">=2", "the nearest versions are 1.3, 1.2, 1.1"),
        (("1.0", "v1.0.0"), ">=1", "the newest versions are equal: 1.0, v1.0.0"),
        (("1.0",), ">=", "the constraint '>=' is invalid"),
        (("2.0rc1",), ">=1", "one before a release is taken only when it is named"),
    ],
)
def test_a_constraint_without_one_answer_is_an_error(choices, asked, said):
    """The error names the nearest versions, or those that are equal."""
    with pytest.raises(DeclarationError) as caught:
        apply_declarations([version(choices=choices)], {"version": asked})
    assert said in str(caught.value)


def test_two_equal_choices_are_an_error():
    """The recipe names one value twice."""
    with pytest.raises(DeclarationError, match=r'option version has the choice "1\.0" twice'):
        parse_declarations({"version": {"type": "string", "choices": ["1.0", "1.0"]}}, None)
