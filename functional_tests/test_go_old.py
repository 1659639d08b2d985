"""`envy test` with older toolchains.

Go 1.21 builds many packages at once, but does not report builds as JSON. The Go of a distribution
may be even older; it is called once per package.
"""

from pathlib import Path

import pytest
from gotests import GoProject, events_of, installed_go, native, outcomes, triples

PANIC = 'func TestB(t *testing.T) { panic("oh") }\n'
BASE = 'package p\nimport "testing"\n'


def machines_go():
    """The folder of the oldest Go that the distribution has installed, if any."""
    found = sorted(Path("/usr/lib").glob("go-1.*/bin/go"))
    return found[0].parent if found else None


@pytest.fixture(scope="session", params=["the machine's", "1.21.13"])
def old_go(request, tmp_path_factory):
    """The folder of the programs of an older Go."""
    if request.param != "the machine's":
        return installed_go(tmp_path_factory.mktemp("go"), request.param)
    return machines_go() or pytest.skip("the distribution has no Go in /usr/lib/go-1.*")


@pytest.fixture
def old_project(tmp_path, old_go):
    """A module for an older Go: packages that pass, fail, panic, or do not build."""
    project = GoProject(tmp_path, old_go)
    project.write("go.mod", "module example.com/m\n\ngo 1.19\n")
    project.test("good", BASE + "func TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {}\n")
    project.test("sub/good", BASE + "func TestA(t *testing.T) {}\n")
    project.test(
        "fail",
        BASE + 'func TestA(t *testing.T) { t.Run("one", func(t *testing.T) { t.Error("no") }) }\n',
    )
    project.test("panic", f"{BASE}func TestA(t *testing.T) {{}}\n{PANIC}")
    project.test("bad", BASE + "func TestA(t *testing.T) { undefined() }\n")
    project.write("none/none.go", "package none\n")
    return project


def test_an_old_go_has_the_outcomes_of_its_own_go_test(old_project):
    """All outcomes equal those of `go test`, including panics and packages that do not build."""
    run = old_project.envy_test("--json", code=3)
    assert triples(run.out) == triples(native(old_project, "./..."))
    summary = old_project.envy_test(code=3).out.splitlines()[-1]
    assert "3 failed" in summary  # a test, its subtest, and the one that panics
    assert "1 not built" in summary


def test_the_text_of_an_old_compiler_becomes_events(old_project):
    """The text of a build becomes build-output of its package, which the package refers to."""
    events = events_of(old_project.envy_test("--json", "./bad", code=3))
    output = "".join(e["Output"] for e in events if e["Action"] == "build-output")
    assert "undefined: undefined" in output
    cause = "example.com/m/bad [example.com/m/bad.test]"
    assert [e["ImportPath"] for e in events if e["Action"] == "build-fail"] == [cause]
    assert [e["FailedBuild"] for e in events if e.get("FailedBuild")] == [cause]


def test_packages_that_cannot_be_loaded_do_not_affect_others(old_project):
    """An import cycle, or a folder with two packages, fails alone; an old Go would run nothing."""
    old_project.write("cycle/a/x.go", 'package a\nimport _ "example.com/m/cycle/b"\n')
    old_project.write("cycle/b/x.go", 'package b\nimport _ "example.com/m/cycle/a"\n')
    old_project.write("two/a.go", "package a\n")
    old_project.write("two/b.go", "package b\n")
    run = old_project.envy_test("--json", "./good", "./cycle/...", "./two", code=3)
    ended = {(p.removeprefix("example.com/m/"), a) for p, test, a in triples(run.out) if not test}
    assert ended == {("good", "pass"), ("cycle/a", "fail"), ("cycle/b", "fail"), ("two", "fail")}
    assert "import cycle not allowed" in run.out
    again = old_project.envy_test("--json", "./good", "./cycle/...", "./two", code=3)
    assert triples(again.out) == triples(run.out)


def test_skip_works_with_binaries_that_do_not_support_it(old_project):
    """--skip of a whole test works with every Go."""
    run = old_project.envy_test("--json", "--skip", "TestB", "./good")
    assert outcomes(run) == {"TestA": "pass", "": "pass"}
