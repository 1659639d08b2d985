"""Selections of `envy test` where not all tests are known: none of them may vanish."""

import shutil

import pytest
from gotests import outcomes
from test_suites import SuiteProject

PARTS = ("--partition=hash:1/2", "--partition=hash:2/2")
RECIPE = 'identity = "local.hello@r1"\n'
LOOP = """
for number = 1, 4 do
  _G["test_" .. number] = function(t) t.equal(number < 4, true) end
end
"""
MANIFEST = "packages = {}\ntests = { pytest = {} }\n"
GO_BAD = "package bad\nfunc TestIt(t *testing.T) {\n"
GO_GOOD = 'package good\nimport "testing"\nfunc TestIt(t *testing.T) {}\n'


@pytest.fixture
def suites(tmp_path):
    return SuiteProject(tmp_path / "project")


def names_of(*runs):
    """Return the tests that ran in several parts, each as often as it did."""
    return sorted(name for run in runs for name in outcomes(run) if name)


def test_a_project_that_cannot_be_listed_is_in_every_selection(suites):
    """It fails each part, each filter that may mean a test of it, --failed and --list."""
    suites.write("envy.lua", MANIFEST)
    suites.write("a/pytest.ini", "[pytest]\n")
    suites.write("b/pytest.ini", "[pytest]\n")
    bad = suites.write("a/tests/test_a.py", "def test_x(): assert 0\n")
    y = "test(*test_y)"
    suites.write("b/tests/test_b.py", "def test_y(): assert 0\n")
    suites.envy_test(code=1)
    suites.write("b/tests/test_b.py", "def test_y(): pass\n")
    bad.write_text("def test_x(: pass\n")
    failed = suites.envy_test("--failed", code=3)  # the package has another name now
    assert "a (build failed)" in failed.out
    assert "1 passed" in failed.out
    suites.envy_test("--filter", y, code=3)
    assert "a (build failed)" in suites.envy_test("a/tests/test_a.py", "b", code=3).out
    listed = suites.envy_test("--list", code=3)
    assert listed.out == "b/tests.test_b.py::test_y\n"
    assert "error: the tests of a cannot be listed: pytest cannot collect all tests" in listed.err
    suites.write("a/tests/test_a.py", "def test_x(): pass\n")
    assert "1 passed" in suites.envy_test("--filter", y).out
    suites.write("a/tests/test_a.py", "def test_y(): assert 0\n")
    suites.envy_test("--filter", y, code=1)  # what was left out then is not left out now


def test_a_file_that_cannot_be_loaded_is_in_every_selection(suites):
    """With node, the other files of a package have their tests."""
    if shutil.which("node", path=suites.environment()["PATH"]) is None:
        pytest.skip("node is missing")
    suites.write("package.json", '{"scripts": {"test": "node --test"}}')
    suites.write("bad.test.js", 'require("node:test").test("x", () => {}); throw new Error()\n')
    suites.write("good.test.js", 'require("node:test").test("y", () => {});\n')
    for words in (["--filter=test(*y)"], ["--run=y"], *([part] for part in PARTS)):
        run = suites.envy_test("--json", *words, code=1)
        assert outcomes(run)["bad.test.js"] == "fail"
    run = suites.envy_test("--json", "--filter=test(*y)", code=1)
    assert outcomes(run)["good.test.js::y"] == "pass"


def test_tests_that_only_the_code_shows_are_selected(project):
    """Tests of recipes that a loop defines are in one part each, and match filters."""
    project.write("envy.lua", "packages = {}\n")
    project.write("hello.lua", RECIPE)
    project.write("hello_test.lua", LOOP)

    def test(*words, code):
        return project.envy("test", "--json", *words, code=code, trace=False)

    expected = [f"test_{number}" for number in range(1, 5)]
    failing = next(part for part in PARTS if "test_4" in outcomes(test(part, code=None)))
    runs = [test(part, code=int(part == failing)) for part in PARTS]
    assert names_of(*runs) == expected
    assert names_of(test("--filter=test(test_4)", code=1)) == ["test_4"]
    assert "no test is selected" in test("--filter=test(test_5)", code=4).err


def test_tests_that_only_the_build_shows_are_selected(native_project):
    """A new test, and a program whose main is in a header, are in one part each."""
    native_project.write("lib/a_test.c", "int test_old(void) { return 0; }\n")
    native_project.write("program/b.h", "int main(void) { return 3; }\n")
    native_project.write("program/b_test.c", '#include "b.h"\n')

    def test(*words, code):
        return native_project.envy_test("--json", *words, code=code)

    runs = [test(part, code=None) for part in PARTS]
    assert names_of(*runs) == ["main", "test_old"]
    assert max(run.code for run in runs) == 1
    native_project.write(
        "lib/a_test.c", "int test_old(void) { return 0; }\nint test_new(void) { return 1; }\n"
    )
    assert "lib.test_new" in native_project.envy_test("--list").out
    assert names_of(test("--filter=test(test_new)", code=1)) == ["test_new"]


def test_a_go_package_that_cannot_be_loaded_is_in_every_selection(go_project):
    """So is one that has no tests: what it compiles to belongs to one part."""
    go_project.test("good", GO_GOOD)
    go_project.write("plain/plain.go", "package plain\nvar X int = ''\n")
    assert sorted(go_project.envy_test(part, code=None).code for part in PARTS) == [0, 3]
    assert "1 passed" in go_project.envy_test("--filter=test(TestIt)").out
    go_project.test("bad", GO_BAD)
    for words in (*([part] for part in PARTS), ["--filter=test(TestIt)"]):
        assert "example.com/m/bad (build failed)" in go_project.envy_test(*words, code=3).out
    go_project.envy_test("--filter=package(*/good) & test(TestIt)")
    assert (
        "error: the tests of example.com/m/bad cannot" in go_project.envy_test("--list", code=3).err
    )
