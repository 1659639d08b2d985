"""When a sync stores what it builds: each package at once, beside the builds of others."""

import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from loopback.depot_server import DepotServer
from project import Project, tree

SLOW = """
build = [[case "$ENVY_INSTALL_DIR" in
  */other-cache/*) ;;
  *) while [ ! -e "$GATE" ]; do sleep 0.02; done;;
esac
echo slow > "$ENVY_INSTALL_DIR/slow"]]
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
    project.gate, project.ran = tmp_path / "gate", tmp_path / "ran"
    return project


def begin(project, *words):
    depot = ["--depot", project.depot.as_uri(), "--depot-unsigned", "--depot-write"]
    env = {"GATE": str(project.gate), "RAN": str(project.ran)}
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


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_package_is_asked_for_again_before_it_is_built(machine, tmp_path, is_damaged):
    """What another machine stored after a run began is taken; what is damaged is built instead."""
    machine.packages("local.last@r1")
    machine.recipe(
        "local.last@r1",
        'dependencies = { { recipe = "local.slow@r1", source = "local.slow@r1.lua" } }\n'
        'fetch = { { source = "data.txt" } }\n'
        'build = "echo last >> $RAN; cp data.txt $ENVY_INSTALL_DIR/"\npass_env = { "RAN" }',
    )
    machine.write("recipes/data.txt", "data\n")
    other = Project(tmp_path / "other")
    shutil.copytree(machine.root, other.root, dirs_exist_ok=True)
    other.gate, other.depot, other.ran = machine.gate, machine.depot, machine.ran
    trace = tmp_path / "trace.jsonl"
    started = time.monotonic()
    process = begin(machine, f"--trace=file:{trace}")
    wait_until(lambda: trace.exists() and '"event": "cache_miss"' in trace.read_text())
    assert begin(other).wait(timeout=300) == 0
    assert machine.ran.read_text() == "last\n"
    if is_damaged:
        for path in machine.depot.rglob("*.tar.zst"):
            path.write_bytes(path.read_bytes()[:-50])
    wait_until(lambda: time.monotonic() > started + 2)  # it is not asked again within a second
    machine.gate.touch()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    assert machine.ran.read_text() == "last\n" * (1 + is_damaged)
    assert (b"(0 cached, 1 taken, 1 installed)" in err) is not is_damaged
    last = machine.envy("asset", "last", env={"GATE": str(machine.gate), "RAN": str(machine.ran)})
    assert tree(Path(last.out.strip())) == {"data.txt": "data\n"}
    assert machine.held_locks() == []


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


def test_a_package_that_fetches_nothing_is_built_beside_a_depot(machine):
    """That a depot lacks it leaves the folders of its attempt as they are."""
    machine.gate.touch()
    machine.packages("local.one@r1")
    body = 'stage = "sleep 1.2"\nbuild = "ls -d $ENVY_FETCH_DIR"\ninstall = "echo > x"'
    machine.recipe("local.one@r1", body)
    process = begin(machine)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err


def test_the_wait_for_an_upload_has_a_reason(machine):
    """A run that waits for its uploads says so when it is asked."""
    machine.gate.touch()
    with DepotServer() as server:
        server.answers["HEAD"] = "stall"
        words = ["--depot", server.url, "--depot-unsigned", "--depot-write"]
        env = {"GATE": str(machine.gate), "ENVY_IDLE_TIMEOUT": "3000"}
        process = machine.popen("sync", *words, env=env)
        wait_until(lambda: any(method == "HEAD" for method, *_ in server.requests))
        lines = []
        reader = threading.Thread(target=lambda: lines.extend(process.stderr), daemon=True)
        reader.start()

        def is_said():
            process.send_signal(signal.SIGUSR1)
            time.sleep(0.2)
            return any(f"is being stored in {server.url}" in line.decode() for line in [*lines])

        try:
            wait_until(is_said)
        finally:
            process.kill()
            process.wait()
            reader.join()
