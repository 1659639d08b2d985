"""The line numbers of tables in the text of a file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.lua.positions import ElementPosition, count_arguments, locate_table


def test_elements_and_fields():
    """Elements, the fields of elements and the fields of the table have line numbers."""
    found = locate_table(
        """requires_envy = ">=0.4"
packages = {
  "envy.ninja@r1", "local.tools@r2",
  {
    recipe = "local.python@r4",
    options = { version = "3.13" }, ["alias"] = "py"
  },
  extra = 1;
  { recipe = "x" },
}
""",
        "packages",
    )
    assert found is not None
    assert found.line == 2
    assert found.elements == (
        ElementPosition(3),
        ElementPosition(3),
        ElementPosition(4, {"recipe": 5, "options": 6, "alias": 6}),
        ElementPosition(9, {"recipe": 9}),
    )
    assert found.fields == {"extra": 8}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "packages = nil",
        "packages = make { 1 }",
        "local packages = { 1 }",
        "x.packages = { 1 }",
        "x, packages = 1, { 1 }",
        "if a then packages = { 1 } end",
        "function f() packages = { 1 } end",
        "x = { packages = { 1 } }",
        "-- packages = { 1 }",
        "--[[ packages = { 1 } ]]",
        "x = [[ packages = { 1 } ]]",
        "x = 'packages = { 1 }'",
        "packages = { 1",
        "packages == { 1 }",
    ],
)
def test_not_an_assignment(text):
    """Only an assignment to the global variable outside all blocks is found."""
    assert locate_table(text, "packages") is None


@pytest.mark.parametrize(
    ("inner", "lines"),
    [
        ("", []),
        ("1,\n2;\n3", [1, 2, 3]),
        ('\'a,}\',\n"{\\"",\n[==[ ]] }, ]==],\n4', [1, 2, 3, 4]),
        ("1, -- }, 2\n--[[ 3,\n ]] 4", [1, 3]),
        ("f { a = 1, b = 2 },\n(1 + 2),\nt[1]", [1, 2, 3]),
        ("function(a, b)\n local t = { 1, 2 } return a, b\nend,\n4", [1, 4]),
        ("function() for i = 1, 2 do x, y = 1, 2 end if a then return 1, 2 end end, 2", [1, 1]),
        ("function() repeat local a, b = 1, 2 until c, 2 end", [1]),
        ("[1 + 2] = 3,\n[t[1]] = 4,\n5", [3]),
        ("1 .. 2,\na <= b,\nx == y", [1, 2, 3]),
        ("'two\\\nlines',\n3", [1, 3]),
    ],
)
def test_positions(inner, lines):
    """Strings, comments, calls and functions do not change which elements are found."""
    found = locate_table(f"packages = {{{inner}\n}}", "packages")
    assert found is not None
    assert [element.line for element in found.elements] == lines


def test_the_last_assignment_wins():
    """The positions are those of the last assignment, as when the file runs."""
    found = locate_table("t = { 1 }\nt = { 1, 2 }\nlocal t = { 3 }", "t")
    assert found is not None
    assert (found.line, len(found.elements)) == (2, 2)


@given(st.text(alphabet="packages={},;[]\"'\n-= \\x1"))
def test_any_text(text):
    """No text raises an exception."""
    locate_table("packages = {" + text, "packages")


_ITEM = st.sampled_from(
    ["'a'", "1", "{ x = 1 }", "{}", "f(1, 2)", "function() return 1, 2 end", "[[\n]]", "x.y", "-1"]
)


@given(st.lists(_ITEM), st.sampled_from([", ", ";\n", " --c\n,"]))
def test_element_count(items, separator):
    """The number of elements is the number that the author wrote."""
    found = locate_table(f"t = {{ {separator.join(items)} }}", "t")
    assert found is not None
    assert len(found.elements) == len(items)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ('ctx.exec { "a", nil }', 2),
        ('ctx.exec({ "a", x.y, b[1], })', 3),
        ('ctx.exec { "a", -- }\n [[b, c]]; "d" }', 3),
        ('ctx.exec { "a", os.getenv("X") }', 2),
        ('ctx.exec { "a", table.unpack(b) }', 1),
        ('ctx.exec { "a", ... }', 1),
        ('ctx.exec { "a", f "b" }', 1),
        ('ctx.exec { "a", f { "b" } }', 1),
        ('ctx.exec { "a", function() return 1, 2 end }', 2),
        ("ctx.exec { }", 0),
        ("ctx.exec(argv)", None),
        ('ctx.exec { "a" } ctx.exec { "b" }', None),
        ('ctx.exec { "a"', None),
        ('\nctx.exec { "a" }', None),
    ],
)
def test_the_arguments_of_a_call_are_counted(text, count):
    """Elements that may stand for several values are not counted where they are the last."""
    assert count_arguments(text, 1, "exec") == count
    assert count_arguments("-- before\n" + text, 2, "exec") == count
