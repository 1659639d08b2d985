"""When a sync stores what it builds: each package at once, beside the builds of others."""

import signal
import time

import pytest
from project import Project

SLOW = """
build = [[while [ ! -e "$GATE" ]; do sleep 0.02; done; echo slow > "$ENVY_INSTALL_DIR/slow"]]
pass_env = { "GATE" }
"""


@pytest.fixture
def machine(tmp_path):
    """A project of a package that is built at once, and one that waits for a file, the gate."""
    project = Project(tmp_path / "first")
    project.packages("local.quick@r1", "local.slow@r1")
    project.recipe("local.quick@r1", 'install = "echo quick > quick"')
    project.recipe("local.slow@r1", SLOW)
    project.depot = tmp_path / "depot"
    project.depot.mkdir()
    project.gate = tmp_path / "gate"
    return project


def begin(project, *words):
    depot = ["--depot", project.depot.as_uri(), "--depot-unsigned", "--depot-write"]
    env = {"GATE": str(project.gate)}
    return project.popen("sync", *depot, *words, env=env)


def stored(project):
    """Return the number of packages in the depot."""
    return len(list(project.depot.rglob("*.tar.zst")))


def wait_until(is_so):
    ends = time.monotonic() + 300
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_package_is_stored_while_another_is_built(machine):
    """Another machine can take a package before the run that built it has ended."""
    process = begin(machine)
    wait_until(lambda: stored(machine) == 1)
    machine.gate.touch()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert stored(machine) == 2


def test_a_failure_and_the_end_of_a_run_leave_what_was_stored(machine):
    """What was built stays stored, whether another package fails or the run is cancelled."""
    process = begin(machine)
    wait_until(lambda: stored(machine) == 1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert stored(machine) == 1
    assert machine.held_locks() == []
    machine.recipe("local.slow@r1", 'build = "exit 3"')
    machine.recipe("local.quick@r1", 'install = "echo other > quick"')
    process = begin(machine)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 1, err
    assert stored(machine) == 2


def test_the_wait_for_an_upload_has_a_reason(machine):
    """A run that waits for its uploads says so when it is asked."""
    pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
    from loopback.remote_server import RemoteServer

    machine.gate.touch()
    with RemoteServer() as server:
        server.fault = lambda called: "stall" if called == "FindMissingBlobs" else ""
        process = machine.popen(
            "sync", "--remote", server.url, "--trace=stderr", env={"GATE": str(machine.gate)}
        )
        said = ""
        while "is being stored in" not in said:
            said = process.stderr.readline().decode()
            assert said, "the run ended without a report"
            if "FindMissingBlobs" in server.calls:
                process.send_signal(signal.SIGUSR1)
        process.kill()
        process.communicate(timeout=300)
    assert f"is being stored in {server.url}" in said
