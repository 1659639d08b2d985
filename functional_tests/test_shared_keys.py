"""What several machines do to one key: other payloads, evictions at a bad moment, wrong clocks."""

import threading
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from loopback.depot_server import DepotServer
from loopback.remote_server import RemoteServer
from project import Project

ODD = 'build = [[date +%s.%N > "$ENVY_INSTALL_DIR/time"; echo > "$ENVY_INSTALL_DIR/same"]]'
PLAIN = 'build = [[echo built >> "$RAN"; echo > "$ENVY_INSTALL_DIR/same"]]\npass_env = { "RAN" }'


def make_machine(tmp_path, name, body=ODD):
    machine = Project(tmp_path / name, tmp_path / f"cache-of-{name}")
    machine.packages("local.odd@r1")
    machine.recipe("local.odd@r1", body)
    machine.ran = tmp_path / "ran"
    return machine


def sync(machine, *words, env=None):
    return machine.envy("sync", *words, env={"RAN": str(machine.ran), **(env or {})})


def is_built(machine):
    """Return whether a script ran since the last call."""
    found = machine.ran.exists()
    machine.ran.unlink(missing_ok=True)
    return found


def time_of(machine):
    return Path(machine.envy("asset", "odd").out.strip(), "time").read_text()


def test_two_writers_on_a_server(tmp_path):
    """Two that both saw nothing leave one whole result; it stays, and what differs is reported."""
    machines = [make_machine(tmp_path, name) for name in ("first", "second")]
    for machine in machines:
        sync(machine)
    both = threading.Barrier(2)

    def meet(method):
        if method == "UpdateActionResult":
            both.wait(timeout=300)

    with RemoteServer() as server:
        server.before = meet
        running = [machine.popen("remote", "push", "--remote", server.url) for machine in machines]
        for process in running:
            _, err = process.communicate(timeout=300)
            assert process.returncode == 0, err
        server.before = lambda _method: None
        assert len(server.results) == 1
        third = make_machine(tmp_path, "third")
        assert "1 taken" in sync(third, "--remote", server.url).err
        assert "0 damaged" in third.envy("cache", "verify").out
        [other] = [machine for machine in machines if time_of(machine) != time_of(third)]
        before = dict(server.results)
        outcome = other.envy("remote", "push", "--remote", server.url, code=1)
        assert f"{server.url} has another payload for local.odd@r1/" in outcome.err
        assert ": time differ" in outcome.err
        assert "not reproducible" in outcome.err
        assert server.results == before


def test_two_writers_on_a_depot(tmp_path):
    """The server keeps the first object, and the second machine reports what differs."""
    first, second = (make_machine(tmp_path, name) for name in ("first", "second"))
    with DepotServer() as server:
        words = ("--depot", server.url, "--depot-unsigned")
        sync(first, *words, "--depot-write")
        sync(second)
        before = dict(server.objects)
        server.answers["HEAD"] = (404, b"")  # as if the first had not stored it yet
        outcome = second.envy("depot", "push", *words, code=1)
        assert "has another payload for local.odd@r1/" in outcome.err
        assert ": time differ" in outcome.err
        assert server.objects == before


@pytest.mark.parametrize("at", ["FindMissingBlobs", "UpdateActionResult", "GetActionResult"])
def test_eviction_between_find_missing_and_use(tmp_path, at):
    """A result whose blobs are lost while it is stored, or while it is taken, is a miss."""
    first, second, third = (
        make_machine(tmp_path, name, PLAIN) for name in ("first", "second", "third")
    )
    with RemoteServer() as server:

        def evict(method):
            if method == at:
                server.blobs.clear()

        if at == "FindMissingBlobs":  # all are said to be there, and none is
            server.fault = lambda method: "evict" if method == at else ""
        elif at == "UpdateActionResult":
            server.before = evict
        sync(first, "--remote", server.url)
        assert is_built(first)
        assert len(server.results) == 1
        server.fault, server.before = lambda _method: "", lambda _method: None
        if at == "GetActionResult":
            server.before = evict
        outcome = sync(second, "--remote", server.url)
        assert is_built(second)
        assert "warning" not in outcome.err
        [missed] = outcome.named("entry_not_taken")
        assert missed["reason"] == "it does not have all of it any more"
        server.before = lambda _method: None
        assert "1 taken" in sync(third, "--remote", server.url).err
        assert not is_built(third)
        for machine in (second, third):
            assert "0 damaged" in machine.envy("cache", "verify").out


def test_clocks_that_are_an_hour_off(tmp_path):
    """Machines whose clocks differ by hours share packages in both directions."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is missing")
    clocks = [
        {"LD_PRELOAD": str(library), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        for offset in ("-1h", "+0", "+1h")
    ]
    machines = [make_machine(tmp_path, name, PLAIN) for name in ("a", "b", "c")]
    folder = ("--depot", f"file://{tmp_path}/depot")

    def begin(number, *words):
        env = {**clocks[number], "RAN": str(machines[number].ran)}
        process = machines[number].popen(*words, env=env, text=True)
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert "warning" not in err
        return err

    with RemoteServer() as server:
        begin(0, "sync", *folder, "--depot-write", "--remote", server.url)
        assert is_built(machines[0])
        for number, words in ((1, folder), (2, ("--remote", server.url))):
            assert "1 taken" in begin(number, "sync", *words)
            assert not is_built(machines[number])
            assert "0 damaged" in machines[number].envy("cache", "verify").out
    # A depot is kept in order by the clock of whoever does that.
    begin(2, "depot", "prune", "--unused-for", "1d", *folder)
    assert len(list((tmp_path / "depot").rglob("*.tar.zst"))) == 1
