"""Finding the tests of recipes, and the differences that they report."""

import pytest

from envy.testing.drivers.recipe.comparison import are_equal, difference, shown
from envy.testing.drivers.recipe.files import (
    WrittenTest,
    find_test_files,
    package_name,
    written_tests,
)

RECIPE = 'identity = "local.a@r1"\n'


@pytest.fixture
def root(tmp_path):
    """A project with tests of recipes, and with files of others that have such names."""
    for name, text in {
        "recipes/local.a@r1.lua": RECIPE,
        "recipes/local.a@r1_test.lua": "",
        "recipes/local.b@r1.lua": RECIPE,
        "deep/er/tool/recipe.lua": RECIPE,
        "deep/er/tool/recipe_test.lua": "",
        "game/ball.lua": "local ball = {}\n",
        "game/ball_test.lua": "",
        "game/lonely_test.lua": "",
        "vendor/local.c@r1.lua": RECIPE,
        "vendor/local.c@r1_test.lua": "",
        ".hidden/local.d@r1.lua": RECIPE,
        ".hidden/local.d@r1_test.lua": "",
        "recipes/_test.lua": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("./...", ["deep/er/tool/recipe", "recipes/local.a@r1"]),
        ("...", ["deep/er/tool/recipe", "recipes/local.a@r1"]),
        ("deep/...", ["deep/er/tool/recipe"]),
        ("recipes", ["recipes/local.a@r1"]),
        ("./recipes/", ["recipes/local.a@r1"]),
        ("recipes/local.a@r1", ["recipes/local.a@r1"]),
        ("recipes/local.a@r1.lua", ["recipes/local.a@r1"]),
        ("recipes/local.a@r1_test.lua", ["recipes/local.a@r1"]),
        ("recipes/local.b@r1.lua", []),
        ("game", []),
        ("game/ball_test.lua", ["game/ball"]),  # named, so that an error can say what is missing
        ("game/ball.lua", []),
        ("vendor", ["vendor/local.c@r1"]),
        ("nowhere/...", []),
        ("nowhere", []),
    ],
)
def test_patterns(root, pattern, found):
    """Folders, files, recipes and names of packages; what belongs to no recipe is left out."""
    assert [package_name(path, root) for path in find_test_files(root, [pattern])] == found


def test_the_tests_in_a_text():
    """Functions and assignments outside of all blocks; not uses, fields and strings."""
    text = """
-- function test_comment() end
function test_a(t) local test_inner = 1; test_other = 2 end
test_b = function(t) end
local function test_hidden() end
local test_value = 1
if x then function test_in_if() end end
t.test_field = 1; print(test_b); s = "test_string = 1"
function object.test_method() end
for i = 1, 2 do test_loop = i end
test_c = { test_d = function() end }
    """
    assert written_tests(text) == [
        WrittenTest("test_a", 3),
        WrittenTest("test_b", 4),
        WrittenTest("test_hidden", 5, is_local=True),
        WrittenTest("test_value", 6, is_local=True),
        WrittenTest("test_c", 11),
    ]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (1, 1.0, True),
        (1, True, False),
        (None, False, False),
        ([1, {"a": [2]}], [1, {"a": [2]}], True),
        ([1], {"1": 1}, False),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({}, {}, True),
    ],
)
def test_equality(one, other, expected):
    """Values are compared as Lua does it, and tables by content."""
    assert are_equal(one, other) is expected
    assert are_equal(other, one) is expected


def test_values_are_shown_as_lua():
    """One line if it fits, and one for each field otherwise."""
    assert shown({"a": [1, True, None], "a b": 'q"\n\x01'}) == (
        r'{ a = { 1, true, nil }, ["a b"] = "q\"\n\u{1}" }'
    )
    assert shown({"a": "x" * 50, "b": {"c": "y" * 50}}).splitlines() == [
        "{",
        f'  a = "{"x" * 50}",',
        f'  b = {{ c = "{"y" * 50}" }},',
        "}",
    ]


def test_differences():
    """Short values side by side, tables and texts by line."""
    assert difference(1, 2) == "found:  1\nwanted: 2"
    assert difference({"a": 1, "b": 2}, {"a": 1, "b": 3}).splitlines() == [
        "- wanted", "+ found", " {", "   a = 1,", "-  b = 3,", "+  b = 2,", " }",
    ]  # fmt: skip
    assert difference("a\nb\n", "a\nc\n").splitlines()[2:] == [" a", "-c", "+b"]
    assert difference("a\n", "a") == "found:  'a\\n'\nwanted: 'a'"
    assert difference(list(range(500)), []).splitlines()[-1] == "… 303 more lines"
