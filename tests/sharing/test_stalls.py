"""Servers that fall silent in the middle of each kind of call, and servers that only drip."""

import contextlib
import hashlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from loopback.fault_proxy import FaultProxy
from loopback.remote_server import RemoteServer as LoopbackServer

from envy.errors import Cancelled
from envy.sharing.remote.blobs import Blobs
from envy.sharing.remote.location import parse_location
from envy.sharing.remote.result_store import ResultStore
from envy.sharing.remote.server import Credentials, RemoteServer
from envy.sharing.result_names import ResultName, ResultToStore
from envy.transport.context import NoAnswer

SHORT, LONG = 0.2, 300.0  # seconds of patience: where a server is silent, and where it is not
SMALL, LARGE = b"small", bytes(3 << 20)
SILENT = r"did not answer in time|took nothing of a blob"
NAME = ResultName("7" * 64, "go1")
RESULT = ResultToStore(NAME, b"evidence", b"events")


def goes_on():
    """Let every wait go on."""


@contextlib.contextmanager
def connected(url, patience=LONG):
    server = RemoteServer(parse_location(url, what="url"), Credentials())
    server.waits.patience = patience
    try:
        yield server
    finally:
        server.close()


def digest_of(data):
    return reapi.Digest(hash=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def pieces():
    """Return a large blob in small pieces, of which a server that drips takes one at a time."""
    return (LARGE[start : start + 10_000] for start in range(0, len(LARGE), 10_000))


def calls_of(server, check=goes_on):
    """Return what makes one call, by its name, in the order in which they are possible."""
    blobs = Blobs(server, check)

    def download():
        for _, parts in blobs.download([digest_of(LARGE)]):
            assert sum(map(len, parts)) == len(LARGE)

    return {
        "GetCapabilities": server.capabilities,
        "FindMissingBlobs": lambda: blobs.missing([digest_of(SMALL)]),
        "BatchUpdateBlobs": lambda: blobs.upload([(digest_of(SMALL), lambda: iter([SMALL]))]),
        "Write": lambda: blobs.upload([(digest_of(LARGE), pieces)]),
        "BatchReadBlobs": lambda: blobs.read([digest_of(SMALL)]),
        "Read": download,
    }


def is_off(server):
    """Return whether neither blobs nor results are asked for any more, with one warning."""
    for name, call in calls_of(server).items():
        if name != "GetCapabilities":  # which may be known
            with pytest.raises(NoAnswer):
                call()
    warnings = []
    store = ResultStore(server, writes=True, warn=warnings.append, largest=1 << 16)
    gone = server.waits.gone.message
    assert store.find([NAME], goes_on)[NAME.key].missed == gone
    assert store.store([RESULT], goes_on) == {NAME.key: gone}
    return len(warnings) == 1


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        ("GetCapabilities", "stall"),
        ("FindMissingBlobs", "stall"),
        ("BatchUpdateBlobs", "stall"),
        ("Write", "stall"),
        ("BatchReadBlobs", "stall"),
        ("Read", "stall"),
        ("Write", "drip"),
        ("Read", "drip"),
    ],
)
def test_each_call(method, fault):
    """A server that stalls or drips in a call is given up, and no other call is made then."""
    with LoopbackServer() as loopback, connected(loopback.url) as server:
        loopback.late = SHORT / 4
        loopback.fault = lambda called: fault if called == method else ""
        for name, call in calls_of(server).items():
            if name == method:
                break
            call()
        server.waits.patience = SHORT
        with pytest.raises(NoAnswer, match=SILENT):
            call()
        others = [called for called in loopback.calls if called != method]
        loopback.fault = lambda _called: ""
        assert is_off(server)
        assert [called for called in loopback.calls if called != method] == others
        most = 8 if method == "Read" else 1  # parts of a large blob are asked for together
        assert loopback.calls.count(method) <= most  # 0 if this machine was slow


@pytest.mark.parametrize(
    ("method", "before"),
    [("GetActionResult", "GetCapabilities"), ("UpdateActionResult", "BatchUpdateBlobs")],
)
def test_results(method, before):
    """A lookup or a result that stalls is one warning, and the server is not asked again."""
    with LoopbackServer() as loopback, connected(loopback.url) as server:
        warnings = []
        store = ResultStore(server, writes=True, warn=warnings.append, largest=1 << 16)

        def fault(called):
            if called == before:
                server.waits.patience = SHORT
            return "stall" if called == method else ""

        loopback.fault = fault
        [stored] = store.store([RESULT], goes_on).values()
        assert "did not answer in time" in stored
        loopback.fault = lambda _called: ""
        others = [called for called in loopback.calls if called != method]
        assert "did not answer in time" in store.find([NAME], goes_on)[NAME.key].missed
        assert [called for called in loopback.calls if called != method] == others
        assert loopback.calls.count(method) <= 1
        assert len(warnings) == 1


def test_a_network_that_falls_silent():
    """The connection stays open, and no byte comes after the first million."""
    with LoopbackServer() as loopback, FaultProxy(loopback.port) as proxy:
        loopback.blobs[digest_of(LARGE).hash] = LARGE
        proxy.fault = lambda: ("stall", 1_000_000)
        with connected(proxy.url) as server:
            server.capabilities()
            server.waits.patience = SHORT
            with pytest.raises(NoAnswer, match="did not answer in time"):
                calls_of(server)["Read"]()
            assert is_off(server)


def test_nobody_answers():
    """What accepts connections and says nothing is given up; what refuses them is at once."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with connected(f"grpc://127.0.0.1:{port}", SHORT) as server:
            with pytest.raises(NoAnswer, match="did not answer in time"):
                server.capabilities()
            assert is_off(server)
    refusing = connected(f"grpc://127.0.0.1:{port}")
    with refusing as server, pytest.raises(NoAnswer, match="cannot be reached"):
        server.capabilities()


def test_many_threads_wait_once():
    """When one thread's patience ends, that of all does."""
    with LoopbackServer() as loopback, connected(loopback.url, SHORT) as server:
        loopback.fault = lambda called: "stall" if called == "FindMissingBlobs" else ""

        def ask(_):
            with pytest.raises(NoAnswer) as caught:
                Blobs(server, goes_on).missing([digest_of(SMALL)])
            return caught.value.message

        with ThreadPoolExecutor(8) as pool:
            errors = list(pool.map(ask, range(16)))
        assert set(errors) == {server.waits.gone.message}
        assert loopback.calls.count("FindMissingBlobs") <= 8


def test_slow_servers_are_used():
    """Late answers are waited for, in each kind of call."""
    with LoopbackServer() as loopback, connected(loopback.url) as server:
        loopback.late = 0.05
        loopback.fault = lambda _called: "late"
        for call in calls_of(server).values():
            call()
        assert server.waits.gone is None


@pytest.mark.parametrize("method", ["FindMissingBlobs", "BatchUpdateBlobs", "Write"])
def test_waits_are_cancelled(method):
    """Whoever waits may end the wait; the server is not to blame for that."""
    begun = threading.Event()

    def fault(called):
        if called != method:
            return ""
        begun.set()
        return "stall"

    def check():
        if begun.is_set():
            raise Cancelled("the run was cancelled")

    with LoopbackServer() as loopback, connected(loopback.url) as server:
        loopback.fault = fault
        with pytest.raises(Cancelled):
            calls_of(server, check)[method]()
        assert server.waits.gone is None


def test_a_file_that_cannot_be_read():
    """What goes wrong here while a blob is sent is that error, and not one of the server."""

    def vanishing():
        yield LARGE[: 1 << 20]
        raise FileNotFoundError("gone")

    with LoopbackServer() as loopback, connected(loopback.url) as server:
        with pytest.raises(FileNotFoundError, match="gone"):
            Blobs(server, goes_on).upload([(digest_of(LARGE), vanishing)])
        assert server.waits.gone is None
