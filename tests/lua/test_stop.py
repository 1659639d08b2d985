"""Lua code that does not end by itself, and Lua code that nests as deep as possible."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import envy
from envy.errors import Cancelled
from envy.interpreter import InterpreterSlot

_ROOT = str(Path(envy.__file__).parent.parent)

_ENDLESS = {
    "loop": "while true do end",
    "caught": "while true do pcall(function() while true do end end) end",
    "caught with a handler": "while true do xpcall(function() while true do end end, print) end",
    "handler": "xpcall(error, function() while true do end end)",
    "handler of a loop": "while true do xpcall(error, function() while true do end end) end",
    "coroutine": "coroutine.resume(coroutine.create(function() while true do end end))",
    "wrapped": "coroutine.wrap(function() while true do end end)()",
    "caught in a coroutine": """
        coroutine.wrap(function()
          while true do pcall(function() while true do end end) end
        end)()""",
    "many coroutines": """
        while true do
          coroutine.resume(coroutine.create(function() while true do end end))
        end""",
    "closing": """
        while true do
          local co = coroutine.create(function()
            local x <close> = setmetatable({}, { __close = function() while true do end end })
            coroutine.yield()
          end)
          coroutine.resume(co)
          coroutine.close(co)
        end""",
    "to-be-closed": """
        local x <close> = setmetatable({}, { __close = function() while true do end end })
        while true do end""",
    "reader of load": "while true do load(function() while true do end end) end",
    "sort": "table.sort({ 1, 2, 3 }, function() while true do end end)",
    "gsub": "('abc'):gsub('.', function() while true do end end)",
    "metamethod": "return setmetatable({}, { __index = function() while true do end end }).x",
    "tostring": "print(setmetatable({}, { __tostring = function() while true do end end }))",
    "error object": "error(setmetatable({}, { __tostring = function() while true do end end }))",
    "strings": "while true do local s = ('x'):rep(1000) end",
}


def _stop_after(polls: int):
    """Return a `should_stop` that is false for the given number of polls and then true."""
    left = iter(range(polls))
    return lambda: next(left, None) is None


@pytest.mark.parametrize("text", _ENDLESS.values(), ids=_ENDLESS)
def test_endless_code_is_stopped(bench, text):
    """A stop ends every kind of loop, although the code catches errors."""
    bench.should_stop = _stop_after(3)
    state = bench.load(f"function f() {text} end")
    with pytest.raises(Cancelled):
        state.call(state.user_globals()["f"])


def test_endless_file_is_stopped(bench):
    """A stop ends the main chunk too."""
    bench.should_stop = _stop_after(3)
    with pytest.raises(Cancelled):
        bench.load("while true do end")


def test_stopped_for_good(bench):
    """After a stop, every further call raises Cancelled at once."""
    bench.should_stop = _stop_after(1)
    state = bench.load("function f() while true do end end function g() return 1 end")
    functions = state.user_globals()
    with pytest.raises(Cancelled):
        state.call(functions["f"])
    with pytest.raises(Cancelled):
        state.call(functions["g"])


def test_stop_in_a_nested_call(bench):
    """A stop in a nested call from Lua through Python ends the outer call as well."""
    bench.should_stop = _stop_after(3)
    state = bench.load(
        "function outer(back) pcall(back) return 1 end function inner() while true do end end"
    )
    functions = state.user_globals()
    with pytest.raises(Cancelled):
        state.call(functions["outer"], lambda: state.call(functions["inner"]))


def test_long_code_yields_the_interpreter(bench):
    """A thread that waits for the interpreter slot gets it during long Lua code."""
    slot, holding, had_turn = InterpreterSlot(), threading.Event(), threading.Event()
    bench.should_stop = had_turn.is_set
    state = bench.load("function f() while true do end end")

    def wait_for_turn():
        holding.wait()
        with slot.running():
            had_turn.set()

    waiter = threading.Thread(target=wait_for_turn)
    waiter.start()
    with slot.running():
        holding.set()
        with pytest.raises(Cancelled):
            state.call(state.user_globals()["f"])
    waiter.join()


def test_stop_from_should_stop_raising(bench):
    """An exception of `should_stop` is raised unchanged past every pcall."""

    def broken():
        raise ZeroDivisionError

    bench.should_stop = broken
    state = bench.load("function f() while true do pcall(function() while true do end end) end end")
    with pytest.raises(ZeroDivisionError):
        state.call(state.user_globals()["f"])


_DEEP = {
    "gsub": "local function f(n) return (('x'):gsub('x', function() return f(n + 1) end)) end f(0)",
    "sort": """
        local function f() table.sort({ 2, 1 }, function(a, b) f() return a < b end) end
        f()""",
    "pcall": "local function f() return pcall(f) end f()",
    "not a tail call": "local function f() return 1 + f() end f()",
    "tostring": "print(setmetatable({}, { __tostring = function(t) return tostring(t) end }))",
    "index": "local t = setmetatable({}, { __index = function(t, k) return t[k] end }) return t.x",
    "index chain": """
        local t = {}
        for i = 1, 5000 do t = setmetatable({}, { __index = t }) end
        return t.x""",
    "coroutines": """
        local function f() return coroutine.wrap(function() return f() end)() end
        f()""",
    "coroutines in Python": """
        local function f() return coroutine.wrap(function() return back(f) end)() end
        f()""",
    "Python": "local function f() return back(f) end f()",
    "Python in gsub": "local function f() return (('x'):gsub('x', function() back(f) end)) end f()",
    "Python in pcall": "local function f() return pcall(back, f) end f()",
    "handler": "local function h() error('again') end xpcall(error, h)",
    "load": "local function f() return load(function() f() end) end f()",
    "parser": "load('return ' .. ('('):rep(100000) .. ('1') .. (')'):rep(100000))",
    "parsed tables": "load('return ' .. ('{'):rep(100000))",
    "concatenation": "load('return ' .. ('1 ..'):rep(100000) .. '1')",
    "pattern": "return ('x'):rep(1000):find(('.-'):rep(1000))",
    "require": "require('again')",
    "functions kept from coroutines": """
        for i = 1, 200 do coroutine.wrap(function() pcall(back, function() return i end) end)() end
        collectgarbage()""",
    "tables kept by errors of coroutines": """
        for i = 1, 200 do coroutine.wrap(function() pcall(back, { i }, { { {} } }) end)() end
        collectgarbage()""",
    "deep table": "local t = {} for i = 1, 100000 do t = { t } end back(t)",
}

_DRIVER = """
import sys, threading, time
from pathlib import Path
from envy.errors import EnvyError
from envy.lua.runtime import LuaState, SandboxSettings
from envy.host.platform import host_platform

end = time.monotonic() + 5
settings = SandboxSettings(
    platform=host_platform(), environment={}, should_stop=lambda: time.monotonic() > end,
    on_log=lambda *_: None, on_stdout=print, memory_limit=64 << 20,
)

def run():
    state = LuaState(settings, base_dir=Path.cwd())
    try:
        state.load_file(Path("deep.lua"))
        functions = state.user_globals()
        back = lambda f=None: state.call(f)
        state.call(functions["deep"], back)
    except EnvyError as error:
        print(type(error).__name__, str(error)[:200])
    print("alive")

threading.stack_size(1 << 20)
thread = threading.Thread(target=run)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("text", _DEEP.values(), ids=_DEEP)
def test_nesting_never_crashes(tmp_path, text):
    """In a thread with a stack of 1 MiB, deep nesting succeeds or is an error, not a crash."""
    (tmp_path / "again.lua").write_text("require('again')")
    (tmp_path / "deep.lua").write_text(f"function deep(b) back = b; {text} end")
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER],
        cwd=tmp_path,
        env={"PYTHONPATH": _ROOT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "alive"
