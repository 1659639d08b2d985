"""The life cycle of a Lua state, the ctx, `envy.*` and the constants."""

import contextlib
import gc
import resource
import threading
import weakref

import pytest

from envy.errors import DeclarationError, EnvyError, LuaScriptError
from envy.host.platform import Platform
from envy.lua.runtime import SHELL_CONSTANTS, CtxTable


def test_call_returns_the_first_result(bench):
    """A call returns the first of several results, and None if there is none."""
    state = bench.load("function two() return 1, 2 end function none() end")
    functions = state.user_globals()
    assert state.call(functions["two"]) == 1
    assert state.call(functions["none"]) is None


@pytest.mark.parametrize("how", ["ctx.join('a', 'b')", "ctx:join('a', 'b')"])
def test_ctx_functions_with_dot_or_colon(bench, how):
    """A ctx function can be called with a dot or with a colon."""
    state = bench.load(f"function f(ctx) return {how} end")
    ctx = CtxTable(functions={"join": lambda *words: "+".join(words)})
    assert state.call_with_ctx(state.user_globals()["f"], ctx, {}) == "a+b"


def test_ctx_function_values(bench):
    """Arguments and results of ctx functions are converted; optional arguments may be omitted."""
    got = []

    def run(script, options=None):
        got.append((script, options))
        return {"exit_code": 0, "lines": ["a", "b"]}

    state = bench.load(
        "function f(c) c.run('x') return c.run({ 'y' }, { check = false }).lines end"
    )
    ctx = CtxTable(functions={"run": run})
    assert state.call_with_ctx(state.user_globals()["f"], ctx, {}) == ["a", "b"]
    assert got == [("x", None), (["y"], {"check": False})]


def test_ctx_function_in_a_coroutine(bench):
    """Tables and functions passed to Python inside a coroutine outlive it."""
    kept = []
    state = bench.load("""
        function f(ctx)
          local t = coroutine.wrap(function() return ctx.keep({ 1 }, function() return 7 end) end)()
          collectgarbage()
          return t
        end
    """)
    ctx = CtxTable(functions={"keep": lambda *values: kept.append(values) or [2]})
    assert state.call_with_ctx(state.user_globals()["f"], ctx, {}) == [2]
    assert kept[0][0] == [1]
    assert state.call(kept[0][1]) == 7


def test_ctx_fields_and_options(bench):
    """Fields are plain values, and `ctx.options` is the same table as the second argument."""
    state = bench.load("""
        function f(ctx, opts)
          return { ctx.cores, rawequal(ctx.options, opts), opts.version, type(ctx) }
        end
    """)
    ctx = CtxTable(fields={"cores": 4})
    found = state.call_with_ctx(state.user_globals()["f"], ctx, {"version": "1"})
    assert found == [4, True, "1", "table"]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (
            "ctx.instal_dir",
            "ctx has no field 'instal_dir' in this phase; did you mean 'install_dir'?",
        ),
        ("ctx.zzz", "ctx has no field 'zzz' in this phase"),
        ("ctx.copy('a')", "not for a user-managed package"),
        ("ctx[1]", "ctx has no field '1' in this phase"),
    ],
)
def test_unknown_ctx_fields(bench, read, message):
    """Reading an unknown field is an error with the nearest name, or with a remedy."""
    state = bench.load(f"function f(ctx)\n  local x = {read}\nend")
    ctx = CtxTable(
        fields={"install_dir": "/x"},
        functions={"run": print},
        missing={"copy": "not for a user-managed package"},
    )
    with pytest.raises(LuaScriptError) as caught:
        state.call_with_ctx(state.user_globals()["f"], ctx, {})
    assert (caught.value.message, caught.value.frames[0].line) == (message, 2)


def test_field_that_is_nil(bench):
    """A known field without a value is nil."""
    state = bench.load("function f(ctx) return ctx.recipe_dir == nil end")
    ctx = CtxTable(fields={"recipe_dir": None})
    assert state.call_with_ctx(state.user_globals()["f"], ctx, {}) is True


def test_ctx_after_its_phase(bench):
    """A ctx function does not work after its phase has ended."""
    state = bench.load("function f(ctx) kept = ctx.run end function g() kept() end")
    functions = state.user_globals()
    state.call_with_ctx(functions["f"], CtxTable(functions={"run": lambda: None}), {})
    with pytest.raises(LuaScriptError, match="phase that has ended"):
        state.call(functions["g"])


def test_constants(bench):
    """The constants describe the platform of the settings."""
    bench.platform = Platform(os="darwin", arch="arm64", os_version="14.2")
    found = bench.evaluate(
        "{ ENVY_PLATFORM, ENVY_ARCH, ENVY_PLATFORM_ARCH, ENVY_OS_VERSION, ENVY_LIBC == nil }"
    )
    assert found == ["darwin", "arm64", "darwin-arm64", "14.2", True]


def test_shell_constants(bench):
    """The shell constants are strings that are not paths."""
    assert bench.evaluate("ENVY_SHELL") == SHELL_CONSTANTS
    assert bench.evaluate("ENVY_SHELL.BASH") == "@shell:bash"


def test_a_platform_without_a_version(bench):
    """On a platform for which a project is locked, it is noted that the version was asked for."""
    bench.platform = Platform(os="linux", arch="x86_64", libc="gnu")
    bench.file("v = ENVY_OS_VERSION", "other.lua")
    for expression in ("ENVY_OS_VERSION", "_G.ENVY_OS_VERSION", 'envy.loadenv("other").v'):
        state = bench.load(f"result = {expression} .. (missing or '!')")
        assert state.user_globals()["result"] == "!"
        assert state.reads.os_version, expression
    assert not bench.load("result = ENVY_LIBC .. type(missing)").reads.os_version
    bench.platform = Platform(os="linux", arch="x86_64", os_version="debian-12", libc="gnu")
    assert not bench.load("result = ENVY_OS_VERSION").reads.os_version


def test_logging(bench):
    """`envy.*` and `print` log at their level, and `envy.stdout` writes to standard output."""
    bench.load("""
        envy.info("a") envy.warn("b") envy.error("c") envy.debug(4)
        print("d", nil, 1) warn("e", "f") envy.stdout("g")
    """)
    assert bench.logged == [
        ("info", "a"),
        ("warn", "b"),
        ("error", "c"),
        ("debug", "4"),
        ("info", "d\tnil\t1"),
        ("warn", "ef"),
    ]
    assert bench.written == ["g"]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("envy.join({ 1, 2 }, {}, { 3 })", [1, 2, 3]),
        ("envy.per_platform { linux = 'a', darwin = 'b' }", "a"),
        ("envy.per_platform { linux = 'a', ['linux-x86_64'] = 'b' }", "b"),
        ("envy.per_platform { ['linux-amd64'] = { 1 } }", [1]),
        ("envy.template('{{a}}-{{ b }}-{c}', { a = 1, b = true })", "1-true-{c}"),
        ("envy.path.join('a', 'b/', 'c.txt')", "a/b/c.txt"),
        ("envy.path.join('a', '/b')", "/b"),
        ("envy.path.basename('a/b.tar.gz')", "b.tar.gz"),
        ("envy.path.dirname('a/b.tar.gz')", "a"),
        ("envy.path.stem('a/b.tar.gz')", "b.tar"),
        ("envy.path.extension('a/b.tar.gz')", ".gz"),
    ],
)
def test_envy_functions(bench, expression, expected):
    """The functions of `envy` return what the reference says."""
    assert bench.evaluate(expression) == expected


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("envy.join({}, 'x')", "argument 2 is a string"),
        (
            "envy.per_platform { darwin = 1, windows = 2 }",
            "linux-x86_64; its keys are darwin, windows",
        ),
        ("envy.per_platform { linus = 1 }", "'linus' is not a platform"),
        ("envy.per_platform(nil)", "takes a table"),
        ("envy.template('{{vresion}}', { version = 1 })", 'did you mean "version"?'),
        ("envy.template('{{x}}', { x = {} })", "is not text, a number or a boolean"),
        ("envy.path.join(nil)", "bad argument #1 to 'envy.path.join'"),
        ("envy.path.stem({})", "bad argument #1 to 'envy.path.stem'"),
        ("os.getenv()", "bad argument #1 to 'os.getenv'"),
        ("envy.loadenv('none')", "no none.lua or none/init.lua"),
        ("pairs(nil)", "table expected, got nil"),
        ("collectgarbage('stop')", "can only 'collect' and 'count'"),
        ("io.open('a\\0b')", "NUL"),
        ("io.open('a', 'x')", "invalid mode"),
    ],
)
def test_envy_function_errors(bench, expression, message):
    """A wrong call is an error that names the line of the call."""
    with pytest.raises(LuaScriptError) as caught:
        bench.load(f"\nx = {expression}")
    assert message in caught.value.message
    assert caught.value.frames[0].line == 2


def test_different_threads_over_time(bench):
    """Several threads may use a state, one after another."""
    state = bench.load("n = 0 function f() n = n + 1 return n end")
    function = state.user_globals()["f"]
    found = []
    for _ in range(3):
        thread = threading.Thread(target=lambda: found.append(state.call(function)))
        thread.start()
        thread.join()
    assert found == [1, 2, 3]


def test_phase_ends_with_an_error(bench):
    """After a failed phase, the rules of loading apply again."""
    state = bench.load("function f() error('x') end function g() io.open('y', 'w') end")
    functions = state.user_globals()
    with pytest.raises(EnvyError), state.phase(bench.access()):
        state.call(functions["f"])
    with pytest.raises(LuaScriptError, match="while the file loads"):
        state.call(functions["g"])


def test_dropped_state_is_freed(bench):
    """A state without references is freed, although Lua held a function of Python."""
    state = bench.load("function f(g) kept = g end")
    state.call(state.user_globals()["f"], lambda: None)
    reference = weakref.ref(state)
    del state
    gc.collect()
    assert reference() is None


def test_close_frees_memory(bench):
    """Closing a state frees its memory although handles to functions remain."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    handles = []
    for _ in range(40):
        state = bench.load("function f() end big = ('x'):rep(4 << 20)")
        handles.append(state.user_globals()["f"])
        state.close()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 60 << 10


def test_large_values_cross_at_the_limit(bench):
    """A result of a ctx function may exceed the limit; the next allocation in Lua then fails."""
    bench.memory_limit = 4 << 20
    state = bench.load("function f(ctx) return ctx.big() .. 'x' end")
    ctx = CtxTable(functions={"big": lambda: "x" * (16 << 20)})
    with pytest.raises(LuaScriptError, match="4 MiB"):
        state.call_with_ctx(state.user_globals()["f"], ctx, {})


def test_calls_when_memory_is_full(bench):
    """With no memory left, calls to Python still work, or end in an error."""
    bench.memory_limit = 2 << 20
    taken = []
    state = bench.load("""
        function f(ctx)
          local take, items, kept = ctx.take, { { 1 } }, {}
          pcall(function() while true do kept[#kept + 1] = { #kept } end end)
          for i = 1, 50 do take(items, f, "text") end
        end
    """)

    def take(*values):
        taken.append(values)
        return {"a": ["x" * 100_000]}

    with contextlib.suppress(LuaScriptError):
        state.call_with_ctx(state.user_globals()["f"], CtxTable(functions={"take": take}), {})
    assert len(taken) > 0
    assert taken[0][0] == [[1]]


def test_hostile_globals(bench):
    """Globals of the author do not replace the globals that lupa reads."""
    state = bench.load("""
        debug = setmetatable({}, { __index = function() error("no") end })
        python = debug
        setmetatable(_G, { __index = function(_, name) error(name) end })
        function f() return 1 end
    """)
    assert state.call(state.user_globals()["f"]) == 1


def test_result_that_cannot_be_converted(bench):
    """A result that cannot be converted is a DeclarationError."""
    state = bench.load("function f() return coroutine.create(f) end")
    with pytest.raises(DeclarationError, match="the result is a coroutine"):
        state.call(state.user_globals()["f"])
