"""Results of tests that machines share by a server of the Remote Execution API."""

import os
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from gotests import GoProject, events_of
from loopback.remote_server import RemoteServer
from project import Project

READS = """package p
import ("os"; "strings"; "testing")
func TestData(t *testing.T) {
	text, err := os.ReadFile("testdata/in.txt")
	if err != nil || strings.TrimSpace(string(text)) == "bad" { t.Fatal(string(text), err) }
	if _, err := os.Stat("testdata/in.txt"); err != nil { t.Fatal(err) }
	if _, err := os.Open("/no/such/file"); err == nil { t.Fatal() }
}
func TestTemporary(t *testing.T) { os.WriteFile(t.TempDir()+"/x", nil, 0o666) }
"""
USES = """package r
import ("os"; "testing"; "example.com/m/q")
func TestUse(t *testing.T) {
	here, _ := os.Getwd()
	t.Log("é in", here)
	if q.Q() > 5 { t.Fatal(q.Q()) }
}
"""
C_TEST = """#include <stdio.h>
#include "add.h"
int test_add(void) { printf("fine\\n"); return add(1, 2) - 3; }
"""
RECIPE = 'install = "echo hello >x"'
RECIPE_TEST = "function test_x(t) t.equal(#t.load().sources, 0) end\n"


class Checkout:
    """A machine with a cache and a home of its own; files have times of its own, too."""

    def settle_down(self, folder):
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        self.cache = folder / "cache"

    def write(self, name, text, **options):
        path = super().write(name, text, **options)
        earlier = time.time() - 1000 + len(str(self.root))
        os.utime(path, (earlier, earlier))
        return path

    def run_tests(self, server, *words, **options):
        return self.envy("test", "--json", "--remote", server, *words, **options)

    def explained(self, server, *words):
        """Return the lines of --explain."""
        run = self.envy("test", "--explain", "--remote", server, *words, trace=False)
        return {line.partition(": ")[0].rpartition("/")[2]: line.partition(": ")[2]
                for line in run.out.splitlines() if ": " in line}  # fmt: skip


class GoMachine(Checkout, GoProject):
    def __init__(self, folder, go):
        super().__init__(folder / "checkout", go)
        self.settle = "0"
        self.settle_down(folder)
        self.write("p/testdata/in.txt", "good")
        self.test("p", READS)
        self.write("q/q.go", "package q\nfunc Q() int { return 1 }\n")
        self.test("r", USES)

    def environment(self, extra=None):
        go_cache = os.environ.get("GOCACHE", str(Path.home() / ".cache/go-build"))
        own = {"HOME": str(self.home), "GOCACHE": go_cache}
        return {**super().environment(extra), **own, **(extra or {})}


class SuiteMachine(Checkout, Project):
    """Tests of a command, which read a file."""

    def __init__(self, folder):
        super().__init__(folder / "checkout")
        self.settle_down(folder)
        self.write(
            "envy.lua",
            'packages = {}\ntests = { c = { command = "sh ./t.sh", format = "exit", '
            'inputs = { "t.sh", "data" } } }\n',
        )
        self.write("t.sh", 'test "$(cat data)" != bad && echo "in $PWD"\n')
        self.write("data", "good")

    def environment(self, extra=None):
        own = {"HOME": str(self.home), "ENVY_TEST_SETTLE": "0", "PATH": "/usr/bin:/bin"}
        return {**super().environment(extra), **own, **(extra or {})}


def verdicts(run):
    """Return for each package how its result came about."""
    found = {}
    for event in events_of(run):
        if event["Action"] in {"pass", "fail"} and "Test" not in event:
            how = event["Action"]
            how = "cached" if event.get("Cached") else how
            found[event["Package"].rpartition("/")[2]] = "remote" if event.get("Remote") else how
    return found


def outputs(run):
    return [(row["Action"], row["Package"], row.get("Test"), row.get("Output"), row.get("Elapsed"))
            for row in events_of(run)]  # fmt: skip


def warnings(run):
    return [line for line in run.err.splitlines() if line.startswith("warning: ")]


@pytest.fixture
def machines(tmp_path, go):
    """Two machines with the same Go module: other paths, of other lengths."""
    return [GoMachine(tmp_path / name, go) for name in ("a", "another-machine")]


@pytest.fixture
def suites(tmp_path):
    return [SuiteMachine(tmp_path / name) for name in ("a", "another-machine")]


def test_go(machines):
    """What passed on one machine is shown on another; an edit runs exactly its package."""
    first, second = machines
    with RemoteServer() as server:
        one = first.run_tests(server.url)
        assert verdicts(one) == {"p": "pass", "r": "pass"}
        assert len(one.named("test_result_stored")) == 2
        own = str(first.root.parent).encode()
        assert not [blob for blob in server.blobs.values() if own in blob]
        two = second.run_tests(server.url)
        assert verdicts(two) == {"p": "remote", "r": "remote"}
        moved = [tuple(str(part).replace(str(first.root), str(second.root)) for part in row)
                 for row in outputs(one)]  # fmt: skip
        assert moved == [tuple(map(str, row)) for row in outputs(two)]
        assert any("é in" in (row[3] or "") for row in outputs(two))
        server.calls.clear()
        assert verdicts(second.run_tests(server.url)) == {"p": "cached", "r": "cached"}
        assert server.calls == []

        for machine in machines:
            machine.write("q/q.go", "package q\nfunc Q() int { return 2 }\n")
        first.write("p/testdata/in.txt", "other")
        said = first.explained(server.url)
        assert said["p"].endswith(f"in.txt changed; {server.url}: p/testdata/in.txt differs")
        assert said["r"].endswith(f"; {server.url}: it has none")
        said = second.explained(server.url)
        assert said["p"] == "cached, nothing changed"
        assert said["r"] == f"cached, taken from {server.url}"
        second.write("p/testdata/in.txt", "other")  # of one key, there are two results now
        assert verdicts(second.run_tests(server.url)) == {"p": "remote", "r": "cached"}


@pytest.mark.network
def test_a_real_server(suites, casd):
    """Results go by buildbox-casd; an instance that it does not have is one warning."""
    first, second = suites
    assert verdicts(first.run_tests(casd)) == {"c": "pass"}
    assert verdicts(second.run_tests(casd)) == {"c": "remote"}
    second.write("data", "new")
    wrong = second.run_tests(f"{casd}/wrong")
    assert verdicts(wrong) == {"c": "pass"}
    assert ["check the instance" in line for line in warnings(wrong)] == [True]


def test_commands_recipes_and_c(suites, zig):
    """Every driver shares its results, whatever the paths of the machine are."""
    first, second = suites
    env = {"PATH": f"{zig[0]}:/usr/bin:/bin", "ZIG_GLOBAL_CACHE_DIR": str(zig[1])}
    for machine in suites:
        machine.write("lib/add.h", "int add(int, int);\n")
        machine.write("lib/add.c", "int add(int a, int b) { return a + b; }\n")
        machine.write("lib/add_test.c", C_TEST)
        machine.recipe("local.x@r1", RECIPE)
        machine.write("recipes/local.x@r1_test.lua", RECIPE_TEST)
    with RemoteServer() as server:
        one = first.run_tests(server.url, env=env)
        assert set(verdicts(one).values()) == {"pass"}
        assert len(verdicts(one)) == 3, one.named("test_result_not_stored")
        assert [row["reason"] for row in one.named("test_result_not_stored")] == []
        env["ENVY_REMOTE_READ_ONLY"] = "1"  # as most machines have it
        two = second.run_tests(server.url, env=env)
        assert set(verdicts(two).values()) == {"remote"}
        assert set(verdicts(second.run_tests(server.url, env=env)).values()) == {"cached"}
        second.write("lib/add.h", "int add(int, int);  // changed\n")
        again = second.run_tests(server.url, env=env)
        assert sorted(verdicts(again).values()) == ["cached", "cached", "pass"], verdicts(again)


def test_pytest(tmp_path):
    """A result of pytest holds in a checkout at another depth, unless a version is chosen above."""
    pytest_folder = Path(sys.executable).parent
    env = {"PATH": f"{pytest_folder}:/usr/bin:/bin"}
    machines = [SuiteMachine(tmp_path / name) for name in ("a", "b/c/d")]
    for machine in machines:
        machine.write("envy.lua", "packages = {}\ntests = { pytest = {} }\n")
        machine.write("x_test.py", "def test_x(): pass\n")
        machine.write("pytest.ini", "[pytest]\n")
    first, second = machines
    with RemoteServer() as server:
        assert set(verdicts(first.run_tests(server.url, env=env)).values()) == {"pass"}
        (tmp_path / "b/.python-version").write_text("3.12\n")
        two = second.run_tests(server.url, env={**env, "ENVY_REMOTE_READ_ONLY": "1"})
        assert set(verdicts(two).values()) == {"pass"}
        (tmp_path / "b/.python-version").unlink()
        two = second.run_tests(server.url, env=env)
        assert set(verdicts(two).values()) == {"remote"}


def test_when_nothing_is_shared(suites, tmp_path):
    """Options and servers that share nothing cost one warning at most, and change no result."""
    first, second = suites
    with RemoteServer() as server:
        assert verdicts(first.run_tests(server.url, "--no-cache")) == {"c": "pass"}
        assert verdicts(first.run_tests(server.url, "--offline")) == {"c": "pass"}
        assert server.calls == []
        run = first.run_tests(server.url, "--rerun", "--remote-read-only")
        assert run.named("test_result_not_stored") == run.named("test_result_stored") == []
        assert server.results == {}
        first.write("data", "bad")
        assert verdicts(first.run_tests(server.url, code=1)) == {"c": "fail"}
        assert server.results == {}
        first.write("data", "good")
        assert verdicts(first.run_tests(server.url, "--rerun")) == {"c": "pass"}
        assert len(server.results) == 1
        server.calls.clear()
        junit = tmp_path / "report.xml"
        assert verdicts(second.run_tests(server.url, "--junit", junit)) == {"c": "remote"}
        assert 'name="remote" value="true"' in junit.read_text()
    second.write("data", "new")
    for machine, words in ((second, ()), (first, ("--rerun",))):
        gone = machine.run_tests(server.url, *words)  # it has ended
        assert verdicts(gone) == {"c": "pass"}
        assert ["cannot be reached" in line for line in warnings(gone)] == [True]
    with RemoteServer(read_only=True) as server:
        outcome = second.run_tests(server.url, "--rerun")
        assert ["is read-only for this user" in line for line in warnings(outcome)] == [True]
    said = second.run_tests("http://h", code=2).err
    assert "--remote has http://h, with the scheme http" in said
