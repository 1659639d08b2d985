"""Lua code that is wrong, hostile or endless is reported or stopped, and never ends envy."""

import os
import signal

import pytest
from mistakes import Mistakes, assert_clean, fails, interrupt
from project import Project

NESTED = """
  local function deeper(level)
    if level == 0 then return 1 end
    table.sort({ 2, 1 }, function(a, b)
      string.gsub("x", "x", function() deeper(level - 1) end)
      return a < b
    end)
  end
  deeper(200)"""

# The body of an install function, in line 3 of the file; parts of the error.
BODIES = [
    (
        "os.exit()",
        "FILE:3: os.exit is not available in recipes",
        "end a phase by returning, or with error(…)",
    ),
    ("os.exit(0, true)", "FILE:3: os.exit is not available in recipes"),
    (
        'os.execute("ls")',
        "FILE:3: os.execute is not available in recipes",
        "run programs with ctx.run in a phase",
    ),
    (
        'io.popen("ls")',
        "FILE:3: io.popen is not available in recipes",
        "run programs with ctx.run in a phase",
    ),
    ('error("my words")', "FILE:3: my words"),
    ("error({})", "FILE:3: (error object is a table value)"),
    ('coroutine.wrap(function() error("inside") end)()', "FILE:3: inside"),
    ("local t = nil; t.x = 1", "FILE:3: attempt to index a nil value (local 't')"),
    ("local function f() return 1 + f() end f()", "FILE:3 (in f): stack overflow"),
    (
        "local s = ('x'):rep(1 << 29) .. ('y'):rep(1 << 29)",
        "the Lua code used more than its limit of 512 MiB",
        "write large data to files",
    ),
    (
        'require("other")',
        "FILE:3: module 'other' was not loaded with the file",
        "require it outside of functions",
    ),
    ("ctx.foo()", "FILE:3: ctx has no field 'foo' in this phase"),
    ("ctx.coppy()", "FILE:3: ctx has no field 'coppy' in this phase", "did you mean 'copy'?"),
    ('ctx.fetch("x")', "FILE:3: ctx.fetch is not available in install", "fetch"),
    ("ctx.run()", "FILE:3: ctx.run: the script must be a string, or an array of lines"),
    (
        'ctx.run("true", { tmeout = 3 })',
        'FILE:3: ctx.run has no field "tmeout"',
        'did you mean "timeout"?',
    ),
    (
        'ctx.run("true", { timeout = -1 })',
        "FILE:3: ctx.run: `timeout` must be a number of seconds above 0, not -1",
    ),
    (
        'ctx.run("true", { env = { A = {} } })',
        "FILE:3: ctx.run: `env.A` must be a string, not an empty table",
    ),
    (
        'ctx.run("true", { cwd = "nowhere" })',
        "FILE:3: script could not be started, because there is no directory",
        "asset/nowhere",
    ),
    (
        'ctx.run("true", { shell = { inline = { "no-shell", "-c" } } })',
        "FILE:3: script could not be started, because there is no program 'no-shell' on PATH",
        "install no-shell",
    ),
    ('ctx.exec("ls")', 'FILE:3: ctx.exec takes an array of strings, such as {"make", "test"}'),
    (
        'ctx.exec({ "no-program" })',
        "there is no program 'no-program' on PATH",
        "install no-program",
    ),
    (
        'ctx.copy("nowhere", "x")',
        "FILE:3: cannot copy ",
        "nowhere: No such file or directory",
        "check the spelling",
    ),
    ('ctx.copy("x")', "FILE:3: ctx.copy: expected a string, not nil"),
    (
        'ctx.write("a", "x") ctx.replace("a", "zz", "y")',
        "does not contain 'zz'",
        "the text is taken literally",
    ),
    ('ctx.extract("nowhere.tar")', "FILE:3: there is no nowhere.tar in ", "fetched files: none"),
    ('ctx.patch("nowhere.patch")', "FILE:3: there is no nowhere.patch in ", "fetched files: none"),
    ('ctx.remove("/")', "FILE:3: cannot remove /", "it is the root of the file system"),
    ('ctx.template("{{x}}", {})', "FILE:3: {{x}} has no value"),
    ('ctx.asset("a@@")', "FILE:3: 'a@@' does not name a package", "use a name"),
    (
        'ctx.run("cat", { interactive = true })',
        "FILE:3: interactive = true needs a terminal, and there is none",
        "run envy from a terminal",
    ),
    (
        'ctx.run("mkfifo pipe")',
        "/asset/pipe is neither a file, a directory nor a link",
        "the cache can only hold files",
    ),
    ("ctx.mark_install_complete() error('late')", "FILE:3: late"),
    (NESTED, "C stack overflow"),
]


@pytest.fixture(scope="module")
def bodies(tmp_path_factory):
    """Sync all of the bodies in one run, which none of them can end."""
    project = Project(tmp_path_factory.mktemp("bodies") / "project")
    cases = [
        (f"install = function(ctx, opts)\n  {body}\nend", reason, *parts)
        for body, reason, *parts in BODIES
    ]
    return Mistakes(project, cases, timeout=240)


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_mistake_in_a_phase(bodies, number):
    """The error has recipe, phase, file, line and remedy."""
    bodies.check(number, *BODIES[number][1:])


def test_mistakes_in_phases_leave_nothing(bodies):
    """No marker, lock or process remains, whatever the code tried."""
    assert_clean(bodies.project, bodies.outcome.err)


LOADING = [
    ("os.exit(0)", "FILE:2: os.exit is not available in recipes", "recipe_fetch failed"),
    (
        "while x do",
        "FILE:3: 'end' expected (to close 'while' at line 2) near <eof>",
        "recipe_fetch failed",
    ),
    ('io.open("x", "w")', "FILE:2: x cannot be written while the file loads", "do it in a phase"),
    (
        'require("nowhere")',
        "FILE:2: module 'nowhere' not found: no nowhere.lua or nowhere/init.lua",
    ),
    ('dependencies = function()\n  error("oh") end\ninstall = "true"', "FILE:3: oh"),
    (
        'dependencies = function() return "x" end\ninstall = "true"',
        "FILE:2: `dependencies` must be an array of entries",
    ),
    (
        'exports = function()\n  return { env = 3 } end\ninstall = "true"',
        "`env` must be a table of variables, not a number",
    ),
]


@pytest.fixture(scope="module")
def loading(tmp_path_factory):
    """Sync all of the cases in one run."""
    return Mistakes(Project(tmp_path_factory.mktemp("loading") / "project"), LOADING)


@pytest.mark.parametrize("number", range(len(LOADING)))
def test_a_mistake_while_a_recipe_loads(loading, number):
    """The error has the line of the file, and the other recipes are still read."""
    loading.check(number, *LOADING[number][1:])


def test_callbacks_that_nest_200_deep_and_fit(project):
    """Deep nesting that Lua supports is not an error."""
    project.make(
        "install = function(ctx)\n"
        "  local function deeper(n) if n > 0 then return pcall(deeper, n - 1) end end\n"
        '  deeper(180) ctx.write("x", "y")\nend'
    )


ENDLESS = {
    "a loop": "while true do end",
    "a loop in a coroutine": "coroutine.wrap(function() while true do end end)()",
    "a loop that catches": "while true do pcall(function() while true do end end) end",
    "a loop of coroutines that catches": (
        "while true do pcall(coroutine.wrap(function() while true do end end)) end"
    ),
    # Lua calls no count hook during a pattern match.
    "a pattern match": 'local text = ("a"):rep(40000) text:match("(.-)(.-)(.-)(.-)(.-)b")',
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_phase_is_interrupted(project, code):
    """Ctrl-C ends an endless phase promptly."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'install = function(ctx)\n  envy.info("begun")\n  {code}\nend')
    interrupt(project, once="local.one@r1: begun")


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_recipe_is_interrupted_while_it_loads(project, code):
    """Ctrl-C ends an endless recipe before anything is installed."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f'envy.info("begun")\n{code}')
    interrupt(project, once="local.one@r1: begun")


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS)
def test_an_endless_manifest_is_interrupted(project, code):
    """Ctrl-C ends an endless manifest before an engine exists."""
    project.manifest(f'envy.info("begun")\n{code}')
    interrupt(project, once="envy.lua: begun")


def test_endless_code_ends_at_its_limit(project):
    """Code that does not end is an error with its line, in a manifest, a recipe and a function."""
    limits = {"ENVY_LIMITS": "lua-steps=3000000"}
    said = "the Lua code does not end: it took more than 3000000 steps, the limit lua-steps"

    def failed(*lines):
        run = project.envy("sync", env=limits, code=1)
        assert "Traceback" not in run.err
        assert "raise the limit: ENVY_LIMITS=lua-steps=6000000" in run.err
        for line in lines:
            assert f"{line}: {said}" in run.err or f"{line} (" in run.err, run.err
        assert said in run.err

    project.manifest("local n = 0\nwhile true do\n  pcall(error)\nend")
    failed("envy.lua:3")
    loop = "while true do pcall(function() while true do end end) end"
    project.packages("local.one@r1", "local.two@r1", "local.three@r1", "local.four@r1")
    project.recipe("local.one@r1", f"\n{loop}")
    project.recipe("local.two@r1", f"fetch = function()\n{loop} end")
    project.recipe("local.three@r1", f"dependencies = function()\n{loop} end\ninstall = 'exit 1'")
    project.recipe("local.four@r1", f"install = function(ctx)\n{loop} end")
    failed(*(f"recipes/local.{name}@r1.lua:3" for name in ("one", "two", "three", "four")))
    assert project.markers() == []
    # Calls that each end are no endless call.
    project.packages("local.five@r1")
    count = "for i = 1, 400000 do end"
    project.recipe(
        "local.five@r1", f"{count}\ninstall = function(ctx) {count}\n  ctx.write('x', 'y') end"
    )
    project.envy("sync", env=limits)


def test_a_second_interrupt_does_not_wait(project):
    """After a second interrupt, envy does not wait for code that cannot be stopped."""
    project.packages("local.one@r1")
    code = ENDLESS["a pattern match"]
    project.recipe("local.one@r1", f'install = function()\n  envy.info("begun")\n  {code}\nend')
    interrupt(
        project,
        once="local.one@r1: begun",
        then=lambda process: process.send_signal(signal.SIGTERM),
    )


# Only the function that takes for ever uses the processor as long as this (in hundredths of a
# second); the one that waits for this script does not.
UNTIL_ENVY_COMPUTES = """
envy_used() { read -r line < /proc/$PPID/stat; line=${line##*) }; set -- $line; used=${12}; }
envy_used; before=$used
while envy_used; [ $used -lt $((before + 20)) ]; do sleep 0.05; done
"""

STUCK = {
    "a pattern match": ENDLESS["a pattern match"],
    "a substitution": 'local text = ("a"):rep(40000) text:gsub("(.-)(.-)(.-)(.-)(.-)b", "")',
    "a repetition of nothing": 'local none = (""):rep(1 << 60)',
    "a move": "table.move({}, 1, 1 << 60, 2)",
    "a shift": "table.insert(setmetatable({}, { __len = function() return 1 << 60 end }), 1, 1)",
}


@pytest.mark.parametrize("code", STUCK.values(), ids=STUCK)
def test_fail_fast_does_not_wait_for_what_cannot_be_stopped(project, tmp_path, code):
    """A function of Lua that takes minutes hides no failure, and the run ends without it."""
    begun = tmp_path / "begun.fifo"
    os.mkfifo(begun)
    project.packages("local.stuck@r1", "local.fails@r1")
    project.recipe(
        "local.stuck@r1",
        f'install = function(ctx)\n  ctx.run("echo > {begun}")\n  {code}\nend',
    )
    project.recipe(
        "local.fails@r1", f"install = [[\ncat {begun}\n{UNTIL_ENVY_COMPUTES}\nexit 3\n]]"
    )
    run = project.envy("sync", "--jobs=2", "--fail-fast", code=1)
    assert "error: local.fails@r1: install failed" in run.err
    assert run.err.endswith(
        "stopped, because local.fails@r1 failed (--fail-fast); what could not be stopped was "
        "abandoned\n"
    )
    assert run.named("phase_failed", recipe="local.fails@r1")
    assert_clean(project, run.err)


def test_a_mistake_in_a_module_names_the_module(project):
    """The error has the line in the module, not the line that requires it."""
    project.packages("local.one@r1")
    project.write("recipes/common.lua", 'return {\n  version = nil .. "x" }')
    project.recipe("local.one@r1", 'local common = require("common")\ninstall = "true"')
    fails(project, "recipes/common.lua:2: attempt to concatenate a nil value")
