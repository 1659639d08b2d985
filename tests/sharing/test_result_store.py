"""Results of tests on a server in memory: what is found, stored, and refused."""

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from loopback.remote_server import FAULTS
from loopback.remote_server import RemoteServer as LoopbackServer

from envy.sharing.remote.location import parse_location
from envy.sharing.remote.messages import digest_of
from envy.sharing.remote.result_store import ResultStore, action_of_tests
from envy.sharing.remote.server import Credentials, RemoteServer
from envy.sharing.result_names import ResultName, ResultToStore

NAMES = [ResultName(f"{number:064x}", "go1") for number in range(3)]
METHODS = ("GetCapabilities", "GetActionResult", "BatchReadBlobs", "FindMissingBlobs",
           "BatchUpdateBlobs", "UpdateActionResult")  # fmt: skip


class Client:
    """A store on a connection of its own, as every command has one."""

    def __init__(self, server, **details):
        self.warnings = []
        self.server = RemoteServer(parse_location(server.url, what="url"), Credentials())
        options = {"writes": True, "warn": self.warnings.append, "largest": 1 << 16, **details}
        self.store = ResultStore(self.server, **options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.close()

    def put(self, text=b"1"):
        return self.store.store(results(text), lambda: None)

    def get(self):
        """Return the evidence of each result with its events, or why there is none."""
        offers = self.store.find(NAMES, lambda: None)
        found = []
        for name in NAMES:
            rows = offers[name.key].found
            blobs = self.store.read([row.events for row in rows], lambda: None)
            found.append([(row.evidence, blobs[row.events.hash]) for row in rows]
                         or offers[name.key].missed)  # fmt: skip
        return found


def results(text):
    return [ResultToStore(name, b"on " + name.key.encode() + text, b"ran " + name.key.encode())
            for name in NAMES]  # fmt: skip


def pairs(text=b"1"):
    return [[(one.evidence, one.events)] for one in results(text)]


def test_results_under_one_key():
    """The latest results under a key are found, each once, and no more than four."""
    with LoopbackServer() as server, Client(server) as client:
        assert client.get() == ["it has none"] * 3
        assert all(sent > 0 for sent in client.put().values())
        assert client.get() == pairs()
        uploaded = len(server.uploaded)
        assert client.put() == dict.fromkeys((name.key for name in NAMES), 0)
        assert len(server.uploaded) == uploaded
        for text in b"2345":
            client.put(bytes([text]))
        assert [row[0][-1:] for row in client.get()[0]] == [b"5", b"4", b"3", b"2"]
        # A command's blobs come before its result.
        last = len(server.calls) - server.calls[::-1].index("UpdateActionResult")
        assert "BatchUpdateBlobs" in server.calls[:last]
        for row in client.store.find(NAMES, lambda: None)[NAMES[0].key].found[1:]:
            del server.blobs[row.events.hash]
            break


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "stall"])
def test_faults(method, fault):
    """Whatever a server answers, a result is the right one or a miss, and there is one warning."""
    with LoopbackServer() as server:
        with Client(server) as client:
            client.put()
        server.fault = lambda called: fault if called == method else ""
        with Client(server) as client:
            for found, right in zip(client.get(), pairs(), strict=True):
                if fault == "other-key":
                    continue  # the evidence names its key: testing/shared compares it
                is_right = found == right
                assert is_right or isinstance(found, str) or isinstance(found[0][1], str)
            assert len(client.warnings) <= 1
            stored = client.put(b"2")
            assert all(isinstance(one, int | str) for one in stored.values())
            assert len(client.warnings) <= 2
        server.fault = lambda _called: ""
        with Client(server) as client:
            client.put(b"3")
            assert [row[0] for row in client.get()] == [row[0] for row in pairs(b"3")]


def test_hostile_results():
    """A result of a failed action, with too many blobs, or with large ones, is a miss."""
    blob, large = digest_of(b"x"), reapi.Digest(hash="0" * 64, size_bytes=1 << 40)
    hostile = [
        reapi.ActionResult(exit_code=1),
        reapi.ActionResult(output_files=[reapi.OutputFile(path="0.evidence", digest=blob)] * 100),
        reapi.ActionResult(
            output_files=[
                reapi.OutputFile(path="0.evidence", digest=blob),
                reapi.OutputFile(path="0.events", digest=large),
            ]
        ),
    ]
    with LoopbackServer() as server, Client(server) as client:
        for name, result in zip(NAMES, hostile, strict=True):
            action = digest_of(action_of_tests(name)[0])
            server.results[action.hash] = result.SerializeToString()
        assert client.get() == [
            "its result is not that of passed tests",
            "its result is not that of passed tests",
            "its result is larger than a result may be",
        ]
        assert client.warnings == []
        client.put()  # takes their places
        assert client.get() == pairs()


def test_many_lookups():
    """What a hundred questions find is read in one message."""
    many = [ResultName(f"{number:064x}", "go1") for number in range(100)]
    rows = [ResultToStore(name, b"on " + name.key.encode(), b"ran") for name in many]
    with LoopbackServer() as server, Client(server) as client:
        client.store.store(rows, lambda: None)
        server.calls.clear()
        offers = client.store.find(many, lambda: None)
        assert all(len(offer.found) == 1 for offer in offers.values())
        assert server.calls.count("GetActionResult") == 100
        assert server.calls.count("BatchReadBlobs") == 1


def test_many_forgotten_blobs():
    """What a server has forgotten costs two more calls, however much it is."""
    with LoopbackServer() as server, Client(server) as one, Client(server) as two:
        names = [ResultName(f"{number:064x}", "go1") for number in range(40)]
        rows = [ResultToStore(name, b"on " + name.key.encode(), b"ran") for name in names]
        one.store.store(rows, lambda: None)
        for row in rows[::2]:
            del server.blobs[digest_of(row.evidence).hash]
        server.calls.clear()
        offers = two.store.find(names, lambda: None)
        missed = [bool(offers[name.key].found) for name in names]
        assert missed == [False, True] * 20
        assert offers[names[0].key].missed == "it does not have all of it any more"
        reads = [call for call in server.calls if call != "GetActionResult"]
        assert reads == ["GetCapabilities", "BatchReadBlobs", "FindMissingBlobs", "BatchReadBlobs"]
        assert two.warnings == []


def test_servers_that_take_nothing():
    """A server that is read-only, or a user that is, is said once."""
    with LoopbackServer(read_only=True) as server, Client(server) as client:
        assert set(client.put().values()) == {f"{server.url} is read-only for this user"}
        assert set(client.put().values()) == {"nothing is stored there"}
        assert len(client.warnings) == 1
    with LoopbackServer() as server, Client(server, writes=False) as client:
        client.put()
        assert server.calls == []
