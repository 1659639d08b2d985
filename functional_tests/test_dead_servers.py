"""What a sync costs beyond one without a server when the server is gone, in seconds.

Only with ENVY_SOAK_REMOTE_FAULTS, which `make soak` sets: elsewhere no test looks at seconds.
"""

import contextlib
import os
import shutil
import socket
import threading
import time

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from loopback.fault_proxy import FaultProxy
from loopback.remote_server import RemoteServer
from project import Project

pytestmark = pytest.mark.skipif(
    "ENVY_SOAK_REMOTE_FAULTS" not in os.environ,
    reason="ENVY_SOAK_REMOTE_FAULTS is not set: make soak does",
)
NAMES = [f"local.p{number}@r1" for number in range(6)]
BODY = """
build = [[head -c 3000000 /dev/urandom > "$ENVY_INSTALL_DIR/large"
  for i in 1 2 3 4 5 6 7 8 9; do echo $i > "$ENVY_INSTALL_DIR/$i"; done]]
"""
METHODS = ("GetCapabilities", "GetActionResult", "BatchReadBlobs", "Read", "FindMissingBlobs",
           "BatchUpdateBlobs", "Write", "UpdateActionResult")  # fmt: skip
MODES = [
    "refused",
    "silent",
    *(f"{fault} {method}" for fault in ("stall", "drip", "late") for method in METHODS),
    *(f"network {size}" for size in (0, 100, 10_000, 1_000_000)),
    *(f"depot {how}" for how in ("refused", "silent", "head", "body", "drip", "later")),
]


def make_machine(tmp_path, name):
    machine = Project(tmp_path / name, tmp_path / f"cache-of-{name}")
    machine.packages(*NAMES)
    for number, name in enumerate(NAMES):
        needs = f'dependencies = {{ "{NAMES[number - 1]}" }}' if number % 2 else ""
        machine.recipe(name, needs + BODY)
    return machine


def timed(machine, *words):
    shutil.rmtree(machine.cache, ignore_errors=True)
    started = time.monotonic()
    outcome = machine.envy("sync", *words)
    taken = time.monotonic() - started
    assert "sync complete" in outcome.err
    assert "0 damaged" in machine.envy("cache", "verify").out
    assert machine.held_locks() == []
    return taken, [line for line in outcome.err.splitlines() if line.startswith("warning: ")]


@contextlib.contextmanager
def depot(how):
    """Yield the options for a server that answers so far, and then is silent."""

    def speak(connection):
        with contextlib.suppress(OSError):
            connection.recv(10_000)
            if how == "later":
                head = b"HTTP/1.1 503 Busy\r\nRetry-After: 15\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(head)
            elif how != "silent":
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
            if how in {"body", "drip"}:
                connection.sendall(b"Content-Length: 1000000\r\n\r\n" + bytes(1000))
            while how == "drip":
                connection.sendall(bytes(200))
                time.sleep(0.5)

    def accept(listening):
        with contextlib.suppress(OSError):
            while True:
                connection = listening.accept()[0]
                kept.append(connection)
                threading.Thread(target=speak, args=(connection,), daemon=True).start()

    kept = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/depot"
        words = ("--depot", url, "--depot-unsigned", "--depot-write")
        if how == "refused":
            listening.close()
        else:
            threading.Thread(target=accept, args=(listening,), daemon=True).start()
        yield words
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
    for connection in kept:
        connection.close()


@contextlib.contextmanager
def dead(mode, first):
    """Yield the options for a server that is dead in some way."""
    how, _, what = mode.partition(" ")
    if how == "depot":
        with depot(what) as words:
            yield words
        return
    if how in {"refused", "silent"}:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            if how == "refused":
                listening.close()
            yield ("--remote", f"grpc://127.0.0.1:{port}")
        return
    with RemoteServer() as server, FaultProxy(server.port) as proxy:
        if what in {"BatchReadBlobs", "Read"} or how == "network":
            first.envy("remote", "push", "--remote", server.url)
        if how == "network":
            proxy.fault = lambda: ("stall", int(what))
        else:
            server.fault = lambda called: how if called == what else ""
        yield ("--remote", proxy.url)


def test_the_seconds_that_dead_servers_cost(tmp_path):
    """Each way of being dead costs less than ten seconds more than no server, and one warning."""
    first, second = (make_machine(tmp_path, name) for name in ("first", "second"))
    rows = []
    for mode in MODES:
        local, _ = timed(first)
        with dead(mode, first) as words:
            taken, warnings = timed(second, *words)
        rows.append((taken - local, taken, local, mode, warnings))
    for extra, taken, local, mode, warnings in sorted(rows, reverse=True):
        print(f"{extra:5.1f} = {taken:5.1f} - {local:4.1f}  {mode}  {warnings}")
    assert all(extra < 10 for extra, *_ in rows)
    assert all(len(warnings) <= 1 for *_, warnings in rows)
