"""Tests that a server runs, by the Remote Execution API.

ENVY_SOAK_REMOTE_PACKAGES says how many Go packages a server tests.
"""

import os
import signal

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from gotests import events_of, in_time, outcomes
from loopback.executing_server import ExecutingServer
from test_native import ADD, EXPECTED, HOSTILE

PACKAGES = int(os.environ.get("ENVY_SOAK_REMOTE_PACKAGES", "2"))
READS = """package %s
import ("fmt"; "os"; "testing")
func TestData(t *testing.T) {
	text, err := os.ReadFile("testdata/in.txt")
	if err != nil || string(text) != "%s" { t.Fatal(string(text), err) }
	fmt.Println("read", string(text))
}
func TestTemporary(t *testing.T) {
	if err := os.WriteFile(t.TempDir()+"/x", nil, 0o666); err != nil { t.Fatal(err) }
}
"""
PANICS = """package panics
import ("fmt"; "os"; "testing")
func TestA(t *testing.T) { fmt.Println("fine") }
func TestB(t *testing.T) { panic("on purpose") }
func TestC(t *testing.T) { os.Exit(0) }
func TestD(t *testing.T) { if _, err := os.Stat("testdata/x"); err != nil { t.Error(err) } }
"""
ODD = """#include <unistd.h>
int test_exits(void) { _exit(0); }
int test_passes(void) { return 0; }
int test_sleeps(void) { sleep(600); return 0; }
"""
# Each program comes to its place, and waits until as many are there as are to run at once.
MEETS = """#include <stdio.h>
#include <unistd.h>
int test_meets(void) {
    char path[4096];
    for (int number = 0; number < %d; number++) {
        snprintf(path, sizeof path, "%s/%%d", number);
        if (number == %d) fclose(fopen(path, "w"));
        else while (access(path, F_OK)) usleep(1000);
    }
    return 0;
}
"""
ALONE = """#include <fcntl.h>
#include <unistd.h>
int test_alone(void) {
    int lock = open("%s", O_CREAT | O_EXCL, 0600);
    if (lock < 0) return 1;
    usleep(200000);
    return unlink("%s");
}
"""
OWN = """#include <unistd.h>
int main(void) { return sleep(3); }
"""
SLOW = """#include <unistd.h>
int test_slow(void) { sleep(3); return 0; }
int test_then(void) { return 0; }
"""
REASONS = {
    ("test_b_segv", "signal SIGSEGV"), ("test_c_abort", "signal SIGABRT"),
    ("test_d_exit", "exit 0"), ("test_e_loop", "timeout"), ("test_f_wrong", ""),
}  # fmt: skip


def write_c(project, text):
    """Write a native package whose tests declare an input."""
    project.write("lib/add.h", "int add(int, int);\n")
    project.write("lib/add.c", ADD)
    project.write("lib/x_test.c", text)
    project.write("data/in.txt", "x")
    project.write(
        "envy.lua", 'packages = {}\ntests = { native = { lib = { inputs = { "data" } } } }\n'
    )


def how(run):
    """Return for each package where it ran, and whether it was answered from a cache."""
    return {
        event["Package"].rpartition("/")[2]: (
            "remote" if event.get("Remote") else "here",
            bool(event.get("Cached")),
        )
        for event in events_of(run)
        if event["Action"] in {"pass", "fail"} and "Test" not in event
    }


def failures(run):
    return {
        (row["Test"], row.get("Reason", ""))
        for row in events_of(run)
        if row["Action"] == "fail" and row.get("Test")
    }


@pytest.mark.network
def test_go_in_a_sandbox(go_project, executor):
    """Packages with inputs run in a sandbox; a repeat is answered by the action cache."""
    go_project.settle = "3600"
    names = [f"p{number}" for number in range(PACKAGES)]
    for name in names:
        go_project.write(f"{name}/testdata/in.txt", name)
        go_project.test(name, READS % (name, name))
    go_project.write("panics/testdata/x", "")
    go_project.test("panics", PANICS)
    go_project.test("alone", 'package alone\nimport "testing"\nfunc TestA(t *testing.T) {}\n')
    here = go_project.envy("test", "--json", code=1)
    words = ("test", "--json", "--remote", executor, "--remote-exec", "--remote-jobs", "4")
    there = go_project.envy(*words, code=1)
    assert outcomes(there) == outcomes(here)
    assert failures(there) == failures(here)
    assert how(there) == {
        "alone": ("here", False),
        "panics": ("remote", False),
        **dict.fromkeys(names, ("remote", False)),
    }
    [kept] = there.named("test_kept_local")
    assert kept["reason"] == "no inputs are declared: there is no folder `testdata`"
    order = [event["Package"] for event in events_of(there) if event["Action"] == "start"]
    assert order == sorted(order)
    again = go_project.envy(*words, code=1)
    assert how(again) == {**how(there), **dict.fromkeys(names, ("remote", True))}
    assert outcomes(again) == outcomes(here)
    words = ("test", "--remote", executor, "--remote-exec", "--explain")
    text = go_project.envy(*words, code=1, trace=False)
    assert "alone runs here: no inputs are declared" in text.err
    assert f"p0: answered by the action cache of {executor}" in text.out
    assert f"panics: ran on {executor}" in text.out
    again = go_project.envy("test", "--remote", executor, "--remote-exec", "--rerun", code=1)
    assert not any(row["cached"] for row in again.named("test_executed"))


@pytest.mark.network
def test_hostile_c_in_a_sandbox(native_project, executor):
    """Crashes, early exits, a loop and forged results have the verdicts that they have here."""
    write_c(native_project, HOSTILE)
    words = ("test", "--json", "--remote", executor, "--remote-exec", "--timeout")
    limits = []

    def run(limit):
        limits.append(limit)
        return native_project.envy(*words, limit, code=1)

    there = in_time(run, "test_e_loop")
    assert outcomes(there) == EXPECTED
    assert failures(there) == REASONS
    assert how(there) == {"lib": ("remote", False)}
    written = {row.get("Test") for row in events_of(there) if row.get("Output") == "before\n"}
    assert written == {"test_b_segv"}
    some = (*words, limits[-1], "--run", "pass|forge")
    assert how(native_project.envy(*some)) == {"lib": ("remote", False)}
    again = native_project.envy(*some)
    assert how(again) == {"lib": ("remote", True)}
    assert any(row.get("Output") == "fine\n" for row in events_of(again))


def test_programs_at_once(native_project, tmp_path):
    """--remote-jobs counts programs on the server, whatever --jobs is; `serial` ones run alone."""
    names = ["a", "b"]
    native_project.write("data/in.txt", "x")
    inputs = ", ".join(f'{name} = {{ inputs = {{ "data" }} }}' for name in names)
    manifest = f"packages = {{}}\ntests = {{ native = {{ {inputs} }}%s }}\n"
    native_project.write("envy.lua", manifest % "")
    places = tmp_path / "places"
    places.mkdir()
    for number, name in enumerate(names):
        native_project.write(f"{name}/x_test.c", MEETS % (len(names), places, number))
    with ExecutingServer() as server:
        words = ("test", "--json", "--remote", server.url, "--remote-exec", "--jobs", "1")
        run = native_project.envy(*words, "--remote-jobs", "2", "--timeout", "60s")
        assert how(run) == dict.fromkeys(names, ("remote", False))
        assert server.most_running == 2
        server.most_running = 0
        rules = ', settings = { { package = "*", serial = true } }'
        native_project.write("envy.lua", manifest % rules)
        lock = tmp_path / "lock"
        for name in names:
            native_project.write(f"{name}/x_test.c", ALONE % (lock, lock))
        run = native_project.envy(*words, "--remote-jobs", "2")
        assert how(run) == dict.fromkeys(names, ("remote", False))
        assert server.most_running == 1


def test_time_limits(native_project):
    """Limits of single tests, and that of a program with its own `main`, hold on a server."""
    native_project.write("data/in.txt", "x")
    native_project.write("lib/x_test.c", SLOW)
    native_project.write("own/x_test.c", OWN)
    native_project.write(
        "envy.lua",
        """packages = {}
tests = {
  native = { lib = { inputs = { "data" } }, own = { inputs = { "data" } } },
  settings = { { package = "own", timeout = "1s" }, { test = "test_slow", timeout = "1s" } },
}
""",
    )
    with ExecutingServer() as server:
        words = ("--remote", server.url, "--remote-exec", "--timeout", "600s")
        run = native_project.envy("test", "--json", *words, code=1)
        assert how(run) == dict.fromkeys(["lib", "own"], ("remote", False))
        assert failures(run) == {("test_slow", "timeout"), ("main", "timeout")}
        assert outcomes(run)["test_then"] == "pass"
        server.fault = lambda called: "queue" if called == "Execute" else ""
        run = native_project.envy("test", "--json", *words, "--total-timeout", "1s", code=1)
        assert {row["Reason"] for row in events_of(run) if row.get("Reason")} == {"total-timeout"}


def test_time_limits_of_go(go_project):
    """A Go package runs here if some of its tests have another time limit than the others."""
    go_project.write("p/testdata/in.txt", "p")
    go_project.test("p", READS % ("p", "p"))
    go_project.write(
        "envy.lua",
        'packages = {}\ntests = { settings = { { test = "TestData", timeout = "500s" } } }\n',
    )
    with ExecutingServer() as server:
        run = go_project.envy("test", "--json", "--remote", server.url, "--remote-exec")
        assert how(run) == {"p": ("here", False)}
        [kept] = run.named("test_kept_local")
        assert kept["reason"] == "`timeout` of tests.settings limits some of its tests"
        go_project.write("envy.lua", "packages = {}\n")
        server.fault = lambda called: "queue" if called == "Execute" else ""
        words = ("--remote", server.url, "--remote-exec", "--rerun", "--total-timeout", "1s")
        run = go_project.envy("test", "--json", *words, code=1)
        assert {row["Reason"] for row in events_of(run) if row.get("Reason")} == {"total-timeout"}


def test_servers_that_fail(native_project):
    """What a server does not execute runs here, after one warning; Ctrl-C ends what it executes."""
    write_c(native_project, ODD)
    with ExecutingServer() as server:
        words = ("test", "--json", "--remote", server.url, "--remote-exec")
        for _ in range(2):  # a test that ends its process fails each time, whatever is cached
            run = native_project.envy(*words, "--run", "exits", code=1)
            assert failures(run) == {("test_exits", "exit 0")}
            assert how(run) == {"lib": ("remote", False)}
        words = (*words, "--run", "passes", "--rerun")
        for fault, reason in (
            ("unavailable", "cannot be reached"),
            ("large-code", "which no program can"),
            ("huge", "wrote more than 64 MiB, the limit test-result"),
        ):
            server.fault = lambda called, fault=fault: fault if called == "Execute" else ""
            run = native_project.envy(*words)
            assert how(run) == {"lib": ("here", False)}
            assert reason in run.named("test_kept_local")[0]["reason"]
            assert run.err.count("the tests run here") == (fault == "unavailable")
            assert run.err.count("warning:") == (fault == "unavailable")
        server.fault = lambda _called: ""
        server.started.clear()
        remote = ("--remote", server.url, "--remote-exec")
        process = native_project.popen("test", *remote, "--run", "sleeps")
        assert server.started.wait(300)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 130, (out, err)
        assert list(server.operations.values())[-1].ended.wait(300)
    looks_up = (*words[:5], "--run", "exits|passes")  # results, too, which --rerun does not
    for some, code in ((words, 0), (looks_up, 1)):
        gone = native_project.envy(*some, code=code)
        assert gone.err.count("warning:") == 1
        assert "cannot be reached" in gone.err
        assert how(gone) == {"lib": ("here", False)}
    refused = native_project.envy("test", "--remote-exec", code=2)
    assert "--remote-exec needs a server" in refused.err
    env = {"ENVY_REMOTE_PLATFORM": "linux"}
    refused = native_project.envy("test", *remote, env=env, code=2)
    assert "ENVY_REMOTE_PLATFORM has 'linux', which is not a list" in refused.err
    refused = native_project.envy("test", *remote, "--legacy", code=2)
    assert "--remote-exec needs a run of envy's own" in refused.err
    refused = native_project.envy(*words, "--offline", code=2)
    assert "--offline uses none" in refused.err
