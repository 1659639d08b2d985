"""What Lua code may access, read and write."""

import os
from pathlib import Path

import pytest
from blake3 import blake3

from envy.content.file_digest import file_digest
from envy.errors import EnvyError, LuaScriptError

_WALK = """
function walk()
  local seen, found, queue = {}, {}, { { "_G", _G }, { '""', "" } }
  local file = io.open("recipe.lua")
  queue[#queue + 1] = { "env", envy.loadenv("recipe") }
  queue[#queue + 1] = { "file", getmetatable(file) }
  file:close()
  while #queue > 0 do
    local name, value = table.unpack(table.remove(queue))
    local metatable = getmetatable(value)
    if type(metatable) == "table" and not seen[metatable] then
      seen[metatable] = true
      queue[#queue + 1] = { "metatable of " .. name, metatable }
    end
    if type(value) == "userdata" and not io.type(value) then found[#found + 1] = name end
    if type(value) == "table" and not seen[value] then
      seen[value] = true
      for key, inner in next, value do
        queue[#queue + 1] = { name .. "." .. tostring(key), inner }
        queue[#queue + 1] = { "key of " .. name, key }
      end
    end
  end
  local count = 0
  for _ in next, seen do count = count + 1 end
  return { found = found, count = count }
end
"""


def test_nothing_of_python_is_reachable(bench):
    """All values reachable from the globals, metatables included, are Lua values or files."""
    state = bench.load(_WALK)
    with state.phase(bench.access(bench.folder, may_read=lambda _: True)):
        found = state.call(state.user_globals()["walk"])
    assert found["found"] == {}
    assert found["count"] > 12


@pytest.mark.parametrize(
    "name",
    [
        "python",
        "debug",
        "string.dump",
        "package.loadlib",
        "package.cpath",
        "package.path",
        "package.searchers",
        "package.loaded.debug",
        "package.loaded.python",
        "package.loaded.package",
    ],
)
def test_hidden(bench, name):
    """Names that lead out of the sandbox are nil."""
    assert bench.evaluate(name) is None


@pytest.mark.parametrize(
    ("expression", "remedy"),
    [
        ("os.execute('true')", "ctx.run"),
        ("io.popen('true')", "ctx.run"),
        ("os.exit(0)", "returning"),
        ("os.tmpname()", "ctx.tmp_dir"),
        ("os.setlocale('C')", "all of envy"),
        ("io.write('x')", "envy.stdout"),
        ("io.stdout:write('x')", "envy.stdout"),
        ("io.read()", "no input"),
        ("io.tmpfile()", "ctx.tmp_dir"),
    ],
)
@pytest.mark.parametrize("in_phase", [False, True])
def test_absent_functions_say_what_to_use(bench, expression, remedy, in_phase):
    """Absent functions are errors with a remedy, while loading and in a phase."""
    if not in_phase:
        with pytest.raises(LuaScriptError, match=remedy) as caught:
            bench.load(f"\nx = {expression}")
    else:
        state = bench.load(f"\nfunction f() return {expression} end")
        with state.phase(bench.access()), pytest.raises(LuaScriptError, match=remedy) as caught:
            state.call(state.user_globals()["f"])
    assert caught.value.frames[0].line == 2


def test_an_unknown_name_of_a_library_is_nil(bench):
    """Reading an unknown name of a library returns nil without an error."""
    assert bench.evaluate("{ os.nothing == nil, io.nothing == nil }") == [True, True]


@pytest.mark.parametrize(
    "expression",
    [
        "io.open('x', 'w')",
        "io.open('recipe.lua', 'a')",
        "io.open('recipe.lua', 'r+')",
        "os.remove('recipe.lua')",
        "os.rename('recipe.lua', 'x')",
    ],
)
def test_no_writing_while_loading(bench, expression):
    """A file cannot write while it loads, and the error says what to do instead."""
    with pytest.raises(LuaScriptError, match=r"while the file loads.*ctx\.write"):
        bench.load(f"y = {expression}")
    assert [path.name for path in bench.folder.iterdir()] == ["recipe.lua"]


def test_reads_are_recorded(bench):
    """Every file and variable that is read while loading is recorded, missing ones included."""
    bench.environment["HERE"] = "1"
    bench.file("data", "sub/a.txt")
    state = bench.load("""
        text = io.open("sub/a.txt"):read("a")
        for line in io.lines("./sub/../sub/a.txt") do text = text .. line end
        missing = io.open("sub/none.txt")
        here, gone = os.getenv("HERE"), os.getenv("GONE")
    """)
    assert state.user_globals() == {"text": "datadata", "here": "1"}
    digest = blake3(b"data").hexdigest()
    assert state.reads.files == {
        bench.folder / "sub/a.txt": digest,
        bench.folder / "sub/none.txt": None,
    }
    assert state.reads.variables == {"HERE": "1", "GONE": None}
    assert file_digest(str(bench.folder / "sub/a.txt")) == digest


def test_a_special_file_is_not_read_while_loading(bench):
    """A pipe cannot be read while loading: it would block and has no digest."""
    os.mkfifo(bench.folder / "pipe")
    with pytest.raises(LuaScriptError, match="not a plain file"):
        bench.load("io.open('pipe')")


def test_modules(bench):
    """`require`, `dofile`, `loadfile`, `loadenv` find files beside the recipe and record them."""
    bench.file("return { two = require('lib.two') }", "one.lua")
    bench.file("local name = ... return name", "lib/two/init.lua")
    bench.file("return 3", "three.lua")
    bench.file("version = '1' tools = { print ~= nil }", "versions.lua")
    state = bench.load("""
        one, again = require("one"), require("one") == require("one")
        three, loaded = dofile("three.lua"), loadfile("three.lua")()
        versions = envy.loadenv("versions")
        none, problem = loadfile("none.lua")
    """)
    found = state.user_globals()
    assert found["one"] == {"two": "lib.two"}
    assert (found["again"], found["three"], found["loaded"]) == (True, 3, 3)
    assert found["versions"] == {"version": "1", "tools": [True]}
    assert "none.lua" in found["problem"]
    names = {
        str(path.relative_to(bench.folder)): digest is not None
        for path, digest in state.reads.files.items()
    }
    assert names == {
        "one.lua": True,
        "lib/two.lua": False,
        "lib/two/init.lua": True,
        "three.lua": True,
        "versions.lua": True,
        "none.lua": False,
    }


def test_loadenv_leaves_the_globals_alone(bench):
    """The globals of a loadenv file stay in its table, and it cannot read those of the recipe."""
    bench.file("inner = 1 outside = identity _G.more = 2", "env.lua")
    found = bench.load("identity = 'x' t = envy.loadenv('env')").user_globals()
    assert found == {"identity": "x", "t": {"inner": 1, "more": 2}}


def test_module_that_requires_itself(bench):
    """A cycle of modules is an error that names one of them."""
    bench.file("require('b')", "a.lua")
    bench.file("require('a')", "b.lua")
    with pytest.raises(LuaScriptError, match="module 'a' requires itself"):
        bench.load("require('a')")


def test_module_not_found(bench):
    """The error names the files that were searched for."""
    with pytest.raises(LuaScriptError, match=r"no x/y\.lua or x/y/init\.lua"):
        bench.load("require('x.y')")


def test_only_loaded_modules_in_a_phase(bench):
    """In a phase, `require` returns modules that are already loaded and refuses all others."""
    bench.file("return 1", "one.lua")
    bench.file("return 2", "two.lua")
    state = bench.load("require('one') function f(name) return require(name) end")
    function = state.user_globals()["f"]
    with state.phase(bench.access(may_read=lambda _: True)):
        assert state.call(function, "one") == 1
        assert state.call(function, "string") != {}
        with pytest.raises(LuaScriptError, match="'two' was not loaded with the file"):
            state.call(function, "two")


def test_files_in_a_phase(bench, tmp_path):
    """In a phase, files are written, read, renamed and removed relative to the run directory."""
    state = bench.load("""
        function f()
          local out = assert(io.open("a", "w")) out:write("text") out:close()
          os.rename("a", "b")
          local text = io.open("b"):read("a")
          assert(os.remove("b"))
          return text
        end
    """)
    with state.phase(bench.access(tmp_path / "elsewhere")):
        assert state.call(state.user_globals()["f"]) == "text"
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert state.reads.files == {}


def test_recipe_files_in_a_phase(bench):
    """A phase may read a file in the folder of the recipe only if the key covers it."""
    for name in ("loaded", "listed", "other"):
        bench.file(name, name)
    (bench.folder.parent / "link").symlink_to(bench.folder / "other")
    state = bench.load("""
        io.open("loaded"):close()
        function f(path) return io.open(path):read("a") end
    """)
    function = state.user_globals()["f"]
    listed = bench.folder / "listed"
    with state.phase(bench.access(may_read=lambda path: path == listed)):
        assert state.call(function, bench.folder / "loaded") == "loaded"
        assert state.call(function, listed) == "listed"
        for path in (bench.folder / "other", bench.folder.parent / "link"):
            with pytest.raises(LuaScriptError, match="list it in `inputs`"):
                state.call(function, path)


def test_written_files_are_readable(bench):
    """A phase may read a file that it wrote into the folder of the recipe."""
    state = bench.load("""
        function f()
          local out = io.open("new", "w") out:write("x") out:close()
          return io.open("new"):read("a")
        end
    """)
    with state.phase(bench.access(bench.folder)):
        assert state.call(state.user_globals()["f"]) == "x"


def test_variables_in_a_phase(bench):
    """In a phase, `os.getenv` reads the phase's environment, and nothing is recorded."""
    bench.environment["X"] = "outer"
    state = bench.load("function f() return os.getenv('X') end")
    with state.phase(bench.access(environment={"X": "inner"})):
        assert state.call(state.user_globals()["f"]) == "inner"
    assert state.reads.variables == {}
    assert state.call(state.user_globals()["f"]) == "outer"


def test_load_takes_no_bytecode(bench):
    """`load` refuses compiled code, which could crash the interpreter."""
    found = bench.evaluate(
        "{ select(2, load('\\27Lua', 'x', 'b')), load('return 1 + 1', 'x', 'b')() }"
    )
    assert "binary" in found[0]
    assert found[1] == 2


def test_load_with_an_environment(bench):
    """`load` accepts an environment, nil included."""
    assert bench.evaluate("load('return x', 'c', 't', { x = 5 })()") == 5
    assert bench.evaluate("pcall(load('return x', 'c', 't', nil))") is False


def test_no_finalizers(bench):
    """Finalizers cannot be set: they run without hooks, so an endless one could not be stopped."""
    with pytest.raises(LuaScriptError, match="__gc"):
        bench.load("setmetatable({}, { __gc = function() end })")
    with pytest.raises(LuaScriptError, match="string"):
        bench.load("getmetatable(io.open('recipe.lua')).__gc = function() end")


def test_pairs_is_sorted(bench):
    """`pairs` yields numbers, then strings, each sorted, independent of the hashes."""
    found = bench.evaluate("""(function()
        local t, order = { 10, 20, z = 1, a = 2, [2.5] = 3, [-1] = 4 }, {}
        t[true] = 5
        for key, value in pairs(t) do order[#order + 1] = tostring(key) .. "=" .. value end
        return table.concat(order, " ")
    end)()""")
    assert found == "-1=4 1=10 2=20 2.5=3 a=2 z=1 true=5"


def test_pairs_tolerates_removal(bench):
    """A loop may remove a key that it has not reached yet, and then does not visit it."""
    found = bench.evaluate("""(function()
        local t, seen = { a = 1, b = 2, c = 3 }, {}
        for key in pairs(t) do seen[#seen + 1] = key t.b = nil end
        return seen
    end)()""")
    assert found == ["a", "c"]


def test_pairs_calls_its_metamethod(bench):
    """`pairs` iterates over what `__pairs` returns."""
    found = bench.evaluate("""(function()
        local seen = {}
        local t = setmetatable({}, { __pairs = function() return ipairs({ "x" }) end })
        for _, value in pairs(t) do seen[#seen + 1] = value end
        return seen
    end)()""")
    assert found == ["x"]


def test_globals_are_the_files_own(bench):
    """The globals of a file are only those that it defines or replaces."""
    found = bench.load("identity = 'x' print = 5 local hidden = 1").user_globals()
    assert found == {"identity": "x", "print": 5}


def test_strict_mode_idiom(bench):
    """A file may set a metatable on its globals and still read the globals of the sandbox."""
    found = bench.load("""
        setmetatable(_G, { __index = function(_, name) error("undefined " .. name, 2) end })
        shell = ENVY_PLATFORM
        ok, problem = pcall(function() return undefined_name end)
    """).user_globals()
    assert found["shell"] == "linux"
    assert found["problem"].endswith("undefined undefined_name")


def test_states_are_independent(bench):
    """A change in one state does not affect another."""
    bench.load("string.upper = nil x = 1")
    assert bench.load("y = string.upper('a')").user_globals() == {"y": "A"}


def test_same_random_numbers(bench):
    """Each state returns the same sequence of pseudo-random numbers."""
    assert bench.evaluate("math.random(1 << 40)") == bench.evaluate("math.random(1 << 40)")


def test_shebang_and_mark(bench):
    """A `#!` line and a byte order mark are skipped, and line numbers stay correct."""
    path: Path = bench.folder / "recipe.lua"
    path.write_bytes(b"\xef\xbb\xbf#!/usr/bin/lua\nx = 1\nerror('y')\n")
    with pytest.raises(LuaScriptError) as caught:
        bench.state().load_file(path)
    assert caught.value.frames[0].line == 3


def test_missing_file(bench):
    """The error about a missing file names the file."""
    with pytest.raises(EnvyError, match=r"none\.lua: the file cannot be read: No such file"):
        bench.state().load_file(bench.folder / "none.lua")
