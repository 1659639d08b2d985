"""`tests.settings` of the manifest: retries, time limits, and tests that run alone."""

import pytest
from gotests import events_of, outcomes
from test_suites import SuiteProject, reasons_of

MANIFEST = """packages = {}
tests = {
  pytest = {},
  slow = { kind = "pytest", folder = "loops" },
  e2e = { command = "sh run.sh", format = "tap" },
  settings = {
    { test = "*flaky", retries = 1 },
    { package = "loops", test = "test_*::test_b*", timeout = "300ms" },
    { package = "py", serial = true },
    EXTRA
  },
}
"""
FLAKY = """
import pathlib
def test_flaky():
    seen = pathlib.Path("seen"); known = seen.exists(); seen.touch(); assert known
def test_bad(): assert False
"""
LOOPS = """
def test_a(): pass
def test_b_loop():
    while True: pass
def test_c(): pass
"""
GO = """package p
import ("os"; "testing"; "time")
func alone(t *testing.T) {
	if err := os.Mkdir("../busy", 0o777); err != nil { t.Fatal(err) }
	time.Sleep(20 * time.Millisecond)
	os.Remove("../busy")
}
func TestFlaky(t *testing.T) {
	if _, err := os.Stat("seen"); err != nil { os.WriteFile("seen", nil, 0o666); t.Fatal("first") }
}
func TestLoop(t *testing.T) { for { time.Sleep(time.Millisecond) } }
func TestAloneA(t *testing.T) { t.Parallel(); alone(t) }
func TestAloneB(t *testing.T) { t.Parallel(); alone(t) }
"""
GO_MANIFEST = """packages = {}
tests = { settings = {
  { package = "*/p", test = "TestFlaky", retries = 2 },
  { test = "TestLoop", timeout = "300ms" },
  { test = "TestAlone*", serial = true },
} }
"""


@pytest.fixture
def suites(tmp_path):
    return SuiteProject(tmp_path / "project")


def test_rules_apply_to_tests_of_other_kinds(suites):
    """A retry makes a test flaky, a limit ends one, and a row that cannot apply is an error."""
    suites.write("envy.lua", MANIFEST.replace("EXTRA", ""))
    suites.write("py/pytest.ini", "[pytest]\n")
    suites.write("py/test_x.py", FLAKY)
    suites.write("loops/test_y.py", LOOPS)
    suites.write("run.sh", "echo 1..1; echo ok 1 - fine\n")
    run = suites.envy_test("--json", "--jobs", "3", code=1)
    assert outcomes(run, "py") == {"test_x.py::test_flaky": "pass", "test_x.py::test_bad": "fail",
                                   "": "fail"}  # fmt: skip
    attempts = [row.get("Attempt", 0) for row in events_of(run)
                if row["Action"] == "run" and row.get("Test") == "test_x.py::test_bad"]  # fmt: skip
    assert attempts == [0]
    said = "".join(row.get("Output", "") for row in events_of(run))
    assert "test_x.py::test_flaky is flaky: it passed in attempt 2" in said
    assert "test_y.py::test_b_loop ran longer than 300ms" in said
    assert outcomes(run, "loops")["test_y.py::test_c"] == "pass"
    assert outcomes(run, "e2e")["fine"] == "pass"
    suites.write(
        "envy.lua", MANIFEST.replace("EXTRA", '{ package = "e2e", test = "fine", timeout = "1s" },')
    )
    wrong = suites.envy_test("e2e", code=1).err
    assert "envy.lua:10: `test` of tests.settings cannot apply to e2e" in wrong
    assert "hint: a row without `test` is for all of its tests" in wrong
    suites.write("envy.lua", MANIFEST.replace("EXTRA", '{ package = "e2e", retries = 1 },'))
    wrong = suites.envy_test("e2e", code=1).err
    assert "envy.lua:10: `retries` of tests.settings cannot apply to e2e" in wrong
    suites.write("envy.lua", MANIFEST.replace("EXTRA", '{ test = "x", timeout = "soon" }'))
    assert "envy.lua:10: `timeout` must be a duration, not 'soon'" in suites.envy_test(code=1).err


def test_rules_apply_to_go_tests_and_to_those_of_recipes(go_project):
    """Tests that run alone meet no other, also of other packages; the summary counts the flaky."""
    go_project.write("envy.lua", GO_MANIFEST)
    go_project.test("p", GO)
    go_project.test("q", GO.replace("package p", "package q"))
    go_project.write("r/tool.lua", 'identity = "me.tool@r1"\n')
    go_project.write("r/tool_test.lua", "function TestLoop(t) end\nfunction test_loop(t) end\n")
    run = go_project.envy_test("--json", "--jobs", "2", code=1)
    common = {"TestLoop": "fail", "TestAloneA": "pass", "TestAloneB": "pass"}
    assert outcomes(run, "example.com/m/p") == {**common, "TestFlaky": "pass", "": "fail"}
    assert outcomes(run, "example.com/m/q") == {**common, "TestFlaky": "fail", "": "fail"}
    assert reasons_of(run)["TestLoop"] == "timeout"
    assert "TestLoop ran longer than 300ms" in "".join(
        row.get("Output", "") for row in events_of(run)
    )


def test_rules_apply_to_native_tests(native_project):
    """One test has a limit of its own; another is run again."""
    rows = '{ test = "test_loop", timeout = "300ms" }, { package = "lib", retries = 1 }'
    native_project.write("envy.lua", f"packages = {{}}\ntests = {{ settings = {{ {rows} }} }}\n")
    native_project.write(
        "lib/x_test.c",
        "#include <stdio.h>\n"
        "int test_loop(void) { for (;;) { volatile int x = 0; (void)x; } }\n"
        'int test_flaky(void) { FILE *f = fopen("seen", "r"); if (f) return 0;\n'
        '  f = fopen("seen", "w"); fclose(f); return 1; }\n',
    )
    run = native_project.envy_test(code=1)
    assert "test_loop ran longer than 300ms" in run.out
    assert "test_flaky is flaky: it passed in attempt 2" in run.out
    assert "1 passed, 1 failed, 0 skipped, 1 flaky" in run.out
