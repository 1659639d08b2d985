"""Actions on a server in memory that executes them: answers, breaks, faults, cancellation."""

import time

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from loopback.executing_server import EXECUTION_FAULTS, ExecutingServer
from loopback.remote_server import RemoteServer as LoopbackServer

from envy.errors import Cancelled, FetchError
from envy.sharing.actions import NotExecuted, RemoteAction
from envy.sharing.remote.execution import RemoteExecution
from envy.sharing.remote.location import parse_location
from envy.sharing.remote.server import CHANNEL_OPTIONS, Credentials, RemoteServer

SCRIPT = """#!/bin/sh
echo "$GREETING $1 in $(cat data/x)"
echo complaint >&2
printf result > told
exit "$1"
"""


@pytest.fixture
def server():
    with ExecutingServer() as server:
        yield server


@pytest.fixture
def execution(server):
    connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
    yield RemoteExecution(connection)
    connection.close()


@pytest.fixture
def action(tmp_path):
    """Return an action whose program ends with the given code."""
    script, data = tmp_path / "script", tmp_path / "x"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    data.write_text("a file")

    def make(code=0, **details):
        return RemoteAction(
            argv=["../script", str(code)],
            folder="p",
            files={"script": str(script), "p/data/x": str(data)},
            environment={"GREETING": "hello", "PATH": "/usr/bin:/bin"},
            outputs=["told", "nothing"],
            **details,
        )

    return make


def go_on():
    pass


def test_answers(server, execution, action):
    """The output and the files of a program come back; only a success is answered again."""
    done = execution.execute(action(), go_on)
    assert (done.exit_code, done.stdout, done.stderr) == (0, b"hello 0 in a file\n", b"complaint\n")
    assert done.outputs == {"told": b"result"}
    again = execution.execute(action(), go_on)
    assert again.is_cached
    assert (again.stdout, again.outputs) == (done.stdout, done.outputs)
    assert server.calls.count("Execute") == 1
    assert not execution.execute(action(reads_cache=False), go_on).is_cached
    for number in (3, 4):
        assert execution.execute(action(7), go_on).exit_code == 7
        assert server.calls.count("Execute") == number
    uploaded = len(server.uploaded)
    assert len(set(server.uploaded)) == uploaded  # nothing twice
    assert not execution.execute(action(timeout=300.0), go_on).timed_out


def test_platforms(server, action):
    """The properties of a worker are part of an action, in order."""
    connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
    RemoteExecution(connection, [("b", "2"), ("a", "1")]).execute(action(), go_on)
    connection.close()
    [name] = server.results
    found = reapi.Action.FromString(server.blobs[name]).platform
    assert [(row.name, row.value) for row in found.properties] == [("a", "1"), ("b", "2")]


def test_time_limits(server, execution, action, tmp_path):
    """What takes longer than it may is ended by the server, and its output is kept."""
    (tmp_path / "script").write_text("#!/bin/sh\necho begun\nexec sleep 600\n")
    for limit in (0.5, 5.0, 50.0):  # as long as this machine needs to begin
        done = execution.execute(action(timeout=limit), go_on)
        assert done.timed_out
        if done.stdout:
            break
    assert done.stdout == b"begun\n"


@pytest.mark.parametrize("fault", ["break", "lost-input", "forget"])
def test_breaks_are_mended(server, execution, action, fault):
    """A stream that breaks off is taken up again, and what was lost is sent again."""
    first = iter([fault])
    server.fault = lambda called: next(first, "") if called == "Execute" else ""
    assert execution.execute(action(), go_on).exit_code == 0
    if fault == "break":
        assert server.calls.count("WaitExecution") == 1
        assert server.calls.count("Execute") == 1
    else:
        assert server.calls.count("Execute") == 2


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        *(("Execute", fault) for fault in EXECUTION_FAULTS if fault not in {"break", "lost-input"}),
        ("Execute", "unavailable"),
        ("Execute", "exhausted"),
        ("Execute", "internal"),
        ("FindMissingBlobs", "unavailable"),
        ("BatchUpdateBlobs", "exhausted"),
        ("BatchReadBlobs", "flip"),
        ("BatchReadBlobs", "missing"),
        ("BatchReadBlobs", "wrong-size"),
        ("GetActionResult", "unavailable"),
    ],
)
def test_faults(server, execution, action, method, fault):
    """Whatever a server answers, there is an error or the right result, and soon."""
    server.fault = lambda called: fault if called == method else ""
    with pytest.raises(FetchError):
        execution.execute(action(3), go_on)
    server.fault = lambda _called: ""
    assert execution.execute(action(3), go_on).exit_code == 3


def test_cancellation(server, execution, action, tmp_path):
    """An action that is not waited for is cancelled on the server."""
    (tmp_path / "script").write_text("#!/bin/sh\nexec sleep 600\n")

    def stop():
        if server.started.is_set():
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        execution.execute(action(), stop)
    assert "CancelOperation" in server.calls
    [operation] = server.operations.values()
    assert operation.was_cancelled
    assert operation.ended.wait(300)


def test_actions_without_a_worker(server, action):
    """What no worker takes is given up with a reason, or ended when the run's time is over."""
    server.fault = lambda called: "queue" if called == "Execute" else ""
    connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
    stages = []
    with pytest.raises(NotExecuted, match=r"no worker for an action in 0.1 s \(ENVY_REMOTE_PLAT"):
        RemoteExecution(connection, patience=0.1).execute(action(), go_on, stages.append)
    assert stages == ["was sent to", "waits for a worker of"]
    ends_at = time.monotonic() + 0.5
    done = RemoteExecution(connection).execute(action(ends_at=ends_at), go_on)
    assert done.timed_out
    assert time.monotonic() >= ends_at
    connection.close()
    assert "CancelOperation" in server.calls


def test_streams_that_say_nothing_more(server, action):
    """The server is asked how far an action is; one that cannot tell is listened to."""
    connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
    execution = RemoteExecution(connection, silence=0.05)
    server.fault = lambda called: "mute" if called == "Execute" else ""
    assert execution.execute(action(), go_on).exit_code == 0
    assert server.calls.count("Execute") == 1
    connection.close()


def test_stages_that_are_not_told(server, action, tmp_path):
    """What a server does not say to be executed is not waited for without an end."""
    (tmp_path / "script").write_text("#!/bin/sh\nexec sleep 600\n")
    connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
    with pytest.raises(NotExecuted, match=r"did not say in 0.1 s that a worker has an action"):
        RemoteExecution(connection, patience=0.1).execute(action(), go_on)
    connection.close()
    assert "CancelOperation" in server.calls


def test_pings_are_rare():
    """A server with the usual rules takes one ping without data in five minutes."""
    assert dict(CHANNEL_OPTIONS)["grpc.keepalive_time_ms"] > 300_000


def test_servers_that_execute_nothing(execution, action, tmp_path):
    """A cache that executes nothing is told apart, and so is a file that is gone."""
    execution.check()
    with LoopbackServer() as server:
        connection = RemoteServer(parse_location(server.url, what="url"), Credentials())
        with pytest.raises(NotExecuted, match="executes nothing"):
            RemoteExecution(connection).check()
        connection.close()
    (tmp_path / "x").unlink()
    with pytest.raises(NotExecuted, match="cannot be read"):
        execution.execute(action(), go_on)
