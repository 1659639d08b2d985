"""The payload of an entry is written by two threads, whichever of them fails."""

import contextlib
import hashlib
import threading

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)
from loopback.remote_server import RemoteServer as LoopbackServer

from envy.cache.imported_entry import UnpackedEntry
from envy.cache.trees import DIRECTORY, FILE, LINK
from envy.content.below_root import open_below
from envy.content.extra_threads import extra_thread
from envy.content.written_digests import WrittenDigests
from envy.errors import Cancelled
from envy.sharing.remote.blobs import WrongBlob
from envy.sharing.remote.location import parse_location
from envy.sharing.remote.payload_tree import TreeMember
from envy.sharing.remote.server import Credentials, RemoteServer
from envy.sharing.remote.tree_writing import write_tree
from envy.transport.context import NotFound

LARGE = b"0123456789abcdef" * (3 << 16)  # 3 MiB
HOUR = 3600.0


class World:
    """A server with blobs, and a tree with files of them."""

    def __init__(self, folder, running):
        self.folder, self.running = folder, running
        self.server = RemoteServer(parse_location(running.url, what="url"), Credentials())
        self.server.waits.patience = HOUR  # what ends before that was ended by a test
        self.members = [TreeMember(("lib",), DIRECTORY)]
        self.content = {}
        self.check = lambda: None

    def add(self, path, data, *, size=None):
        name = hashlib.sha256(data).hexdigest()
        self.running.blobs[name] = data
        self.content[path] = data
        digest = reapi.Digest(hash=name, size_bytes=len(data) if size is None else size)
        self.members.append(TreeMember(tuple(path.split("/")), FILE, digest=digest))

    def write(self):
        unpacked = UnpackedEntry("", "", "", str(self.folder))
        unpacked.written = WrittenDigests()
        unpacked.payload = open_below(self.folder)
        try:
            write_tree(self.members, unpacked, self.server, self.check)
        finally:
            unpacked.close()
        return unpacked.made


@pytest.fixture
def world(tmp_path):
    with LoopbackServer() as running:
        made = World(tmp_path / "asset", running)
        for number in range(3):
            made.add(f"lib/{number}", b"%d" % number)
        made.add("lib/large", LARGE)
        made.add("lib/other", LARGE[1:])
        yield made
        made.server.close()


def test_all_members(world):
    """Every file has its content, also where several have the same, and links are links."""
    world.add("again", LARGE)
    world.add("one", b"1")
    world.add("empty", b"")
    world.members.append(TreeMember(("lib", "link"), LINK, target="large"))
    assert world.write() == {*world.content, "lib", "lib/link"}
    for path, data in world.content.items():
        assert (world.folder / path).read_bytes() == data
    assert (world.folder / "lib/link").readlink().name == "large"


@pytest.mark.parametrize("paths", [(), ("lib/0", "lib/1", "lib/2"), ("lib/large", "lib/other")])
def test_only_files_of_one_kind(world, paths):
    """Without small or without large files there is nothing to do for a second thread."""
    world.members = [
        one for one in world.members if one.digest is None or "/".join(one.parts) in paths
    ]
    assert world.write() == {"lib", *paths}
    for path in paths:
        assert (world.folder / path).read_bytes() == world.content[path]


@pytest.mark.parametrize(
    ("fails", "fault", "error"),
    [
        ("BatchReadBlobs", "missing", NotFound),
        ("BatchReadBlobs", "wrong-size", WrongBlob),
        ("Read", "missing", NotFound),
        ("Read", "wrong-size", WrongBlob),
    ],
)
def test_one_fails_while_the_other_waits(world, fails, fault, error):
    """The error of either thread ends the other, even if the server has stopped sending."""
    world.running.fault = lambda method: {"GetCapabilities": "", fails: fault}.get(method, "stall")
    with pytest.raises(error):
        world.write()


def test_without_a_second_thread(world):
    """If others have all threads, one does it all, and its errors are the same."""
    with contextlib.ExitStack() as others:
        ended = threading.Event()
        others.callback(ended.set)
        while others.enter_context(extra_thread(ended.wait, ended.set)):
            pass
        others.callback(ended.set)
        assert world.write() == {*world.content, "lib"}
        world.folder = world.folder.with_name("other")
        del world.running.blobs[hashlib.sha256(LARGE).hexdigest()]
        with pytest.raises(NotFound):
            world.write()


def test_a_cancelled_run(world):
    """What cancels a run ends both threads."""
    world.running.fault = lambda method: "stall" if method == "BatchReadBlobs" else ""
    asked = []

    def check():
        asked.append(1)
        if len(asked) > 3:
            raise Cancelled("cancelled")

    world.check = check
    with pytest.raises(Cancelled):
        world.write()


def test_one_name_with_two_sizes(world):
    """A blob is written once, by one thread, whatever sizes a tree says it has."""
    world.add("small", b"s")
    world.add("large", b"s", size=len(LARGE))
    assert {"small", "large"} <= world.write()
    assert (world.folder / "large").read_bytes() == (world.folder / "small").read_bytes() == b"s"
