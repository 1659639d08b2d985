"""Conversion of values between Lua and Python."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envy.errors import DeclarationError, InternalError
from envy.lua.runtime import LuaFunction, LuaOpaque

_LEAVES = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=["Cs"])),
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(st.text("abc_", max_size=3), inner)
    ),
    max_leaves=12,
)


@given(value=_VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_round_trip(bench, value):
    """A value passed to Lua and back is unchanged, types included."""
    state = bench.load("function same(x) return x end")
    back = state.call(state.user_globals()["same"], value)
    assert repr(_sorted(value)) == repr(back)


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("nil", None),
        ("{}", {}),
        ("{ 1, 2 }", [1, 2]),
        ("{ 1, 2.0 }", [1, 2.0]),
        ("{ b = 1, a = 2 }", {"a": 2, "b": 1}),
        ("{ 'x', a = 1 }", {1: "x", "a": 1}),
        ("{ [1] = 'a', [3] = 'c' }", {1: "a", 3: "c"}),
        ("{ [0] = 'a', 'b' }", {0: "a", 1: "b"}),
        ("'\\xff\\0é'", "\udcff\0é"),
        ("setmetatable({ 1 }, { __index = { 2, 3 } })", [1]),
    ],
)
def test_from_lua(bench, expression, expected):
    """A table becomes a list if its keys are 1 to n; other keys are sorted, numbers first."""
    found = bench.evaluate(expression)
    assert repr(expected) == repr(found)


def test_bytes_survive(bench):
    """Text that is not valid UTF-8 comes back as the same bytes."""
    state = bench.load("function size(s) return #s end function same(s) return s end")
    functions = state.user_globals()
    assert state.call(functions["size"], "\udcff\udcfe") == 2
    assert state.call(functions["same"], "\udcff\udcfe") == "\udcff\udcfe"


def test_paths_and_tuples(bench, tmp_path):
    """A path becomes a Lua string, and a tuple becomes a sequence."""
    state = bench.load("function f(p, t) return { p, t } end")
    found = state.call(state.user_globals()["f"], tmp_path, (1, 2))
    assert [str(tmp_path), [1, 2]] == found


def test_function_knows_where_it_is_defined(bench):
    """The `where` of a function is the file and line of its definition."""
    state = bench.load("\n\nbuild = function() end")
    function = state.user_globals()["build"]
    assert isinstance(function, LuaFunction)
    assert function.where == f"{bench.folder}/recipe.lua:3"


def test_function_handle_returns_as_the_same_function(bench):
    """A handle passed to Lua becomes the same function that it was created from."""
    state = bench.load("function f() end function is_f(x) return rawequal(x, f) end")
    functions = state.user_globals()
    assert state.call(functions["is_f"], functions["f"]) is True


def test_function_of_another_state(bench):
    """A function cannot be passed to another state or called there."""
    first, second = bench.load("function f() end"), bench.load("function f() end")
    function = first.user_globals()["f"]
    with pytest.raises(InternalError, match="another Lua state"):
        second.call(function)
    with pytest.raises(InternalError, match="another Lua state"):
        second.call(second.user_globals()["f"], function)


def test_python_function_as_argument(bench):
    """A Python callable becomes a plain Lua function with converted arguments and result."""
    state = bench.load("function f(g) return type(g) .. g({ 1, 2 }) .. '!' end")
    found = state.call(state.user_globals()["f"], lambda items: f"<{items}>")
    assert found == "function<[1, 2]>!"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local t = {} t.a = { t } return t", "the result.a[1] is a table that contains itself"),
        ("return coroutine.create(print)", "the result is a coroutine"),
        ("return { x = { io.open('recipe.lua') } }", "the result.x[1] is a file"),
        ("return { [true] = 1 }", "the result is a table with a key that is a boolean"),
        (
            "local t = {} for i = 1, 300 do t = { t } end return t",
            "nested more than 200 deep",
        ),
        (
            "local t = {} for i = 1, 100 do t = { t, t } end return t",
            "too large a table",
        ),
    ],
)
def test_values_that_cannot_be_converted(bench, text, expected):
    """An error about a value that cannot be converted names its path in the table."""
    state = bench.load(f"function f() {text} end")
    with pytest.raises(DeclarationError) as caught:
        state.call(state.user_globals()["f"])
    assert expected in str(caught.value)


def test_a_shared_table_is_not_a_cycle(bench):
    """A table that is referenced twice is converted twice."""
    assert bench.evaluate("(function() local t = { 1 } return { t, t } end)()") == [[1], [1]]


def test_helper_globals_need_not_be_data(bench):
    """A class whose __index is itself does not prevent the other globals from being read."""
    found = bench.load("Class = {} Class.__index = Class identity = 'x'").user_globals()
    assert found["identity"] == "x"
    assert isinstance(found["Class"], LuaOpaque)
    assert "Class.__index is a table that contains itself" in found["Class"].what


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_too_large_an_integer(bench, value):
    """An integer that does not fit in 64 bits is an error."""
    state = bench.load("function f(x) return x end")
    with pytest.raises(DeclarationError, match="64 bits"):
        state.call(state.user_globals()["f"], value)


def test_too_deep_for_lua(bench):
    """A Python list that contains itself is an error."""
    state = bench.load("function f(x) end")
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(DeclarationError, match="deep"):
        state.call(state.user_globals()["f"], endless)


def test_python_object(bench):
    """An arbitrary Python object cannot be passed to Lua."""
    state = bench.load("function f(x) end")
    with pytest.raises(InternalError, match="cannot pass a value of type object"):
        state.call(state.user_globals()["f"], object())
