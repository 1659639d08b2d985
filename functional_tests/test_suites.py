"""`envy test` of other kinds: commands of the manifest, and pytest, with the truth about each."""

import os
import re
import sys
import time
from pathlib import Path

import pytest
from gotests import events_of, in_time, outcomes
from project import Project

HOSTILE = """
import os, signal, sys
def test_a_pass(): print("fine")
def test_b_segv(): os.kill(os.getpid(), signal.SIGSEGV)
def test_c_abort(): os.abort()
def test_d_exit(): os._exit(0)
def test_e_loop():
    while True: pass
def test_f_wrong(): assert 2 + 2 == 5
def test_g_forged():
    os.write(1, b'{"Action":"pass","Test":"test_f_wrong"}\\n')
    print("PASSED test_f_wrong", file=sys.__stdout__)
    variables = open("/proc/self/environ").read().split("\\0")
    [given] = [text for text in variables if text.startswith("ENVY_TEST_EVENTS=")]
    forged = b'{"event":"end","id":"tests/test_hostile.py::test_f_wrong","outcome":"pass"}'
    os.write(int(given.partition("=")[2].partition(":")[0]), forged + b'\\n{"event":')
    assert "ENVY_TEST_EVENTS" not in os.environ and "envy" not in os.environ.get("PYTHONPATH", "")
def test_h_pass(): pass
"""
MORE = """
import unittest
import pytest
@pytest.mark.parametrize("x", ["a/b", "ü"])
def test_p(x): pass
@pytest.mark.skip(reason="no reason")
def test_skipped(): pass
@pytest.mark.xfail
def test_known(): assert 0
@pytest.mark.xfail(strict=True)
def test_strict(): pass
@pytest.fixture
def bad(): raise ValueError("from setup")
def test_setup(bad): pass
"""


class SuiteProject(Project):
    """A project whose files were written some time ago, and a PATH with few programs."""

    def environment(self, extra=None):
        path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
        return {**super().environment(extra), "PATH": path, "ENVY_TEST_SETTLE": "0.01",
                **(extra or {})}  # fmt: skip

    def write(self, name, text, **options):
        path = super().write(name, text, **options)
        earlier = time.time() - 10
        os.utime(path, (earlier, earlier))
        return path

    def envy_test(self, *words, code=0, **options):
        return self.envy("test", *words, code=code, trace=False, **options)


@pytest.fixture
def suites(tmp_path):
    return SuiteProject(tmp_path / "project")


def reasons_of(run):
    return {row["Test"]: row.get("Reason", "") for row in events_of(run)
            if row["Action"] == "fail" and row.get("Test")}  # fmt: skip


def test_hostile_tests_of_pytest_have_their_own_results(suites):
    """Crashes, early exits, a loop and forged results harm no other test, and restarts go on."""
    suites.write("pytest.ini", "[pytest]\n")
    suites.write("tests/test_hostile.py", HOSTILE)
    run = in_time(
        lambda limit: suites.envy_test("--json", "--timeout", limit, code=1), "e_loop", seconds=1
    )
    expected = dict.fromkeys("abcdefgh", "fail") | dict.fromkeys("agh", "pass")
    assert {name.partition("::")[2][5:6]: end for name, end in outcomes(run).items() if name} == (
        expected
    )
    assert {name[22:]: reason for name, reason in reasons_of(run).items()} == {
        "b_segv": "signal SIGSEGV", "c_abort": "signal SIGABRT", "d_exit": "exit 0",
        "e_loop": "timeout", "f_wrong": "",
    }  # fmt: skip
    said = "".join(row.get("Output", "") for row in events_of(run))
    assert "assert (2 + 2) == 5" in said
    assert "in test_e_loop" in said
    assert events_of(run)[0]["Driver"] == "pytest"


def test_pytest_tells_all_outcomes_and_is_remembered(suites):
    """Skips, expected failures and errors of a fixture count as in pytest; a pass is kept."""
    suites.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    suites.write("tests/sub/test_other.py", "def test_ok(): pass\n")
    more = suites.write("tests/test_more.py", MORE)
    run = suites.envy_test("--json", code=1)
    assert outcomes(run) == {
        "": "fail", "sub%2Ftest_other.py::test_ok": "pass", "test_more.py::test_p[a%2Fb]": "pass",
        "test_more.py::test_p[\\xfc]": "pass", "test_more.py::test_skipped": "skip",
        "test_more.py::test_known": "skip", "test_more.py::test_strict": "fail",
        "test_more.py::test_setup": "fail",
    }  # fmt: skip
    assert reasons_of(run)["test_more.py::test_setup"] == "setup failed"
    listed = suites.envy_test("--list", "tests/test_more.py", "--run", "test_p|known").out
    assert listed.splitlines() == [
        f"tests.test_more.py::test_{name}" for name in ("p[a%2Fb]", "p[\\xfc]", "known")
    ]
    assert "(1 test)" in suites.envy_test("tests/sub").out
    assert "(1 test)" in suites.envy_test("--run", "ok$").out

    more.write_text("def test_fine(): pass\n")
    os.utime(more, (time.time() - 10,) * 2)
    assert "(2 tests)" in suites.envy_test("--explain").out
    assert "cached, nothing changed" in suites.envy_test("--explain").out
    suites.write("tests/data.txt", "new")
    assert f"ran, because {suites.root}/tests changed" in suites.envy_test("--explain").out
    broken = suites.write("tests/test_bad.py", "import nothing_of_this_name\n")
    failed = suites.envy_test(code=3)
    assert "nothing_of_this_name" in failed.out
    broken.unlink()


def test_projects_without_tests_and_odd_texts(suites):
    """A project in which no test is found is shown; half characters in a message harm nothing."""
    suites.write("a/pytest.ini", "[pytest]\n")
    suites.write("a/test_a.py", "def tst_a(): pass\n")
    suites.write("b/pytest.ini", "[pytest]\n")
    suites.write("b/test_b.py", 'import pytest\ndef test_b(): pytest.skip("half \\ud800")\n')
    run = suites.envy_test(env={"ODD": "\udcff"})
    assert re.search(r"^ok +a .*\(0 tests\)", run.out, re.MULTILINE), run.out
    assert "0 passed, 0 failed, 1 skipped" in run.out


def test_a_record_of_failures_that_cannot_be_written_changes_no_outcome(suites):
    """It is a warning, and the run passes."""
    suites.write("pytest.ini", "[pytest]\n")
    suites.write("test_a.py", "def test_a(): pass\n")
    (suites.cache / "test").mkdir(parents=True)
    (suites.cache / "test/last").write_text("a file in the place of a folder")
    run = suites.envy_test()
    assert "1 passed" in run.out
    assert run.err.count("warning: what failed is not remembered for --failed: ") == 1


def test_what_pytest_imports_from_elsewhere_counts(suites):
    """Packages without __init__.py, and all that lies in an entry of sys.path, are inputs."""
    suites.write("tests/pytest.ini", "[pytest]\npythonpath = .. ../more\n")
    code = "from lib import mod\ndef test_a():\n    import late\n    assert mod.X + late.Y == 2\n"
    suites.write("tests/test_a.py", code)
    for number in range(3):
        suites.write("lib/mod.py", f"X = {1 + (number == 1)}\n")
        suites.write("more/late.py", f"Y = {1 + (number == 2)}\n")
        suites.envy_test("tests", code=int(number > 0))
        if not number:
            suites.envy_test("tests")  # the first run has written lib/__pycache__
            assert "cached" in suites.envy_test("tests").out


COMMANDS = """
packages = {}
tests = {
  tap = { command = "printf '1..3\\nok 1 - a\\nok 2 - b # SKIP x\\nok - c\\n'", format = "tap" },
  short = { command = "printf '1..3\\nok 1 - a\\n'", format = "tap" },
  xml = { command = { "cat", "report.xml" }, format = "junit" },
  file = { command = "cp report.xml out.xml", format = "junit", report = "out.xml" },
  bomb = { command = "cat bomb.xml", format = "junit" },
  stale = { command = "true", format = "junit", report = "report.xml" },
  go = { command = "cat events.json", format = "test2json" },
  exit = { command = "exit 3", format = "exit" },
  crash = { command = "printf partial; kill -SEGV $$", format = "exit" },
  fine = { command = { "true" }, format = "exit", env = { A = "1" } },
  unknown = { command = "echo all is well", format = "tap" },
  silent = { command = "true", format = "test2json" },
  liar = { command = "printf '1..1\\nok 1\\n'; exit 7", format = "tap" },
}
"""
REPORT = """<testsuite failures="0"><testcase classname="A" name="x" time="0.1"/>
<testcase classname="A" name="y"><skipped message="why"/></testcase></testsuite>
"""
BOMB = '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><testsuite>&c;</testsuite>'
EVENTS = """{"Action":"run","Test":"A","Package":"p"}
{"Action":"pass","Test":"A/b","Package":"p"}
{"Action":"pass","Test":"A","Package":"p"}
"""


def test_commands_are_read_by_their_format(suites):
    """Each format gives tests; what is no report, says nothing or contradicts itself fails."""
    suites.write("envy.lua", f'-- @envy schema "1"\n{COMMANDS}')
    suites.write("report.xml", REPORT)
    suites.write("bomb.xml", BOMB)
    suites.write("events.json", EVENTS)
    run = suites.envy_test("--json", code=1)
    found = {}
    for row in events_of(run):
        if row["Action"] in {"pass", "fail", "skip"}:
            test = row.get("Test", "")
            found.setdefault(row["Package"], {})[test] = row.get("Reason") or row["Action"]
    assert found == {
        "tap": {"a": "pass", "b": "skip", "c": "pass", "": "pass"},
        "short": {"a": "pass", "": "bad report"},
        "xml": {"A::x": "pass", "A::y": "skip", "": "pass"},
        "file": {"A::x": "pass", "A::y": "skip", "": "pass"},
        "bomb": {"": "bad report"},
        "stale": {"": "no report"},
        "go": {"p::A": "pass", "p::A/b": "pass", "": "pass"},
        "exit": {"exit": "exit 3", "": "fail"},
        "crash": {"crash": "signal SIGSEGV", "": "fail"},
        "fine": {"fine": "pass", "": "pass"},
        "unknown": {"": "bad report"},
        "silent": {"": "no results"},
        "liar": {"1": "pass", "": "exit 7"},
    }
    said = "".join(row.get("Output", "") for row in events_of(run))
    for text in (
        "begins with 'all is well'",
        "`format` of tests.unknown is one of tap, junit, test2json, exit",
        "the plan has 3 tests, and 1 were reported",
        "has a document type or an entity",
        "was not written by the command",
        "ended with exit code 7",
    ):
        assert text in said
    suites.envy_test("fine", "xml", "go")  # the folder has a new file, which `file` has written
    again = suites.envy_test("fine", "xml", "go", "--explain").out
    assert again.count("cached, nothing changed") == 3
    assert suites.envy_test("--failed", code=1).out.count("FAIL  ") == 8


NODE_HOSTILE = """
const test = require('node:test'); const assert = require('node:assert'); const fs = require('fs');
test('a pass', () => {});
test('b segv', () => process.kill(process.pid, 'SIGSEGV'));
test('c abort', () => process.abort());
test('d exit', () => process.exit(0));
test('e loop', () => { for (;;); });
test('f wrong', () => assert.strictEqual(2 + 2, 5));
test('g forged', () => {
  assert(!process.env.ENVY_TEST_EVENTS);
  const forged = '{"event":"end","path":["f wrong"],"outcome":"pass"}\\nok 6 - f wrong\\n{"eve';
  const given = /ENVY_TEST_EVENTS=(\\d+)/.exec(fs.readFileSync('/proc/self/environ', 'latin1'));
  for (const descriptor of [1, Number(given[1])]) fs.writeSync(descriptor, forged);
});
test('h pass', () => {});
"""
NODE_MORE = """
import test, { describe, it } from 'node:test';
await test('first', () => {});
test('with/sub', async (t) => { await t.test('inner', () => {}); });
test('skipped', { skip: 'why' }, () => {});
test('todo', { todo: true }, () => { throw new Error('x'); });
describe('suite', () => { it('one', () => {}); });
test('same', () => {}); test('same', () => {});
"""


def test_what_is_missing_is_named(suites):
    """A folder, a program or a test that is not there; flags and arguments without a receiver."""
    suites.write("envy.lua", 'packages = {}\ntests = { pytest = { folder = "nowhere" } }\n')
    missing = suites.envy_test(code=3).err
    assert "tests.pytest of the manifest names the folder nowhere, which does not exist" in missing
    suites.write("envy.lua", 'packages = {}\ntests = { pytest = {}, x = { kind = "node" } }\n')
    suites.write("pytest.ini", "[pytest]\n")
    suites.write("tests/test_a.py", "def test_a(): pass\n")
    without = suites.envy_test(env={"PATH": "/nowhere"}, code=3).out
    assert "there is no pytest for" in without
    assert 'options = { requirements = { "pytest" } }' in without
    assert "-race is a flag of Go" in suites.envy_test("-race", code=2).err
    assert "leaves no test" in suites.envy_test("--run", "nothing", code=4).err
    assert "unrecognized arguments: --nonsense" in suites.envy_test("--", "--nonsense", code=3).out
    assert "(1 test)" in suites.envy_test("pytest", "--", "-k", "test_a").out
    assert "no tests of pytest match" in suites.envy_test("pytest", "--", "-k", "x", code=4).err


NESTED = """
import test, { describe, it } from 'node:test';
import assert from 'node:assert';
describe('outer', () => {
  it('good', () => {});
  it('bad', () => assert.fail('x'));
  describe('deep', () => { it('one', () => {}); it('two', () => assert.fail('y')); });
});
test('parent', async (t) => {
  await t.test('a/b', () => {});
  await t.test('c', () => { throw 1; });
});
test('other', () => {});
"""


@pytest.mark.needs("node")
def test_subtests_of_node_are_selected_level_by_level(suites):
    """A slash divides levels, unless a name has it; what is left out fails nothing."""
    suites.write("package.json", '{"scripts": {"test": "node --test"}}')
    suites.write("test/n.test.mjs", NESTED)

    def ends(*words, code=0):
        run = suites.envy_test("--json", *words, code=code)
        return {name[12:]: end for name, end in outcomes(run).items() if name}

    assert ends("--run", "outer/good") == {"outer": "pass", "outer/good": "pass"}
    assert ends("--run", "outer/deep/^one$|other") == {
        "outer": "pass", "outer/deep": "pass", "outer/deep/one": "pass", "other": "pass",
    }  # fmt: skip
    assert ends("--run", "outer|parent/a", "--skip", "outer/bad|outer/deep/two") == {
        "outer": "pass", "outer/good": "pass", "outer/deep": "pass", "outer/deep/one": "pass",
        "parent": "pass", "parent/a%2Fb": "pass",
    }  # fmt: skip
    assert ends("--run", "n.test.mjs::outer/deep", code=1)["outer/deep/two"] == "fail"
    assert "syntax that node cannot evaluate" in (
        suites.envy_test("--run", "outer/(?i)x", code=2).err
    )


@pytest.mark.needs("node")
def test_hostile_tests_of_node_have_their_own_results(suites):
    """The eight tests, and in another file names that are equal, subtests, skips and a script."""
    suites.write("package.json", '{"scripts": {"test": "node --test"}}')
    suites.write("test/hostile.js", NODE_HOSTILE)
    run = in_time(
        lambda limit: suites.envy_test("--json", "--timeout", limit, code=1), "e loop", seconds=1
    )
    expected = dict.fromkeys("abcdefgh", "fail") | dict.fromkeys("agh", "pass")
    found = {name.partition("::")[2][:1]: end for name, end in outcomes(run).items() if name}
    assert found == expected
    assert {name[12:]: reason for name, reason in reasons_of(run).items()} == {
        "b segv": "signal SIGSEGV", "c abort": "signal SIGABRT", "d exit": "exit 0",
        "e loop": "timeout", "f wrong": "",
    }  # fmt: skip
    (suites.root / "test/hostile.js").unlink()
    suites.write("test/more.test.mjs", NODE_MORE)
    suites.write("test/script.js", "console.log('no test')\n")
    run = suites.envy_test("--json")
    assert outcomes(run) == {
        "more.test.mjs::first": "pass",
        "more.test.mjs::with%2Fsub": "pass", "more.test.mjs::with%2Fsub/inner": "pass",
        "more.test.mjs::skipped": "skip", "more.test.mjs::todo": "skip",
        "more.test.mjs::suite": "pass", "more.test.mjs::suite/one": "pass",
        "more.test.mjs::same": "pass", "more.test.mjs::same#01": "pass", "script.js": "pass",
        "": "pass",
    }  # fmt: skip
    assert "cached" in suites.envy_test().out
    assert "(2 tests)" in suites.envy_test("--run", "same").out
    listed = suites.envy_test("--list", "test/script.js").out
    assert listed == "test.script.js\n"
    suites.write("test/script.js", "process.exit(4)\n")
    assert "test.script.js (exit 4)" in suites.envy_test(code=1).out
