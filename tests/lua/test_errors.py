"""Errors of Lua code, as the author of the code sees them."""

import subprocess
import sys
from pathlib import Path

import pytest

import envy
from envy.errors import (
    Cancelled,
    DeclarationError,
    InternalError,
    LuaFrame,
    LuaScriptError,
    ScriptFailed,
    SourceLocation,
)
from envy.limits import adopt_limits
from envy.lua.traceback import abbreviated
from envy.lua.values import CtxTable


def _failure(bench, text, **functions):
    state = bench.load(text)
    with pytest.raises(LuaScriptError) as caught:
        state.call_with_ctx(state.user_globals()["f"], CtxTable(functions=functions), {})
    return caught.value


def _lines(error):
    return [(frame.path.rpartition("/")[2], frame.line) for frame in error.frames]


def test_frames_innermost_first(bench):
    """The message has no position; the frames do, innermost first, and only for user files."""
    bench.file("return function() local out out.x = 1 end", "lib.lua")
    error = _failure(bench, "local g = require('lib')\nfunction f()\n  pcall(print)\n  g()\nend")
    assert error.message == "attempt to index a nil value (local 'out')"
    assert _lines(error) == [("lib.lua", 1), ("recipe.lua", 4)]


def test_error_while_loading(bench):
    """An error in the main chunk names its line."""
    with pytest.raises(LuaScriptError) as caught:
        bench.load("x = 1\nerror('no')")
    assert str(caught.value) == f"{bench.folder}/recipe.lua:2: no"


def test_syntax_error(bench):
    """A syntax error names its line."""
    with pytest.raises(LuaScriptError) as caught:
        bench.load("x = 1\nx = = 2")
    assert caught.value.message == "unexpected symbol near '='"
    assert caught.value.frames == (LuaFrame(f"{bench.folder}/recipe.lua", 2),)


def test_syntax_error_in_a_module(bench):
    """A syntax error in a module names the line in the module first, then the `require` line."""
    bench.file("\n\n(", "bad.lua")
    with pytest.raises(LuaScriptError) as caught:
        bench.load("\nrequire('bad')")
    assert _lines(caught.value) == [("bad.lua", 3), ("recipe.lua", 2)]


def test_long_paths_are_complete(bench):
    """Lua abbreviates long file names in messages; the error has the full name."""
    name = "long-" * 12 + "/" + "name-" * 12 + ".lua"
    bench.file("\nerror('deep')", name)
    with pytest.raises(LuaScriptError) as caught:
        bench.load(f"dofile('{name}')")
    assert caught.value.message == "deep"
    assert caught.value.frames[0] == LuaFrame(f"{bench.folder}/{name}", 2)


_LOAD_FROM_HERE = """
from pathlib import Path
from envy.lua.runtime import LuaState, SandboxSettings
from envy.host.platform import host_platform

settings = SandboxSettings(
    platform=host_platform(), environment={}, should_stop=lambda: False, on_log=print,
    on_stdout=print,
)
try:
    LuaState(settings, base_dir=Path.cwd()).load_file(Path.cwd() / "project/recipe.lua")
except Exception as error:
    print(error)
"""


def test_paths_below_the_current_directory_are_relative(bench, tmp_path):
    """A file below the current directory is shown relative to it."""
    bench.file("\nerror('no')")
    done = subprocess.run(
        [sys.executable, "-c", _LOAD_FROM_HERE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(envy.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "project/recipe.lua:2: no\n"


def test_level_two_blames_the_caller(bench):
    """`error(text, 2)` puts the line of the caller first."""
    error = _failure(bench, "local function g() error('bad', 2) end\nfunction f()\n  g()\nend")
    assert error.message == "bad"
    assert _lines(error) == [("recipe.lua", 3)]


def test_raised_again(bench):
    """An error that is caught and raised again names its first line, and no position twice."""
    error = _failure(
        bench,
        "function g() error('bad') end\n"
        "function f()\n  local _, problem = pcall(g)\n  error(problem)\nend",
    )
    assert error.message == "bad"
    assert _lines(error)[0] == ("recipe.lua", 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{}", "(error object is a table value)"),
        ("nil", "(error object is a nil value)"),
        ("setmetatable({}, { __tostring = function() return 'mine' end })", "mine"),
    ],
)
def test_error_objects(bench, value, message):
    """An error object that is not a string is described by its type."""
    assert _failure(bench, f"function f() error({value}) end").message == message


def test_error_in_a_coroutine(bench):
    """The line inside the coroutine comes first."""
    error = _failure(
        bench,
        "function f()\n  local g = coroutine.wrap(function()\n    error('bad')\n  end)\n  g()\nend",
    )
    assert error.message == "bad"
    assert _lines(error) == [("recipe.lua", 3), ("recipe.lua", 5)]


def _refuse(*_):
    raise ScriptFailed(command="make", exit_code=2, hint="install make")


def test_cause(bench):
    """An error of a ctx function is the cause, at the line of the call, with its hint."""
    error = _failure(bench, "function f(ctx)\n  ctx.run('make')\nend", run=_refuse)
    assert error.message == "script exited 2: make"
    assert isinstance(error.cause, ScriptFailed)
    assert (error.hint, _lines(error)) == ("install make", [("recipe.lua", 2)])


def test_cause_of_a_tail_call(bench):
    """`return ctx.run(…)` leaves no line on the stack, so the line of the function is named."""
    error = _failure(bench, "\nfunction f(ctx) return ctx.run('make') end", run=_refuse)
    assert _lines(error) == [("recipe.lua", 2)]


def test_caught_by_pcall(bench):
    """`pcall` returns the error of a ctx function as a string with the position of the caller."""
    state = bench.load(
        "function f(ctx)\n local _, e = pcall(function()\n ctx.run() end)\n return e end"
    )
    ctx = CtxTable(functions={"run": _refuse})
    found = state.call_with_ctx(state.user_globals()["f"], ctx, {})
    assert found == f"{abbreviated(str(bench.folder / 'recipe.lua'))}:3: script exited 2: make"


def test_no_cause_for_another_error(bench):
    """An error of a ctx function that was caught is not the cause of a later error."""
    error = _failure(bench, "function f(ctx) pcall(ctx.run) error('other') end", run=_refuse)
    assert (error.message, error.cause) == ("other", None)


def test_cause_keeps_its_origin(bench):
    """The message of an error with an origin contains the origin."""

    def refuse(*_):
        raise DeclarationError("bad", origin=SourceLocation(bench.folder, 7))

    assert _failure(bench, "function f(ctx) ctx.x() end", x=refuse).message.endswith(":7: bad")


def test_a_bug_is_raised_unchanged(bench):
    """An exception that is a bug in envy is raised unchanged past every pcall, on each call."""
    state = bench.load("function f(ctx) pcall(ctx.run) return 1 end")
    function = state.user_globals()["f"]
    ctx = CtxTable(functions={"run": lambda *_: {}["missing"]})
    with pytest.raises(KeyError):
        state.call_with_ctx(function, ctx, {})
    with pytest.raises(KeyError):
        state.call(function, 1)


def test_cancelled_cannot_be_caught(bench):
    """Cancelled from a ctx function ends the call although Lua catches errors."""

    def cancel(*_):
        raise Cancelled("enough")

    state = bench.load("function f(ctx) while true do pcall(ctx.run) end end")
    with pytest.raises(Cancelled, match="enough"):
        state.call_with_ctx(state.user_globals()["f"], CtxTable(functions={"run": cancel}), {})


def test_wrong_arguments(bench):
    """A call of a ctx function with too few arguments is an error of the author."""
    error = _failure(
        bench, "function f(ctx)\n ctx.copy('a')\nend", copy=lambda source, target: None
    )
    assert error.message == "ctx.copy: missing a required argument: 'target'"


def test_memory(bench):
    """A state that exceeds its memory limit fails with an error that names the limit."""
    bench.memory_limit = 8 << 20
    error = _failure(bench, "function f() local t = {} while true do t[#t + 1] = { #t } end end")
    assert "8 MiB" in error.message
    assert error.hint


def test_memory_while_loading(bench):
    """A large string in the main chunk exceeds the memory limit too."""
    bench.memory_limit = 8 << 20
    with pytest.raises(LuaScriptError, match="8 MiB"):
        bench.load("x = ('x'):rep(1 << 30)")


def test_memory_during_conversion(bench):
    """A large argument from Python exceeds the memory limit too."""
    bench.memory_limit = 4 << 20
    state = bench.load("function f() end")
    with pytest.raises(LuaScriptError, match="4 MiB"):
        state.call(state.user_globals()["f"], "x" * (16 << 20))


def test_closed(bench):
    """A call of a function of a closed state is an error that says so."""
    state = bench.load("function f() end")
    function = state.user_globals()["f"]
    state.close()
    state.close()
    with pytest.raises(InternalError, match="closed"):
        state.call(function)


def test_the_hint_of_a_function_of_envy(bench):
    """An error of `envy.template` and the like keeps its hint."""
    adopt_limits({"lua-memory": 1000})
    try:
        error = _failure(
            bench, 'function f() envy.template("{{a}}", { a = string.rep("x", 2000) }) end'
        )
    finally:
        adopt_limits({})
    assert error.message == (
        "the result of the template is larger than 1000 bytes, the limit lua-memory"
    )
    assert error.hint == "if that is intended, raise the limit: ENVY_LIMITS=lua-memory=2000"
