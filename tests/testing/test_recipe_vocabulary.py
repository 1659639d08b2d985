"""`t`, as tests of recipes call it: each row is the body of one test, and how that ends."""

import os
from pathlib import Path

import pytest

from envy.host.children import Children
from envy.testing.drivers.recipe.files import find_test_files, recipe_of
from envy.testing.drivers.recipe.one_test import OneTest, UnusableTests, load_tests

SHIPPED = Path(__file__).parents[2] / "recipes"

RECIPE = """
identity = "local.tool@r1"
about = { version = "1.0", license = "MIT" }
options = {
  version = { type = "string", default = "1.0" },
  musl = { type = "boolean", default = false },
}
host = { "cc-of-test" }
dependencies = { { recipe = "local.lib@r1", needed_by = "build", use = "build" } }
fetch = function(_, opts)
  if opts.musl then error("not for musl", 0) end
  return {
    source = "https://example.org/" .. ENVY_PLATFORM_ARCH .. "/tool-" .. opts.version .. ".tar.gz",
    sha256 = ("a"):rep(64),
    mirrors = { "https://mirror.example/" },
  }
end
stage = { strip = 1 }
build = function(ctx)
  ctx.run("make all")
  envy.warn("built with " .. ctx.product("lib"))
end
install = function(ctx)
  ctx.copy(ctx.stage_dir .. "/tool", "bin/")
end
products = { tool = "bin/tool" }
exports = { path = { "bin" }, env = { TOOL = "{{asset}}" } }
"""

READY = """
  t.program("cc-of-test", "echo 1")
  t.package("local.lib@r1", { products = { lib = "lib.a" } })
  t.serve("https://example.org/linux-x86_64/tool-1.0.tar.gz",
    { files = { ["tool-1.0/tool"] = "#!/bin/sh\\n" } })
  t.platform("linux-x86_64")
  t.answer("make", "made\\n")
"""

ARCHIVE = "https://example.org/linux-x86_64/tool-1.0.tar.gz"

PASSES = {
    "what it declares": """
      t.package("local.lib@r1", {}) t.platform("darwin-arm64")
      local it = t.load { version = "2.0" }
      t.equal(it.sources, { { source = "https://example.org/darwin-arm64/tool-2.0.tar.gz",
        sha256 = ("a"):rep(64), mirrors = { "https://mirror.example/" } } })
      t.equal(it.products, { tool = "bin/tool" })
      t.equal(it.exports, { path = { "bin" }, env = { TOOL = "{{asset}}" } })
      t.equal(it.options, { version = "2.0", musl = false })
      t.equal({ it.identity, it.key, it.about.version, it.platform, it.excluded, it.user_managed },
        { "local.tool@r1", 'local.tool@r1{version="2.0"}', "1.0", "darwin-arm64", false, false })
      t.equal(it.host, { "cc-of-test" })
      t.equal(it.dependencies, { { recipe = "local.lib@r1", use = "build", needed_by = "build" } })
      t.equal(#t.requests(), 0)
    """,
    "what it installs": READY
    + """
      local it = t.install()
      t.equal(it.outcome, "installed")
      t.equal(it.files, { "bin/tool" })
      t.equal(it.read("bin/tool"), "#!/bin/sh\\n")
      t.ok(it.is_executable("bin/tool"))
      t.contains(it.asset, "local.tool@r1")
      t.equal(t.install().outcome, "cached")
      t.equal(t.requests(), { "https://example.org/linux-x86_64/tool-1.0.tar.gz" })
      local made
      for _, call in ipairs(t.calls()) do if call.phase == "build" then made = call end end
      t.equal({ made.command, made.answered, made.recipe }, { "make all", true, "local.tool@r1" })
      local warnings = {}
      for _, one in ipairs(t.messages()) do
        if one.level == "warn" then warnings[#warnings + 1] = one.text:gsub("/.*/", "") end
      end
      t.equal(warnings, { "built with lib" })
      t.contains(t.events("phase_start")[1].recipe, "local.")
      t.ok(#t.events() > #t.events("phase_start"))
    """,
    "answers": READY
    + """
      local asked = {}
      t.answer("make all", function(call)
        asked[#asked + 1] = call.text
        t.ok(call.cwd:find("stage", 1, true))
        if #asked == 1 then return { exit_code = 7, stderr = "no rule\\n" } end
        return { files = { ["tool"] = "changed" } }
      end)
      local message = t.error_contains(t.install, "exited 7: make all")
      t.contains(message, "no rule")
      t.equal(t.install().read("bin/tool"), "changed")
      t.equal(asked, { "make all", "make all" })
    """,
    "failures of servers": """
      t.program("cc-of-test", "echo 1") t.package("local.lib@r1", { products = { lib = "lib.a" } })
      t.platform("linux-x86_64")
      local uri = "https://example.org/linux-x86_64/tool-1.0.tar.gz"
      t.serve(uri, { error = "404 Not Found" })
      t.error_contains(t.install, "404 Not Found")
      t.serve(uri, { wrong_digest = true })
      t.error_contains(t.install, "does not match the declared digest")
      t.serve(uri, "not an archive")
      t.error_contains(t.install, "tool-1.0.tar.gz")
    """,
    "errors of the recipe": """
      t.package("local.lib@r1", {})
      t.error_contains(function() t.load { musl = true } end, "not for musl")
      t.error_contains(function() t.load { versoin = "1" } end, "did you mean")
    """,
    "the recipe's own globals, modules and files": """
      t.equal(identity, "local.tool@r1")
      t.equal(require("words").answer, 42)
      t.equal(t.fixture("words.lua"), "return { answer = 42 }\\n")
    """,
    "variables and files": """
      t.env("HOME_OF_TEST", "x")
      t.equal(os.getenv("HOME_OF_TEST"), "x")
      t.env("HOME_OF_TEST", nil)
      t.equal(os.getenv("HOME_OF_TEST"), nil)
      t.equal(os.getenv("SECRET_OF_USER"), nil)
      t.write("a/b.txt", "text")
      t.equal(io.open("a/b.txt"):read("a"), "text")
      io.open("c.txt", "w"):write("x"):close()
    """,
    "platforms": """
      local names = {}
      t.package("local.lib@r1", {})
      t.each_platform(function(name) names[#names + 1] = t.load().platform end)
      t.contains(names, "darwin-arm64")
      t.equal(#names, 8)
    """,
    "a colon, and any byte": 't:equal("\\xff\\0", "\\xff\\0"); t:contains({ 1, { 2 } }, { 2 })',
}

FAILS = {
    "equal": ("t.equal({ 1 }, { 2 }, 'numbers')", ":1: t.equal: numbers: the values differ"),
    "ok": ("t.ok(false)", ":1: t.ok: the value is false"),
    "contains": ("t.contains('text', 'y')", '"y" is not in the text\n    | text'),
    "not in an array": ("t.contains({}, 1)", "1 is not in the array\n    (it is empty)"),
    "contains what": ("t.contains(3, 1)", "it looks into a text or an array, not a number"),
    "no error": ("t.error_contains(function() end, 'x')", "the function did not fail"),
    "another error": (
        "t.error_contains(function() error('y') end, 'x')",
        '"x" is not in the error\n    | ',
    ),
    "no function": ("t.error_contains(1, 'x')", "must be a function, not a number"),
    "a failure inside": (
        "t.error_contains(function() t.equal(1, 2) end, 'x')",
        "t.equal: the values differ\n    found:  1\n    wanted: 2",
    ),
    "a failure that is caught": ("pcall(t.equal, 1, 2)", "t.equal: the values differ"),
    "fail": ("t.fail('why')", ":1: t.fail: why"),
    "unknown function": ("t.eqal(1, 1)", "t has no field 'eqal'; did you mean 'equal'?"),
    "Lua error": ("local x = nil; x.y = 1", ":1: attempt to index a nil value (local 'x')"),
    "error with a table": ("error({})", "(error object is a table value)"),
    "nothing is served": (
        """t.package('local.lib@r1', {}) t.program('cc-of-test', 'echo 1')
           t.platform('linux-x86_64') t.install()""",
        (
            f"test_x has no response for {ARCHIVE}, and a test of a recipe requests nothing from "
            f'the network\n    hint: t.serve("{ARCHIVE}", "content")'
        ),
    ),
    "a dependency is missing": ("t.install()", "there is no recipe file"),
    "writing outside": ("io.open('/etc/x', 'w')", "a test of a recipe writes nowhere else"),
    "removing outside": ("os.remove('../../x')", "a test of a recipe writes nowhere else"),
    "exit": ("os.exit(0)", "os.exit is not available in recipes"),
    "execute": ("os.execute('x')", "os.execute is not available in recipes"),
    "a response": ("t.serve('x', 3)", "a response is a string or a table, not a number"),
    "no response": ("t.serve('x', {})", "this one has none"),
    "two responses": ("t.serve('x', { content = '', error = '' })", "`content` and `error`"),
    "a field of a response": ("t.serve('x', { file = {} })", 'no field "file"'),
    "contents": (
        "t.serve('x', { files = { 'a' } })",
        "`files` must be a table of contents by path",
    ),
    "an answer": ("t.answer('x', { exit_code = -1 })", "a number from 0 to 255"),
    "a program": ("t.program('a/b', 'x')", "is not the name of a program"),
    "a platform": ("t.platform('beos')", '"beos" is not a platform'),
    "options": ("t.load('x')", "the options must be a table with names"),
    "an array of options": ("t.load({ 1 })", "not an array"),
    "a fixture": ("t.fixture('nope')", "t.fixture: nope: No such file"),
    "a field of a package": ("t.package('local.lib@r1', { product = {} })", "product"),
    "products": ("t.package('local.lib@r1', { products = { 1 } })", "a table of paths by name"),
    "arguments that are missing": ("t.env()", "its first argument must be a text, not nil"),
    "too many": ("t.platform('linux', 1, 2)", "t.platform: too many positional arguments"),
    "coroutines": ("coroutine.wrap(function() t.equal(1, 2) end)()", "t.equal: the values differ"),
    "a loop": ("while true do end", "the limit recipe-test"),
    "a loop in a pattern of errors": ("while true do pcall(error) end", "the limit recipe-test"),
    "an install in an answer": (
        READY.replace("\n", " ") + 't.answer("make", function() t.install() end) t.install()',
        "the recipe cannot be installed while it is being installed",
    ),
    "a failure in an answer": (
        READY.replace("\n", " ")
        + 't.answer("make", function() t.equal(1, 2) end) t.error_contains(t.install, "equal")',
        "t.equal: the values differ",
    ),
}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run one test with a body beside a recipe; return how it ended and what it printed."""
    monkeypatch.chdir(tmp_path)

    def run(body, *, recipe=RECIPE, limit=30):
        (tmp_path / "local.tool@r1.lua").write_text(recipe)
        (tmp_path / "words.lua").write_text("return { answer = 42 }\n")
        path = tmp_path / "local.tool@r1_test.lua"
        path.write_text(f"function test_x(t) {body} end\n")
        said = []
        environment = {"PATH": os.environ["PATH"], "SECRET_OF_USER": "secret"}
        assert load_tests(path, environment) == ("test_x",)
        return OneTest(path, "test_x", environment, said.append).run(limit, Children()), said

    return run


@pytest.fixture(autouse=True)
def _few_steps():
    from envy.limits import adopt_limits

    adopt_limits({"recipe-test": 20_000_000})
    yield
    adopt_limits({})


@pytest.mark.parametrize("body", PASSES.values(), ids=PASSES)
def test_what_passes(run, body):
    """The vocabulary shows what a recipe declares, installs, requests and runs."""
    end, _said = run(body)
    assert f"{end.action}{end.text}" == "pass"


@pytest.mark.parametrize(("body", "message"), FAILS.values(), ids=FAILS)
def test_what_fails(run, body, message):
    """The failure names the line of the test, and says what is wrong."""
    end, _said = run(body)
    assert end.action == "fail"
    assert message in end.text
    if "pcall" not in body:
        assert "local.tool@r1_test.lua:" in end.text


def test_skipped_and_printed(run):
    """A test may end itself as skipped; what it prints is output."""
    end, said = run(
        "print('one'); t.log({ a = 1 }, 'two'); envy.warn('three'); t.skip('not today')"
    )
    assert (end.action, end.text) == ("skip", "not today")
    assert said == ["one", "{ a = 1 } two", "warn: three"]


USER_MANAGED = """
identity = "local.tool@r1"
check = "test -e marker-of-test"
install = "touch marker-of-test"
"""


def test_programs_that_would_change_the_machine(run, tmp_path):
    """Those of a user-managed recipe, and of fetch, are started only if the test says so."""
    end, _said = run("t.install()", recipe=USER_MANAGED)
    assert "test_x has no answer for `test -e marker-of-test`, and the recipe is user-managed" in (
        end.text
    )
    assert 't.answer("test", { exit_code = 0, stdout = "…" }), or t.allow_programs()' in end.text
    allowed = """
      t.allow_programs()
      t.equal(t.install().outcome, "changed") t.equal(t.install().outcome, "satisfied")
      t.equal(io.open("marker-of-test"):read("a"), "")"""
    end, _said = run(allowed, recipe=USER_MANAGED)
    assert f"{end.action}{end.text}" == "pass"
    assert not list(tmp_path.glob("marker*"))

    fetches = """
    identity = "local.tool@r1"
    fetch = function(ctx) ctx.run("curl https://example.org/x >x"); ctx.commit_fetch("x") end"""
    end, _said = run("t.install()", recipe=fetches)
    assert "programs of `fetch` may reach the network, which a test does not use" in end.text
    end, _said = run(
        't.answer("curl", { files = { x = "content" } }) t.equal(t.install().read("x"), "content")',
        recipe=fetches,
    )
    assert f"{end.action}{end.text}" == "pass"


def test_a_recipe_that_writes_outside(run, tmp_path):
    """Functions of a recipe write below the test's folder only, and programs have a home in it."""
    recipe = f"""
    identity = "local.tool@r1"
    options = {{ where = {{ type = "string", default = "" }} }}
    build = function(ctx, opts)
      if opts.where == "ctx" then ctx.write("{tmp_path}/outside", "x") end
      if opts.where == "io" then io.open("{tmp_path}/outside", "w") end
      ctx.run("touch $HOME/inside; env > variables")
    end
    """
    for where in ("ctx", "io"):
        end, _said = run(f"t.install {{ where = '{where}' }}", recipe=recipe)
        assert "outside lies outside of the test's folder" in end.text
    assert not (tmp_path / "outside").exists()
    body = """
      local found = t.install().read("variables")
      t.ok(not found:find("SECRET_OF_USER")) t.contains(found, "http_proxy=http://127.0.0.1:9")"""
    end, _said = run(body, recipe=recipe)
    assert f"{end.action}{end.text}" == "pass"


def test_time_limits(run):
    """A program and an answer that take too long are ended with the test."""
    sleeps = 'identity = "local.tool@r1"\nbuild = "sleep 600"\n'
    end, _said = run("t.install()", recipe=sleeps, limit=0.5)
    assert (end.action, end.reason) == ("fail", "timeout")
    assert end.seconds < 300


def test_a_recipe_of_a_bundle(tmp_path):
    """Modules of the bundle are found, and another of its recipes is one however it is named."""
    for name, text in {
        "envy-bundle.lua": 'recipes = { ["v.a@r1"] = "sub/a.lua", ["v.b@r1"] = "b.lua" }',
        "common.lua": 'return { text = "common" }',
        "b.lua": 'identity = "v.b@r1"\nbuild = "true > y"',
        "sub/a.lua": """identity = "v.a@r1"
            local common = require("common")
            dependencies = { "v.b@r1", { recipe = "v.b@r1", source = "../b.lua" } }
            install = function(ctx) ctx.write("x", common.text) end""",
        "sub/a_test.lua": """function test_a(t)
            t.equal(t.install().read("x"), require("common").text)
        end""",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {"PATH": os.environ["PATH"]}
    end = OneTest(tmp_path / "sub/a_test.lua", "test_a", environment, print).run(60, Children())
    assert f"{end.action}{end.text}" == "pass"
    assert {str(tmp_path / name) for name in ("envy-bundle.lua", "common.lua", "b.lua")} <= end.read


def test_a_script_that_fails(run):
    """The failure has the end of the log, and no path of a folder that is removed."""
    recipe = 'identity = "local.tool@r1"\nbuild = "echo said; false"\n'
    end, _said = run("t.install()", recipe=recipe)
    assert end.text.splitlines() == [
        "local.tool@r1_test.lua:1: local.tool@r1: build failed",
        "  local.tool@r1.lua:2: script exited 1: echo said; false",
        "  declared in local.tool@r1_test.lua",
        "  log (last 2 lines follow)",
        "    $ echo said; false",
        "    said",
    ]


def test_the_end_of_the_run_ends_a_test(run, tmp_path):
    """Once the programs of the whole run are terminated, so is what a test runs."""
    children = Children()
    children.terminate_all()
    path = tmp_path / "local.tool@r1_test.lua"
    run("t.ok(true)")
    end = OneTest(path, "test_x", {"PATH": os.environ["PATH"]}, print).run(None, children)
    assert (end.action, end.reason, end.stopped) == ("fail", "cancelled", True)


BAD = {
    "x =": "local.tool@r1_test.lua:1: unexpected symbol near <eof>",
    "error('no')": "local.tool@r1_test.lua:1: no",
    "require('nope')": "module 'nope' not found",
    "x = 1": "local.tool@r1_test.lua has no tests\n  hint: a test is a global function",
    "test_a = 1": "local.tool@r1_test.lua:1: `test_a` is not a function",
    "function test_a() end\nfunction test_a() end": (
        ":2: the test `test_a` is defined in line 1, too"
    ),
    "local function test_a() end function test_b() end": (
        ":1: `test_a` is local, so it is not a test"
    ),
    "while true do end": "the limit recipe-test",
    "io.open('x', 'w')": "cannot be written while the file loads",
    "\x1bLua": "the file is compiled Lua",
    "_G['test_\\n'] = function() end": "is not a name that a test can have",
}


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=range(len(BAD)))
def test_files_that_cannot_be_run(tmp_path, monkeypatch, text, message):
    """Nothing is run, and the message names the file and the line."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "local.tool@r1.lua").write_text('identity = "local.tool@r1"\nbuild = "true"\n')
    path = tmp_path / "local.tool@r1_test.lua"
    path.write_text(text)
    with pytest.raises(UnusableTests) as caught:
        load_tests(path, {})
    assert message in str(caught.value)
    assert "/local.tool" not in str(caught.value).partition(": ")[0]


def test_a_recipe_that_cannot_be_run(tmp_path):
    """The tests of a recipe that Lua does not accept, or that is missing, say so."""
    path = tmp_path / "local.tool@r1_test.lua"
    path.write_text("function test_a() end")
    with pytest.raises(UnusableTests, match="beside it, which does not exist"):
        load_tests(path, {})
    (tmp_path / "local.tool@r1.lua").write_text("identity = ")
    with pytest.raises(UnusableTests, match=r"local.tool@r1.lua:1: unexpected symbol"):
        load_tests(path, {})


def test_every_shipped_recipe_has_tests():
    """Each recipe that ships with envy has a file of tests beside it."""
    tested = {recipe_of(path) for path in find_test_files(SHIPPED, ["."])}
    assert tested == set(SHIPPED.glob("envy.*@r1.lua"))


@pytest.mark.parametrize("path", find_test_files(SHIPPED, ["."]), ids=lambda path: path.stem)
def test_shipped_recipes(path):
    """The tests of the shipped recipes pass."""
    environment = {"PATH": os.environ["PATH"]}
    for name in load_tests(path, environment):
        end = OneTest(path, name, environment, print).run(60, Children())
        assert (end.action, end.text) == ("pass", ""), name
