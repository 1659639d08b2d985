"""`envy test` of recipes: found beside them, remembered, and ended when they do not end."""

import re
import signal

import pytest
from gotests import events_of, in_time, outcomes, wait_for

SETTLED = {"ENVY_TEST_SETTLE": "0"}

HELLO = """
options = { version = { type = "string", default = "1.0" } }
local words = require("words")
fetch = function(_, opts)
  return { source = "https://example.org/hello-" .. opts.version .. ".txt", dest = "hello.txt" }
end
install = function(ctx)
  ctx.run("tr a-z A-Z <" .. ctx.stage_dir .. "/hello.txt >" .. words.name)
end
"""
TESTS = """
function test_upper_case(t)
  t.serve("https://example.org/hello-2.0.txt", "hello")
  t.equal(t.install({ version = "2.0" }).read("loud.txt"), "HELLO")
end

function test_source(t)
  t.equal(t.load().sources[1].dest, "hello.txt")
end

function test_later(t) t.skip("not today") end
"""
HOSTILE = """
function test_network(t) t.install() end
function test_loop(t) while true do end end
function test_exit(t) os.exit(0) end
function test_outside(t) io.open("/outside-of-test", "w") end
function test_slow(t)
  t.serve("https://example.org/hello-1.0.txt", "hello")
  t.answer("tr a-z", function() while true do end end)
  t.install()
end
function test_wrong(t) print("\\xff\\0\\27[31m") t.equal(1, 2) end
function test_right(t) t.ok(1) end
"""


@pytest.fixture
def tested(project):
    """A project with a recipe, its tests, and files that are no tests of recipes."""
    project.recipe("local.hello@r1", HELLO)
    project.write("recipes/words.lua", 'return { name = "loud.txt" }\n')
    project.write("recipes/local.hello@r1_test.lua", TESTS)
    project.write("game/ball.lua", "local ball = {}\n")
    project.write("game/ball_test.lua", "error('not for envy')\n")
    project.packages("local.hello@r1")
    return project


def envy_test(project, *words, code=0, env=None):
    return project.envy("test", *words, code=code, trace=False, env={**SETTLED, **(env or {})})


def test_a_recipe_is_tested(tested):
    """Tests run, are selected and listed, and run again only if what they rest on has changed."""
    run = envy_test(tested)
    assert re.search(r"^ok +recipes/local.hello@r1 .*\(3 tests\)$", run.out, re.MULTILINE)
    assert "2 passed, 0 failed, 1 skipped in 1 package" in run.out
    assert "(1 cached)" in envy_test(tested).out
    listed = envy_test(tested, "--list", "recipes/local.hello@r1.lua").out.split()
    package = "recipes/local.hello@r1"
    assert listed == [f"{package}.test_{name}" for name in ("upper_case", "source", "later")]
    assert "1 passed, 0 failed" in envy_test(tested, "--run", "source", "./recipes").out
    run = envy_test(tested, "--json", "--rerun", "--jobs", "2", "./...")
    assert outcomes(run) == {
        "test_upper_case": "pass", "test_source": "pass", "test_later": "skip", "": "pass",
    }  # fmt: skip
    tested.write("recipes/words.lua", 'return { name = "quiet.txt" }\n')
    run = envy_test(tested, "--explain", "--junit", "report.xml", code=1)
    assert "recipes/words.lua changed" in run.out
    assert "recipes/local.hello@r1_test.lua:4: read: loud.txt: No such file" in run.out
    assert 'classname="recipes/local.hello@r1"' in (tested.root / "report.xml").read_text()
    tested.write("recipes/words.lua", 'return { name = "loud.txt" }\n')
    failed = envy_test(tested, "--failed", "--json")
    assert outcomes(failed) == {"test_upper_case": "pass", "": "pass"}


def test_modules_that_a_test_requires_count(project):
    """A module that only a function of the tests loads is an input of their results."""
    project.recipe("local.hello@r1", HELLO)
    project.write("recipes/words.lua", 'return { name = "loud.txt" }\n')
    test = 'function test_number(t) t.equal(require("number"), 1) end\n'
    project.write("recipes/local.hello@r1_test.lua", test)
    project.write("recipes/number.lua", "return 1\n")
    project.packages("local.hello@r1")
    envy_test(project)
    assert "(1 cached)" in envy_test(project).out
    project.write("recipes/number.lua", "return 2\n")
    assert "recipes/number.lua changed" in envy_test(project, "--explain", code=1).out


def test_recipes_elsewhere_that_the_manifest_uses(tested, tmp_path):
    """Beside the manifest, the tests of all its recipes run, but not those of shipped ones."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "tool.lua").write_text('identity = "vendor.tool@r1"\nbuild = "true"\n')
    (shared / "tool_test.lua").write_text("function test_it(t) t.load() end\n")
    source = f'{{ recipe = "vendor.tool@r1", source = "{shared}/tool.lua" }}'
    tested.manifest(f'packages = {{ "local.hello@r1", {source}, "envy.ninja@r1" }}')
    run = envy_test(tested)
    assert "3 passed, 0 failed, 1 skipped in 2 packages" in run.out
    assert f"{shared}/tool" in run.out
    assert "in 1 package" in envy_test(tested, "./...").out
    assert (
        "there is no Go toolchain" in envy_test(tested, "game", code=3, env={"PATH": "/none"}).err
    )


def test_hostile_tests_have_their_own_results(tested):
    """Neither the network, a loop, an exit nor a time limit harms another test."""
    tested.write("recipes/local.hello@r1_test.lua", HOSTILE)
    few = {"ENVY_LIMITS": "recipe-test=20M"}
    run = envy_test(tested, "--json", "--jobs", "2", code=1, env=few)
    reasons = {name: action for name, action in outcomes(run).items() if action == "pass"}
    assert reasons == {"test_right": "pass"}
    said = "".join(row.get("Output", "") for row in events_of(run))
    for message in (
        "test_network has no response for https://example.org/hello-1.0.txt",
        "recipes/local.hello@r1_test.lua:3: the Lua code does not end: it took more than",
        "os.exit is not available in recipes",
        "/outside-of-test lies outside of the test's folder",
        "recipes/local.hello@r1_test.lua:11: t.equal: the values differ\n    found:  1\n",
    ):
        assert message in said
    words = ("--json", "--run", "slow|right", "--timeout")
    timed = in_time(lambda limit: envy_test(tested, *words, limit, code=1), "test_slow")
    assert outcomes(timed) == {"test_slow": "fail", "test_right": "pass", "": "fail"}
    [slow] = [row for row in events_of(timed) if row.get("Test") == "test_slow"
              and row["Action"] == "fail"]  # fmt: skip
    assert slow["Reason"] == "timeout"


def test_mistakes(tested):
    """Files that cannot be run are not built; the others run. What is missing is named."""
    for name, text in {
        "none": "x = 1",
        "syntax": "x =",
        "twice": "function test_a() end\nfunction test_a() end\n",
    }.items():
        tested.recipe(f"local.{name}@r1", 'build = "true"')
        tested.write(f"recipes/local.{name}@r1_test.lua", text)
    run = envy_test(tested, code=3)
    assert "2 passed, 0 failed, 1 skipped in 4 packages (3 not built)" in run.out
    assert "recipes/local.none@r1_test.lua has no tests" in run.out
    assert "recipes/local.syntax@r1_test.lua:1: unexpected symbol near <eof>" in run.out
    assert (
        "recipes/local.twice@r1_test.lua:2: the test `test_a` is defined in line 1, too" in run.out
    )
    for words, message in {
        ("recipes/nope_test.lua",): "there is no file recipes/nope_test.lua",
        ("recipes/words.lua",): "recipes/words.lua has no tests",
        ("game/ball_test.lua",): "beside it is no recipe ball.lua",
        ("recipes/local.hello@r1", "--run", "nope"): "--run 'nope' leaves no test",
        ("recipes", "-race"): "-race is a flag of Go, and the patterns match tests of recipes only",
        ("recipes", "--coverage"): "--coverage cannot measure tests of recipes",
        ("recipes", "--sanitize=address"): "--sanitize is for native tests",
    }.items():
        wrong = words[-1] in {"-race", "--sanitize=address", "--coverage"}
        run = envy_test(tested, *words, code=2 if wrong else 4)
        assert message in run.err


def test_ctrl_c_ends_what_a_test_runs(tested):
    """The program of a recipe under test ends with the run, and nothing stays behind."""
    scratch = tested.root / "scratch"
    scratch.mkdir()
    mark = tested.root / "started"
    tested.recipe("local.hello@r1", f'build = "echo >{mark}; exec sleep 3600"')
    tested.write("recipes/local.hello@r1_test.lua", "function test_it(t) t.install() end\n")
    process = tested.popen("test", env={"TMPDIR": str(scratch)})
    wait_for(mark)
    process.send_signal(signal.SIGINT)
    out, _err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert b"cancelled" in out
    assert list(scratch.iterdir()) == []
