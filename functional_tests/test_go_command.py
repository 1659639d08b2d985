"""`envy test` on Go modules: what runs, in which order, what is printed, and the exit codes."""

import itertools
import json
import re
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema
from gotests import events_of, native, outcomes, triples
from project import envy_command

JUNIT_SCHEMA = Path(__file__).parents[1] / "tests" / "testing" / "junit.xsd"
PASSING = 'package p\nimport "testing"\nfunc TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {}\n'
FAILING = PASSING.replace("TestB(t *testing.T) {", 'TestB(t *testing.T) { t.Fatal("b went wrong") ')
BROKEN = 'package p\nimport "testing"\nfunc TestA(t *testing.T) { undefined() }\n'


@pytest.fixture
def mixed(go_project):
    """Packages that pass, fail, do not build, do not pass vet, or have no tests."""
    go_project.test("bad", BROKEN)
    go_project.test("fail", FAILING)
    go_project.test("good", PASSING)
    go_project.test("sub/good", PASSING)
    go_project.test(
        "vet",
        'package p\nimport ("fmt"; "testing")\n'
        'func TestA(t *testing.T) { fmt.Printf("%d\\n", "x") }\n',
    )
    go_project.write("none/none.go", "package none\n")
    go_project.write("uses/lib/lib.go", 'package lib\nvar X int = "text"\n')
    go_project.test(
        "uses",
        'package uses\nimport ("testing"; _ "example.com/m/uses/lib")\n'
        "func TestA(t *testing.T) {}\n",
    )
    return go_project


def test_the_outcomes_are_those_of_go_test(mixed):
    """All outcomes equal those of `go test`, including packages that fail, or fail to build."""
    run = mixed.envy_test("--json", code=3)
    without_tests = ("example.com/m/uses/lib", "", "fail")  # an old Go does not report it
    assert triples(run.out) == triples(native(mixed, "./...")) | {without_tests}
    assert run.err == ""  # gotestsum counts each line as an error
    summary = mixed.envy_test(code=3).out.splitlines()[-1]
    assert "1 failed" in summary
    assert "4 not built" in summary


def test_build_failures_are_events(mixed):
    """The compiler's messages become build-output; build-fail names the package that failed."""
    run = mixed.envy_test("--json", "./bad", "./uses", code=3)
    events = events_of(run)
    output = "".join(e["Output"] for e in events if e["Action"] == "build-output")
    assert "undefined: undefined" in output
    assert {e["ImportPath"] for e in events if e["Action"] == "build-fail"} == {
        "example.com/m/bad [example.com/m/bad.test]",
        "example.com/m/uses/lib",
    }
    assert [e["FailedBuild"] for e in events if e.get("FailedBuild")] == [
        "example.com/m/bad [example.com/m/bad.test]",
        "example.com/m/uses/lib",
    ]


def test_stop_on_build_error_runs_nothing(mixed):
    """With --stop-on-build-error, one package that fails to build stops all of them."""
    run = mixed.envy_test("--stop-on-build-error", "./bad", "./good", code=3)
    assert "1 not run" in run.out
    assert "ok " not in run.out


def test_the_text_is_the_same_with_any_number_of_jobs(mixed):
    """Apart from times, two jobs print the same as one job."""
    texts = set()
    for jobs in ("1", "2", "1", "2"):
        run = mixed.envy_test("--jobs", jobs, "--show-output", "all", "./...", code=3)
        texts.add(re.sub(r"\d+\.\d+s", "TIME", run.out))
    assert len(texts) == 1


def test_failed_runs_what_failed_and_forgets_what_passes(go_project):
    """--failed runs only the tests that failed, until none is left."""
    go_project.test("p", FAILING)
    go_project.envy_test(code=1)
    run = go_project.envy_test("--failed", "--json", code=1)
    assert outcomes(run) == {"TestB": "fail", "": "fail"}
    go_project.test("p", PASSING)
    run = go_project.envy_test("--failed", "--json")
    assert outcomes(run) == {"TestB": "pass", "": "pass"}
    assert "nothing failed" in go_project.envy_test("--failed", code=4).err


def test_selections_run_the_selected_tests(go_project):
    """--run, --skip, --filter and --list work alone and together."""
    go_project.test("p", PASSING)
    go_project.test("q", FAILING)
    assert outcomes(go_project.envy_test("--json", "-run", "TestA")) == {
        "TestA": "pass",
        "": "pass",
    }
    assert outcomes(go_project.envy_test("--json", "--skip=TestB")) == {"TestA": "pass", "": "pass"}
    run = go_project.envy_test("--list", "--filter", "package(*/q) & !test(TestA)")
    assert run.out == "example.com/m/q.TestB\n"
    assert go_project.envy_test("-list=B$").out == "example.com/m/p.TestB\nexample.com/m/q.TestB\n"


def test_the_parts_of_a_partition_are_the_whole(go_project):
    """Each test is in exactly one of three parts."""
    go_project.test(
        "p",
        'package p\nimport "testing"\n'
        + "".join(f"func Test{n}(t *testing.T) {{}}\n" for n in range(12)),
    )
    parts = [
        go_project.envy_test("--list", "--partition", f"hash:{n}/3", code=None).out.splitlines()
        for n in (1, 2, 3)
    ]
    assert sorted(itertools.chain(*parts)) == sorted(f"example.com/m/p.Test{n}" for n in range(12))


def test_flaky_tests_pass_when_run_again(go_project):
    """--retries runs a failed test again; --flaky decides whether a later success counts."""
    go_project.test(
        "p",
        'package p\nimport ("os"; "testing")\nfunc TestA(t *testing.T) {\n'
        'if _, err := os.Stat("again"); err != nil {\n'
        'os.WriteFile("again", nil, 0o666); t.Fatal("first") } }\n',
    )
    run = go_project.envy_test("--retries", "2")
    assert "1 flaky" in run.out
    (go_project.root / "p/again").unlink()
    go_project.envy_test("--retries", "2", "--flaky", "fail", code=1)


def test_binaries_are_kept_until_something_changes(go_project):
    """A rerun builds nothing; a changed embedded file causes a rebuild."""
    go_project.write("p/data.txt", "one")
    go_project.test(
        "p",
        'package p\nimport ("testing"; _ "embed")\n//go:embed data.txt\nvar data string\n'
        "func TestA(t *testing.T) { t.Log(data) }\n",
    )

    def builds():
        return len(go_project.envy("test").named("test_build_start"))

    assert builds() == 1
    assert builds() == 0
    go_project.write("p/data.txt", "two")
    assert builds() == 1
    assert "two" in go_project.envy_test("-v").out
    freed = go_project.envy_test("--clean-cache").out
    assert int(re.match(r"freed (\d+) bytes", freed)[1]) > 1_000_000
    assert builds() == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_build_jobs_limits_concurrent_compilers(go_project, jobs):
    """At most --build-jobs compilers, linkers and vets run at the same time."""
    calls = go_project.root.parent / "calls"
    tool = go_project.write(
        "noting",
        f'#!/bin/sh\necho begun >> {calls}\n"$@"; code=$?\necho ended >> {calls}\nexit $code\n',
        mode=0o755,
    )
    for name in "abcdef":
        go_project.test(name, PASSING)
    run = go_project.envy_test(f"--build-jobs={jobs}", f"-toolexec={tool}")
    assert "6 packages" in run.out
    steps = [1 if line == "begun" else -1 for line in calls.read_text().split()]
    assert len(steps) > 2 * 6
    assert max(itertools.accumulate(steps)) <= jobs


def test_flags_reach_build_and_run(go_project):
    """-tags changes the build; -short and words after -- change the run, with one dash or two."""
    go_project.test(
        "p",
        '//go:build extra\npackage p\nimport "testing"\nfunc TestTagged(t *testing.T) {}\n',
        "tagged_test.go",
    )
    go_project.test(
        "p",
        'package p\nimport ("flag"; "testing")\nvar word = flag.String("word", "", "")\n'
        "func TestShort(t *testing.T) { if testing.Short() { t.Skip(*word) } }\n",
    )
    run = go_project.envy_test("--json", "-tags", "extra", "--short", "./p", "--", "-word=given")
    assert outcomes(run) == {"TestTagged": "pass", "TestShort": "skip", "": "pass"}
    assert "given" in run.out
    # Flags of tests in GOFLAGS count, too, before those of the command line.
    run = go_project.envy_test("--json", "-tags=extra", env={"GOFLAGS": "-short -count=2 -x=false"})
    assert outcomes(run)["TestShort"] == "skip"
    assert run.out.count('"Action":"run"') == 4
    run = go_project.envy_test("--json", "--count=1", env={"GOFLAGS": "-short -count=2"})
    assert run.out.count('"Action":"run"') == 1
    # Only Go reads these letters.
    run = go_project.envy_test("--json", "-run", r"T\x{65}stS")
    assert outcomes(run) == {"TestShort": "pass", "": "pass"}


def test_count_repeats_each_test(go_project):
    """-count is passed on, and every repetition has its events."""
    go_project.test("p", PASSING)
    run = go_project.envy_test("--json", "-count=3")
    assert run.out.count('"Action":"run"') == 6


BENCHMARKS = (
    'package p\nimport "testing"\nfunc TestA(t *testing.T) {}\n'
    "func BenchmarkOne(b *testing.B) { for i := 0; i < b.N; i++ {} }\n"
    'func BenchmarkTwo(b *testing.B) { b.Run("sub", BenchmarkOne) }\n'
)


def test_benchmarks_run_alone_and_show_their_results(go_project):
    """-run='^$' -bench=. is a valid selection, and the measurements are shown."""
    go_project.test("p", BENCHMARKS)
    words = ["-run", "^$", "-bench", ".", "-benchtime=10x"]
    run = go_project.envy_test(*words)
    assert re.findall(r"^(Benchmark\S+?)(?:-\d+)?  .*ns/op$", run.out, re.MULTILINE) == [
        "BenchmarkOne",
        "BenchmarkTwo/sub",
    ]
    assert "0 failed" in run.out
    assert triples(go_project.envy_test("--json", *words).out) == {("example.com/m/p", "", "pass")}


def test_a_benchmark_that_panics_fails(go_project):
    """A benchmark that ends its process fails, although no line reports a benchmark's end."""
    go_project.test("p", BENCHMARKS.replace("for i := 0", 'panic("oh"); for i := 0'))
    run = go_project.envy_test("--bench=.", code=1)
    assert "panic: oh" in run.out


def test_fuzzing_shows_its_progress(go_project):
    """-fuzz runs for as long as -fuzztime says, and its progress is shown."""
    go_project.test(
        "p",
        'package p\nimport "testing"\n'
        "func FuzzA(f *testing.F) { f.Add(1); f.Fuzz(func(t *testing.T, n int) {}) }\n",
    )
    assert "fuzz: elapsed" in go_project.envy_test("-fuzz=FuzzA", "-fuzztime=20x").out


def test_a_failing_test_that_a_test_runs_does_not_fail_the_package(go_project):
    """As with `go test`, the summary of the process decides; --failed has nothing to run."""
    go_project.test(
        "p",
        'package p\nimport ("regexp"; "testing")\n'
        "func TestA(t *testing.T) {\n"
        'inner := []testing.InternalTest{{Name: "TestInner", F: func(t *testing.T) { t.Fail() }}}\n'
        "if testing.RunTests(regexp.MatchString, inner) { t.Fatal() } }\n",
    )
    run = go_project.envy_test("--json")
    assert (
        triples(run.out)
        == triples(native(go_project, "./..."))
        == {
            ("example.com/m/p", "TestA", "pass"),
            ("example.com/m/p", "TestInner", "fail"),
            ("example.com/m/p", "", "pass"),
        }
    )
    assert "1 failed inside tests" in go_project.envy_test().out
    assert "nothing failed" in go_project.envy_test("--failed", code=4).err


def test_isolate_runs_each_test_in_its_own_process(go_project):
    """With --isolate, tests share no memory."""
    go_project.test(
        "p",
        'package p\nimport "testing"\nvar n int\nfunc TestA(t *testing.T) { n++ }\n'
        "func TestB(t *testing.T) { if n != 0 { t.Fatal(n) } }\n",
    )
    go_project.envy_test(code=1)
    go_project.envy_test("--isolate")


def test_junit_has_every_case(mixed, tmp_path):
    """The report is valid and has the numbers of the summary; a build failure is a case."""
    mixed.envy_test("--junit", tmp_path / "report.xml", "./bad", "./fail", "./good", code=3)
    xmlschema.validate(tmp_path / "report.xml", JUNIT_SCHEMA)
    root = ET.parse(tmp_path / "report.xml").getroot()
    assert (root.get("tests"), root.get("failures")) == ("5", "2")
    messages = [failure.text or "" for failure in root.iter("failure")]
    assert any("b went wrong" in text for text in messages)
    assert any("undefined: undefined" in text for text in messages)


def test_a_saved_run_is_shown_again(mixed, tmp_path):
    """--load prints the same as the run did, and has the same exit code."""
    run = mixed.envy_test(f"--json={tmp_path / 'run.json'}", "./bad", "./fail", code=3)
    again = mixed.envy_test("--load", tmp_path / "run.json", code=3)
    assert again.out.splitlines()[:-1] == run.out.splitlines()[:-1]


def test_fail_fast_and_max_fails_stop(go_project):
    """Nothing starts after the failure that reaches the limit."""
    for name in "abc":
        go_project.test(name, FAILING)
    assert "2 not run" in go_project.envy_test("--fail-fast", code=1).out
    assert "1 not run" in go_project.envy_test("--max-fails", "2", code=1).out


def test_max_fails_counts_across_restarts(go_project):
    """Tests that end their process count, too: no process follows the last allowed failure."""
    tests = "".join(f"func Test{n}(t *testing.T) {{ panic({n}) }}\n" for n in range(4))
    go_project.test("a", 'package a\nimport "testing"\n' + tests)
    go_project.test("b", PASSING)
    run = go_project.envy_test("--max-fails", "2", "--json", code=1)
    assert outcomes(run) == {"Test0": "fail", "Test1": "fail", "": "fail"}
    run = go_project.envy_test("--max-fails", "2", "--isolate", code=1)
    assert "2 failed" in run.out
    assert "count-mismatch" not in run.out
    assert "1 not run" in run.out


def test_slowest_profile_and_coverage_are_printed(go_project):
    """--slowest, --profile and --coverage each add their lines."""
    go_project.write("p/p.go", "package p\nfunc F() int { return 1 }\n")
    go_project.test("p", 'package p\nimport "testing"\nfunc TestA(t *testing.T) { F() }\n')
    go_project.write("q/q.go", "package q\nfunc F() int { return 1 }\n")
    run = go_project.envy_test("--slowest", "1", "--profile", "--coverage", "-coverprofile=c.out")
    assert "example.com/m/p.TestA" in run.out
    assert "where time went" in run.out
    assert "100.0% of statements" in run.out
    native(go_project, "-coverprofile=native.out", "./...")
    lines = [(go_project.root / name).read_text().splitlines() for name in ("c.out", "native.out")]
    assert lines[0][0] == "mode: set"
    assert sorted(lines[0]) == sorted(lines[1])  # a package without tests included


def test_coverage_is_reported_and_merged(go_project):
    """Each part has its share; merged, they have all; --min-coverage decides on the exit code."""
    go_project.write(
        "p/p.go", "package p\n\nfunc A() int {\n\treturn 1\n}\n\nfunc B() int {\n\treturn 2\n}\n"
    )
    go_project.test(
        "p",
        'package p\nimport "testing"\n'
        "func TestA(t *testing.T) { A() }\nfunc TestB(t *testing.T) { B() }\n",
    )
    for name in "AB":
        words = ["--run", f"Test{name}", f"--coverage=func,json:{name}.json,lcov:x.info,html"]
        out = go_project.envy_test(*words).out
        assert "coverage  total  50.0% of statements" in out
    assert re.findall(r"^p/p.go:\d: +(\w) +(\S+)", out, re.MULTILINE) == [
        ("A", "0.0%"),
        ("B", "100.0%"),
    ]
    assert "DA:4,0" in (go_project.root / "x.info").read_text()
    assert "return 2" in (go_project.root / "coverage.html").read_text()
    run = go_project.envy_test("--run", "TestA", "--min-coverage", "50.1", "--json", code=1)
    assert "error: 50.0% is covered, and --min-coverage asks for 50.1%" in run.err
    files = ["A.json", "B.json"]
    run = go_project.envy_test("--merge-coverage", *files, "--min-coverage=100")
    assert run.out.splitlines()[-1] == "coverage  total  100.0% of statements"
    run = go_project.envy_test("--merge-coverage", "A.json", "--min-coverage=100", code=1)
    assert "50.0% is covered, and --min-coverage asks for 100%" in run.out


def test_total_timeout_ends_the_run(go_project):
    """When the total time is over, the running package fails and the rest does not run."""
    go_project.test(
        "a",
        'package a\nimport ("testing"; "time")\n'
        "func TestA(t *testing.T) { time.Sleep(time.Hour) }\n",
    )
    go_project.test("b", PASSING)
    go_project.envy_test("--build-only")
    for seconds in (3, 30, 300):  # as many as this machine needs to begin
        run = go_project.envy_test("--total-timeout", f"{seconds}s", code=None)
        if "TestA was running" in run.out:
            break
    assert run.code == 1
    assert "terminated, because the run took too long; TestA was running" in run.out
    assert "example.com/m/a.TestA (total-timeout)" in run.out
    assert "1 not run" in run.out


def test_legacy_is_go_test(go_project):
    """--legacy shows the events of `go test -json`."""
    go_project.test("p", FAILING)
    run = go_project.envy_test("--legacy", "--json", code=1)
    assert outcomes(run) == {"TestA": "pass", "TestB": "fail", "": "fail"}


BAD_INPUT = [
    (["./nowhere"], 4, "no package matches"),
    (["./goood"], 4, "did you mean example.com/m/good"),
    (["-run", "("], 2, "not a valid regular expression"),
    (["--run=TestNowhere", "./good"], 4, "leaves no test"),
    (["--jobs", "0"], 2, "jobs"),
    (["--timeout", "abc"], 2, "not a valid duration"),
    (["-count=x"], 2, "count"),
    (["--filter", "test("], 2, "--filter"),
    (["--partition", "hash:4/3"], 2, "--partition"),
    (["-o", "x"], 2, "does not support -o"),
    (["--no-such"], 2, "No such option"),
    (["-bogus"], 2, "there is no flag -bogus"),
    (["-rac"], 2, "did you mean -race?"),
    (["-parallel", "0"], 2, "-parallel: '0' is not a positive number"),
    (["-run", r"\x{zz}", "./good"], 2, "--run: "),
    (["--load", "damaged.json"], 2, "damaged.json:2"),
    (["--load", "missing.json"], 2, "cannot read"),
    (["--load", "empty.json"], 2, "has no events"),
    (["--load", "cut.json"], 1, "the saved run ends before all packages have ended"),
    (["./good", "good/gone_test.go"], 4, "there is no file good/gone_test.go"),
    (["--json", "--tui", "always"], 2, "--json writes to standard output"),
    (["-coverprofile", "nowhere/c.out", "./good"], 2, "cannot write"),
    (["--coverage=xml"], 2, "--coverage: 'xml' is not a format"),
    (["--coverage=json:nowhere/c.json", "./good"], 2, "cannot write"),
    (["--merge-coverage"], 2, "--merge-coverage needs files"),
    (["--merge-coverage", "damaged.json"], 2, "damaged.json has no coverage that envy wrote"),
    (["--legacy", "--min-coverage=3"], 2, "need a run of envy's own"),
    (["-C", "nowhere"], 2, "-C: nowhere is not a folder"),
    (["-cpuprofile", "x", "./good", "./needs"], 2, "-cpuprofile works with one package only"),
    (["./cycle/a"], 3, "import cycle"),
    (["./needs"], 3, "no required module provides package"),
    (["./excluded"], 3, "build constraints exclude all Go files"),
]


@pytest.mark.parametrize(
    ("words", "code", "text"), BAD_INPUT, ids=lambda v: " ".join(v) if isinstance(v, list) else ""
)
def test_bad_input_is_named(go_project, words, code, text):
    """Each mistake has its exit code and a message that names it."""
    go_project.test("good", PASSING)
    go_project.write("damaged.json", '{"Action":"start","Package":"p"}\n{"Action":\n')
    go_project.write("empty.json", "")
    go_project.write("cut.json", '{"Action":"start","Package":"p"}\n')
    for one, other in ("ab", "ba"):
        go_project.write(
            f"cycle/{one}/x.go", f'package {one}\nimport _ "example.com/m/cycle/{other}"\n'
        )
    go_project.test("cycle/a", 'package a\nimport "testing"\nfunc TestA(t *testing.T) {}\n')
    go_project.test(
        "needs",
        'package p\nimport ("testing"; _ "example.org/missing")\nfunc TestA(t *testing.T) {}\n',
    )
    go_project.test("excluded", "//go:build never\n" + PASSING)
    run = go_project.envy_test(*words, code=code)
    assert text in run.out + run.err


def test_outside_a_module_the_error_names_go_mod(go_project):
    """Without a go.mod, the message says that it is missing."""
    (go_project.root / "go.mod").unlink()
    run = go_project.envy("test", code=2, trace=False, env={"GOFLAGS": "", "GOPROXY": "off"})
    assert "go.mod" in run.err


def test_at_a_workspace_root_the_modules_are_named(go_project):
    """A workspace's root is no module; the hint has a pattern for each module."""
    (go_project.root / "go.mod").rename(go_project.root / "go.work")
    go_project.write("go.work", "go 1.21\nuse ./one\nuse (\n\t./two // both\n)\n")
    for name in ("one", "two"):
        go_project.write(f"{name}/go.mod", f"module example.com/{name}\n\ngo 1.21\n")
        go_project.test(name, PASSING)
    run = go_project.envy_test(code=4)
    assert "name modules of the workspace: envy test ./one/... ./two/..." in run.err
    assert "2 packages" in go_project.envy_test("./one/...", "./two/...").out


def test_without_go_the_manifest_line_is_given(project):
    """Without any toolchain, the error has the line that envy.lua needs."""
    run = project.envy("test", code=3, trace=False, env={"PATH": "/nowhere"})
    assert 'packages = { "envy.go@r1" }' in run.err


def test_a_program_that_is_not_go_is_named(go_project, tmp_path):
    """A program called go that cannot be run, or is another program, is an error."""
    go_project.go = tmp_path / "programs"
    program = go_project.go / "go"
    program.parent.mkdir()
    for text, reason in (
        ("#!/bin/sh\necho hello\n", "is not a Go toolchain"),
        ("\0", "cannot be run"),
    ):
        program.write_text(text)
        program.chmod(0o755)
        assert f"{program} {reason}" in go_project.envy_test(code=3).err


def test_tests_for_another_system_suggest_exec(go_project):
    """A binary that this machine cannot run fails, and the message names the flag to run it."""
    go_project.test("p", PASSING)
    run = go_project.envy_test(code=1, env={"GOOS": "plan9", "GOARCH": "386"})
    assert "is for plan9/386; -exec names a program that can run it here" in run.out


def test_profiles_are_written_where_outputdir_says(go_project):
    """Relative profile names are relative to -outputdir, or else to the working directory."""
    go_project.test("p", PASSING)
    (go_project.root / "profiles").mkdir()
    names = ("-cpuprofile=cpu.out", "-coverprofile=cover.out")
    go_project.envy_test(*names)
    go_project.envy_test(*names, "-outputdir", "profiles")
    for folder in (go_project.root, go_project.root / "profiles"):
        assert (folder / "cpu.out").stat().st_size
        assert (folder / "cover.out").read_text().startswith("mode: set")


def test_an_error_of_no_package_is_reported_once(go_project):
    """A compiler that cannot be started fails every package, with one message."""
    go_project.test("p", PASSING)
    go_project.test("q", PASSING)
    run = go_project.envy_test("-toolexec=/nonexistent", "--jobs", "1", code=3)
    assert "2 not built" in run.out
    assert run.out.count("/nonexistent") in {1, 2}  # Go before 1.21 is called for each


@pytest.mark.parametrize("legacy", [(), ("--legacy",)], ids=["", "legacy"])
def test_offline_go_requests_no_module(go_project, http_server, legacy):
    """Tests without a missing module run; for another, Go says that lookups are disabled."""
    proxy = {"GOPROXY": http_server.url, "GONOSUMDB": "*", "GOFLAGS": "-mod=mod"}
    go_project.test("a", 'package a\nimport "testing"\nfunc TestOne(t *testing.T) {}\n')
    go_project.envy_test("--offline", *legacy, "./...", env=proxy)
    go_project.write("b/b.go", 'package b\nimport _ "example.invalid/x"\n')
    run = go_project.envy_test("--offline", *legacy, "./...", env=proxy, code=None)
    assert run.code != 0
    assert "GOPROXY=off" in run.out + run.err
    assert http_server.paths() == []


def test_the_list_loads_no_view(go_project):
    """`envy test --list` imports neither Textual nor rich."""
    import sys

    go_project.test("p", PASSING)
    program = (
        "import json, sys\nfrom envy.environment import environment\n"
        "from envy.cli.main import run_command_line\n"
        "code = run_command_line(['test', '--list'], environment=environment())\n"
        "big = {'rich', 'textual', 'urllib3'} & set(sys.modules)\n"
        "print(json.dumps([code, sorted(big)]))"
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=go_project.root,
        env=go_project.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(run.stdout.splitlines()[-1]) == [0, []]


@pytest.mark.needs("gotestsum")
def test_gotestsum_counts_what_the_summary_counts(mixed):
    """gotestsum reads the output of --json, and agrees on tests, skips, failures and errors."""
    mixed.test(
        "skip", 'package p\nimport "testing"\nfunc TestS(t *testing.T) { t.Skip("not here") }\n'
    )
    run = subprocess.run(
        [
            *("gotestsum", "--raw-command", "--format=pkgname", "--"),
            *(envy_command(), "test", "--json", "./..."),
        ],
        cwd=mixed.root,
        env=mixed.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    theirs = re.search(r"DONE (\d+) tests, (\d+) skipped, (\d+) failures?", run.stdout + run.stderr)
    assert " errors" not in run.stdout + run.stderr
    summary = mixed.envy_test("./...", code=3).out
    ours = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped in .*?(\d+) not built", summary)
    assert ours, summary
    passed, failed, skipped, unbuilt = map(int, ours.groups())
    # gotestsum counts a package that was not built as a failure, but not as a test.
    assert tuple(map(int, theirs.groups())) == (
        passed + failed + skipped,
        skipped,
        failed + unbuilt,
    )


def test_the_manifests_go_is_used_and_installed(go_project):
    """A package named go in envy.lua is the toolchain, even without a Go on PATH."""
    go_project.recipe(
        "local.go@r1",
        f'install = "mkdir bin && ln -s {go_project.go}/go bin/go"\nproducts = {{ go = "bin/go" }}',
    )
    go_project.packages("local.go@r1")
    go_project.test("p", PASSING)
    go_project.go = "/nowhere"
    run = go_project.envy_test("--json", env={"PATH": "/usr/bin:/bin"})
    assert outcomes(run) == {"TestA": "pass", "TestB": "pass", "": "pass"}
    assert run.err == ""


def test_the_trace_contains_the_installation_of_go(go_project):
    """One trace file has the events of the toolchain and of the tests, numbered without gaps."""
    go_project.recipe(
        "local.go@r1",
        f'install = "mkdir bin && ln -s {go_project.go}/go bin/go"\nproducts = {{ go = "bin/go" }}',
    )
    go_project.packages("local.go@r1")
    go_project.test("p", PASSING)
    run = go_project.envy("test")
    installed = [e for e in run.named("phase_complete") if e["phase"] == "install"]
    assert [e["recipe"] for e in installed] == ["local.go@r1"]
    assert run.named("test_phase_complete")
    assert [e["seq"] for e in run.events] == list(range(1, len(run.events) + 1))


def test_c_uses_the_manifest_of_the_folder(go_project):
    """-C uses the project of that folder, including its Go."""
    go_project.recipe("local.go@r1", 'install = "exit 1"\nproducts = { go = "bin/go" }')
    go_project.packages("local.go@r1")
    go_project.test("p", PASSING)
    elsewhere = go_project.root.parent / "elsewhere"
    elsewhere.mkdir()
    run = go_project.envy_test("-C", go_project.root, code=3, cwd=elsewhere)
    assert "cannot install local.go@r1, the manifest's Go" in run.err


def test_a_go_that_cannot_be_installed_is_exit_3(go_project):
    """If Go cannot be installed, nothing is tested."""
    go_project.recipe("local.go@r1", 'install = "exit 1"\nproducts = { go = "bin/go" }')
    go_project.packages("local.go@r1")
    go_project.test("p", PASSING)
    assert "cannot install local.go@r1" in go_project.envy_test(code=3).err


def test_the_standard_library_has_the_outcomes_of_go_test(go_project):
    """Packages of the standard library have equal outcomes, including examples and subtests."""
    packages = ["container/heap", "container/list", "unicode/utf8"]
    run = go_project.envy_test("--json", *packages)
    found = triples(run.out)
    assert found == triples(native(go_project, *packages))
    assert len(found) > 40


def test_a_truncated_binary_is_rebuilt(go_project):
    """A kept binary that a crash of the machine truncated is not run."""
    go_project.test("p", PASSING)
    go_project.envy_test()
    kept = next(go_project.cache.rglob("p.test"))
    kept.write_bytes(b"")
    go_project.envy_test()
    assert kept.stat().st_size > 1_000_000


def test_equal_base_names_do_not_conflict(go_project):
    """Packages whose binaries have the same name are built separately and have two results."""
    go_project.test("a/same", PASSING)
    go_project.test("b/same", FAILING)
    run = go_project.envy_test("--json", code=1)
    assert outcomes(run, "example.com/m/a/same")[""] == "pass"
    assert outcomes(run, "example.com/m/b/same")[""] == "fail"
