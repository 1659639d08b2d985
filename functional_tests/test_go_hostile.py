"""`envy test` with Go test binaries that misbehave."""

import json
import os
import signal
from pathlib import Path

import pytest
from gotests import events_of, in_time, outcomes, wait_for

PASSES = "func TestA(t *testing.T) {}\n"
SOON = 300  # seconds; what does not end by itself takes longer
BASE = 'package p\nimport "testing"\n'


def body(*imports):
    names = "".join(f'\t"{name}"\n' for name in ("testing", *imports))
    return f"package p\nimport (\n{names})\n"


def test_exit_zero_inside_a_test_is_a_failure(go_project):
    """A test that ends its process with code 0 fails, and the other tests run."""
    go_project.test(
        "p",
        body("syscall")
        + "func TestA(t *testing.T) {}\n"
        + "func TestB(t *testing.T) { syscall.Exit(0) }\n"
        + "func TestC(t *testing.T) {}\n",
    )
    run = go_project.envy_test("--json", code=1)
    assert outcomes(run) == {"TestA": "pass", "TestB": "fail", "TestC": "pass", "": "fail"}


def test_os_exit_is_a_failure_with_its_reason(go_project):
    """os.Exit in a test fails that test, with the reason that the testing package gives."""
    go_project.test(
        "p",
        body("os") + "func TestA(t *testing.T) { os.Exit(0) }\n" + "func TestB(t *testing.T) {}\n",
    )
    run = go_project.envy_test("--json", code=1)
    assert outcomes(run) == {"TestA": "fail", "TestB": "pass", "": "fail"}
    assert "unexpected call to os.Exit(0) during test" in run.out


def test_a_panic_in_the_third_of_ten_leaves_nine_reported(go_project):
    """Another process runs the tests after a panic."""
    tests = "".join(
        f"func Test{n}(t *testing.T) {{ {'panic(1)' if n == 3 else ''} }}\n" for n in range(10)
    )
    go_project.test("p", BASE + tests)
    run = go_project.envy_test("--json", code=1)
    expected = {f"Test{n}": "fail" if n == 3 else "pass" for n in range(10)}
    assert outcomes(run) == {**expected, "": "fail"}


def test_a_panic_in_init_is_the_failure_of_its_package(go_project):
    """What fails before the tests fails the package, with its text, in each kind of output."""
    go_project.test(
        "p",
        body("errors") + 'func init() { panic(errors.New("oh")) }\nfunc TestA(t *testing.T) {}\n',
    )
    go_project.test("q", body("os") + "func TestMain(m *testing.M) { os.Exit(3) }\n" + PASSES)
    run = go_project.envy_test("--junit", "report.xml", code=1)
    assert "panic: oh" in run.out
    assert "[panic before its tests]" in run.out
    assert "example.com/m/q (exit 3 before its tests)" in run.out
    assert "not reported" not in run.out
    report = (go_project.root / "report.xml").read_text()
    assert 'message="panic before its tests"' in report
    assert "panic: oh" in report


def test_a_panic_beside_a_parallel_test_fails_only_its_own(go_project):
    """A parallel test that another test's panic interrupted runs again, and is reported once."""
    go_project.test(
        "p",
        body("time")
        + "func TestA(t *testing.T) { t.Parallel(); time.Sleep(300 * time.Millisecond) }\n"
        + "func TestB(t *testing.T) { t.Parallel(); time.Sleep(time.Millisecond); panic(1) }\n",
    )
    run = go_project.envy_test("--json", code=1)
    assert outcomes(run) == {"TestA": "pass", "TestB": "fail", "": "fail"}
    assert run.out.count('"Action":"run"') == 2


def test_a_deadlock_fails_the_test_that_caused_it(go_project):
    """A deadlock that the Go runtime detects fails only the test that is in it."""
    go_project.test(
        "p",
        BASE + "func TestA(t *testing.T) { select {} }\n" + "func TestB(t *testing.T) {}\n",
    )
    run = go_project.envy_test("--json", "--timeout", "60s", code=1)
    assert outcomes(run) == {"TestA": "fail", "TestB": "pass", "": "fail"}


def test_a_hang_ends_in_time_with_the_goroutines_in_its_log(go_project):
    """SIGQUIT ends a test that exceeds its limit; the goroutine dump is part of its output."""
    go_project.test(
        "p",
        body("time")
        + "func TestHang(t *testing.T) { for { time.Sleep(time.Hour) } }\n"
        + "func TestB(t *testing.T) {}\n",
    )
    run = in_time(
        lambda limit: go_project.envy_test("--json", "--timeout", limit, code=1), "TestHang"
    )
    assert package_seconds(run) < SOON
    assert outcomes(run) == {"TestHang": "fail", "TestB": "pass", "": "fail"}
    assert "p.TestHang" in run.out
    assert "_testmain.go" not in run.out  # a goroutine of Go alone
    assert "GOTRACEBACK=all shows everything" in run.out
    assert '"Reason":"timeout"' in run.out


def test_a_test_that_ignores_sigquit_is_killed(go_project):
    """A binary that catches SIGQUIT is killed a moment later."""
    go_project.test(
        "p",
        body("os/signal", "time")
        + "func TestHang(t *testing.T) { signal.Ignore(); time.Sleep(time.Hour) }\n",
    )
    run = go_project.envy_test("--json", "--timeout", "200ms", code=1)
    assert package_seconds(run) < SOON
    assert outcomes(run) == {"TestHang": "fail", "": "fail"}


def test_a_leftover_child_is_terminated_and_reported(go_project):
    """A process that a test leaves running does not delay envy, and is terminated."""
    go_project.test(
        "p",
        body("os", "os/exec", "strconv", "syscall")
        + "func TestA(t *testing.T) {\n"
        + '\tc := exec.Command("sleep", "600")\n'
        + "\tc.Stdout = os.Stdout\n"
        + "\tc.Start()\n"
        + '\tos.WriteFile("pid", []byte(strconv.Itoa(c.Process.Pid)), 0o666)\n'
        + '\td := exec.Command("sleep", "600")\n'
        + "\td.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}\n"
        + "\td.Start()\n"
        + '\tos.WriteFile("pid2", []byte(strconv.Itoa(d.Process.Pid)), 0o666)\n'
        + "}\n",
    )
    run = go_project.envy_test("--json")
    assert '"Reason":"leak"' in run.out
    for name in ("pid", "pid2"):
        assert has_ended(int((go_project.root / "p" / name).read_text()))


def package_seconds(run):
    """The seconds that a package took, from its last event."""
    return next(e["Elapsed"] for e in events_of(run) if e["Action"] == "fail" and "Test" not in e)


def has_ended(pid):
    """Whether a process has ended; a zombie has."""
    try:
        with Path(f"/proc/{pid}/stat").open() as file:
            return file.read().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize(
    "statement",
    [
        'for i := 0; i < 20000; i++ { fmt.Fprintln(os.Stderr, "line", i) }',
        'fmt.Print("no newline")',
        r'fmt.Print("--- FAIL: TestA (0.00s)\nFAIL\n=== RUN   TestZ\n")',
        r'fmt.Println(strings.Repeat("x", 2<<20))',
        r"os.Stdout.Write([]byte{0xff, 0xfe, 10, 0xc3, 10})",
        r'fmt.Print("\x1b[31mred\x1b[2J\x1b]0;title\x07\r\n")',
        'os.Chdir("/")',
        "d, _ := os.Getwd(); os.RemoveAll(d)",
    ],
    ids=["stderr", "newline", "forged", "long", "utf8", "escapes", "chdir", "rmdir"],
)
def test_strange_output_changes_no_outcome(go_project, statement):
    """A passing test has passed, whatever it writes or does to its folder."""
    go_project.test(
        "p",
        body("fmt", "os", "strings")
        + "var _ = fmt.Sprint; var _ = os.Args; var _ = strings.Repeat\n"
        + f"func TestA(t *testing.T) {{ {statement} }}\n"
        + "func TestB(t *testing.T) {}\n",
    )
    run = go_project.envy_test("--json")
    assert outcomes(run) == {"TestA": "pass", "TestB": "pass", "": "pass"}
    saved = go_project.write("saved.json", run.out)
    shown = go_project.envy_test("--load", saved, "--show-output", "all")
    assert "\x1b" not in shown.out


def test_a_gigabyte_of_output_is_reduced_to_its_ends(go_project):
    """The head and the tail of huge output are kept, with the size of the gap."""
    go_project.test(
        "p",
        body("fmt", "os", "strings")
        + "func TestA(t *testing.T) {\n"
        + '\tfmt.Println("the first")\n'
        + '\tline := []byte(strings.Repeat("0123456789abcdef\\n", 1<<16))\n'
        + "\tfor i := 0; i < 1<<10; i++ { os.Stdout.Write(line) }\n"
        + '\tfmt.Println("the last")\n}\n',
    )
    run = go_project.envy_test("--json")
    assert outcomes(run) == {"TestA": "pass", "": "pass"}
    assert len(run.out) < 200 << 20
    assert "the first" in run.out
    assert "the last" in run.out
    assert "envy left out" in run.out


def test_a_package_that_runs_none_of_its_tests_fails(go_project):
    """A package whose listed tests are never reported fails."""
    go_project.test(
        "p",
        body("os")
        + "func TestMain(m *testing.M) { os.Exit(0) }\n"
        + "func TestA(t *testing.T) {}\n",
    )
    run = go_project.envy_test("--json", code=1)
    assert '"Reason":"count-mismatch"' in run.out


@pytest.mark.parametrize("phase", ["build", "run"])
def test_interrupt_ends_everything_with_a_summary(go_project, phase):
    """Ctrl-C in either phase ends the run within three seconds, with 130 and no child left."""
    marker = go_project.root / "began"
    if phase == "run":
        statement = (
            f'os.WriteFile("{marker}", []byte(strconv.Itoa(os.Getpid())), 0o666); select {{}}'
        )
    else:
        statement = ""
    go_project.test(
        "p",
        body("os", "strconv", "time")
        + "var _ = os.Args; var _ = strconv.Itoa\n"
        + "func TestB(t *testing.T) { go time.Sleep(time.Hour); "
        + statement
        + " }\n",
    )
    words = ["--json=events.json"]
    if phase == "build":
        tool = go_project.write(
            "slow", f"#!/bin/sh\necho $$ > {marker}\nexec sleep 600\n", mode=0o755
        )
        words += [f"-toolexec={tool}"]
    process = go_project.popen("test", *words, cwd=go_project.root, start_new_session=True)
    wait_for(marker)
    os.kill(process.pid, signal.SIGINT)
    out, _ = process.communicate(timeout=SOON)
    assert process.returncode == 130
    assert b"interrupted" in out
    assert has_ended(int(marker.read_text()))


def test_a_killed_run_keeps_the_previous_record(go_project):
    """After envy is killed, the failed tests of the previous run are still known."""
    go_project.test("p", BASE + 'func TestA(t *testing.T) { t.Fatal("no") }\n')
    go_project.envy_test(code=1)
    marker = go_project.root / "began"
    go_project.test(
        "q",
        body("os", "strconv", "time").replace("package p", "package q")
        + "func TestQ(t *testing.T) {\n"
        + f'os.WriteFile("{marker}", []byte(strconv.Itoa(os.Getpid())), 0o666)\n'
        + "time.Sleep(time.Hour) }\n",
    )
    process = go_project.popen("test", cwd=go_project.root)
    wait_for(marker)
    process.kill()
    process.communicate()
    assert not has_ended(int(marker.read_text()))
    run = go_project.envy_test("--failed", "--json", code=1)
    assert set(outcomes(run)) == {"TestA", ""}
    # The next run has ended what the killed one left running.
    assert has_ended(int(marker.read_text()))
    assert not list((go_project.root / "cache").glob("test/running/*"))


def test_the_barrier_holds(go_project):
    """In the events of the trace, no package runs before the last build has ended."""
    for name in "abc":
        go_project.test(
            name, BASE.replace("package p", f"package {name}") + "func TestX(t *testing.T) {}\n"
        )
    go_project.test("x/a", BASE.replace("package p", "package a") + "func TestX(t *testing.T) {}\n")
    run = go_project.envy("test", "--jobs", "2")
    order = [
        (event["event"], event.get("phase"))
        for event in run.events
        if event["event"].startswith("test_")
    ]
    last_build = max(i for i, (name, _) in enumerate(order) if name == "test_build_complete")
    first_run = min(i for i, row in enumerate(order) if row == ("test_phase_start", "run"))
    assert last_build < first_run
    # Two packages have the same base name. A Go before 1.21 is called once for each of the four.
    assert json.dumps(order).count("test_build_start") in {2, 4}
