"""Folders that an action has written, as a server sends them: right, damaged, and hostile."""

import hashlib
import os

import pytest

# ruff: noqa: PTH115 - a Path would change targets
pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from buildgrid.common.protos.build.bazel.remote.execution.v2 import (
    remote_execution_pb2 as reapi,
)

from envy.sharing.actions import NotExecuted, RemoteAction, ResultNotUsed
from envy.sharing.remote.input_root import FileDigests
from envy.sharing.remote.output_folder import OutputFolder, targets_within

TOP = "/cache/assets/local.app@r1/x/asset"
INSIDE = ("/cache/assets/local.app@r1/x", "/cache/assets/local.lib@r1/y/asset")


class StoredBlobs:
    """Blobs in memory, of which one may be sent with other content."""

    def __init__(self):
        self.stored = {}
        self.wrong = ""
        self.asked = []

    def put(self, data):
        name = hashlib.sha256(data).hexdigest()
        self.stored[name] = data
        return reapi.Digest(hash=name, size_bytes=len(data))

    def download(self, digests):
        for digest in {digest.hash: digest for digest in digests}.values():
            self.asked.append(digest.hash)
            data = self.stored[digest.hash]
            yield digest, (b"x" * len(data) if digest.hash == self.wrong else data,)


@pytest.fixture
def blobs():
    return StoredBlobs()


@pytest.fixture
def bring(blobs, tmp_path):
    """Return a function that brings a tree into the folder `new`, and returns that folder."""

    def bring(tree, *, before=None, links=None, inside=INSIDE):
        output = OutputFolder(
            blobs,
            FileDigests(),
            shown="the server",
            before=before or {},
            links=links or {},
            top=TOP,
            inside=inside,
        )
        output.bring(tree.SerializeToString(), str(tmp_path / "new"))
        return tmp_path / "new"

    return bring


@pytest.fixture
def tree(blobs):
    """A tree with two equal files, a program in a folder, an empty folder and a link."""
    tree = reapi.Tree()
    inner, empty = tree.children.add(), tree.children.add()
    inner.files.add(name="run", digest=blobs.put(b"program"), is_executable=True)
    for name in ("a", "b"):
        tree.root.files.add(name=name, digest=blobs.put(b"same"))
    for name, child in (("empty", empty), ("sub", inner)):
        digest = blobs.put(child.SerializeToString(deterministic=True))
        tree.root.directories.add(name=name, digest=digest)
    tree.root.symlinks.add(name="link", target="sub/run")
    return tree


def test_a_tree(bring, blobs, tree, tmp_path):
    """Files have their content, and one time; what the action left as it was is this machine's."""
    old = tmp_path / "old"
    old.write_bytes(b"program")
    old.chmod(0o755)
    os.utime(old, (1, 1))
    folder = bring(tree, before={"sub/run": str(old)})
    assert (folder / "a").read_bytes() == (folder / "b").read_bytes() == b"same"
    assert (folder / "a").stat().st_mtime_ns == (folder / "b").stat().st_mtime_ns
    assert not os.access(folder / "a", os.X_OK)
    assert (folder / "empty").is_dir()
    assert (folder / "link").read_bytes() == b"program"
    assert (folder / "sub/run").samefile(old)
    assert (folder / "sub/run").stat().st_mtime == 1
    assert blobs.asked == [hashlib.sha256(b"same").hexdigest()]
    old.chmod(0o644)
    (tmp_path / "new").rename(tmp_path / "first")
    assert os.access(bring(tree, before={"sub/run": str(old)}) / "sub/run", os.X_OK)


@pytest.mark.parametrize(
    "target",
    [
        *("sub/run", "./a", "../asset/a", "../../../local.lib@r1/y/asset/bin/x", "gone"),
        *(f"{TOP}/a", "/cache/assets/local.lib@r1/y/asset"),
    ],
)
def test_links_inside(bring, target):
    """A link may lead to the entry and to the payloads of its dependencies."""
    tree = reapi.Tree()
    tree.root.symlinks.add(name="link", target=target)
    assert os.readlink(bring(tree) / "link") == target


@pytest.mark.parametrize(
    "target",
    [
        *("/", "/etc/passwd", "..//../../../..", "../../../local.lib@r1/y/assets"),
        *("sub/../a", "sub/../../../../../etc", f"{TOP}/../../../..", "/cache/assets"),
        *("../../../local.other@r1/y/asset/x", "../../../../../etc/passwd"),
    ],
)
def test_links_elsewhere(bring, target, tmp_path):
    """A link that leads elsewhere, or climbs behind a name, is refused before anything is made."""
    tree = reapi.Tree()
    tree.root.symlinks.add(name="link", target=target)
    message = r"it made the link asset/link → .*, which leads elsewhere"
    with pytest.raises(ResultNotUsed, match=message):
        bring(tree)
    assert list(tmp_path.iterdir()) == []
    assert os.readlink(bring(tree, inside=None) / "link") == target
    (tmp_path / "new").rename(tmp_path / "judged by others")
    # It was there before.
    assert os.readlink(bring(tree, links={"link": target}) / "link") == target


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/x", "a\0b", "a"])
def test_hostile_names(bring, tree, name, tmp_path):
    """Names that are none, or that two members have, are refused before anything is made."""
    tree.root.symlinks.add(name=name, target="sub")
    with pytest.raises(NotExecuted, match="sent a tree with the name"):
        bring(tree)
    assert list(tmp_path.iterdir()) == []


def test_damaged_content(bring, blobs, tree):
    """Wrong content, a missing folder, a negative size and no tree at all are refused."""
    blobs.wrong = hashlib.sha256(b"same").hexdigest()
    with pytest.raises(NotExecuted, match="sent other content for a"):
        bring(tree)
    tree.root.files[0].digest.size_bytes = -1
    with pytest.raises(NotExecuted, match="in which 'a' has no valid digest"):
        bring(tree)
    tree.root.files[0].digest.size_bytes = 4
    del tree.children[:]
    with pytest.raises(NotExecuted, match="sent a tree without"):
        bring(tree)


def test_a_tree_that_is_too_large(bring, tree):
    """What a tree unfolds to is limited."""
    tree.root.files[0].digest.size_bytes = 1 << 50
    with pytest.raises(ResultNotUsed, match="the limit unpacked-size"):
        bring(tree)


def test_paths_that_are_too_long(bring, blobs):
    """Folders that the system here does not take are no fault of its disk."""
    tree = reapi.Tree()
    inner = reapi.Directory()
    for number in range(25):
        tree.children.append(inner)
        digest = blobs.put(inner.SerializeToString(deterministic=True))
        inner = reapi.Directory()
        inner.directories.add(name=f"{number:0240}", digest=digest)
    tree.root.CopyFrom(inner)
    with pytest.raises(ResultNotUsed, match="cannot be used: File name too long"):
        bring(tree)


def test_targets_by_the_padded_path():
    """Links may lead to what an action had, by the padded path of the cache, too."""
    action = RemoteAction(
        argv=["x"],
        folder="cache/p",
        files={"cache/p/stage/a": "/a", "usr/bin/sh": "/usr/bin/sh"},
        links={"cache/__": ".", "cache/p/stage/self": ".", "lib": "usr/lib"},
        payloads={"cache/q/asset": None},
    )
    assert targets_within(action) == [
        *("/cache/p", "/cache/q/asset", "/usr/bin/sh"),
        *("/cache/__/p", "/cache/__/q/asset"),
    ]
