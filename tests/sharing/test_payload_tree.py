"""Trees that a server sends."""

import pytest

pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from envy.errors import ArchiveError
from envy.sharing.remote.messages import reapi
from envy.sharing.remote.payload_tree import tree_members

HASH = "0" * 64


def tree(*, links=(), files=()):
    root = reapi.Directory()
    for name, target in links:
        root.symlinks.append(reapi.SymlinkNode(name=name, target=target))
    for name, hash_, size in files:
        digest = reapi.Digest(hash=hash_, size_bytes=size)
        root.files.append(reapi.FileNode(name=name, digest=digest))
    return reapi.Tree(root=root).SerializeToString()


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"links": [("x", "")]}, "in which 'x' is a link to nothing"),
        ({"links": [("x", "a\0b")]}, "in which 'x' is a link to a path with a zero byte"),
        ({"links": [("x", "y" * 5000)]}, "in which 'x' is a link to a path of 5000 bytes"),
        ({"links": [("x" * 300, "y")]}, "has a name of 300 bytes"),
        ({"files": [("x" * 300, HASH, 1)]}, "has a name of 300 bytes"),
        ({"files": [("x\0", HASH, 1)]}, "with the name"),
        ({"files": [("x", HASH, -1)]}, "in which 'x' has no valid digest"),
        ({"files": [("x", "../../x", 1)]}, "in which 'x' has no valid digest"),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) else None,
)
def test_what_no_file_system_has(rows, said):
    """It is an error of the tree, by name, before anything is created."""
    with pytest.raises(ArchiveError, match=said):
        list(tree_members(tree(**rows), "grpc://h"))


def test_what_is_allowed():
    """Links may lead anywhere, and names may have 255 bytes."""
    data = tree(links=[("x" * 255, "/" + "y" * 4094)], files=[("f", HASH, 0)])
    assert [(member.kind, len(member.parts)) for member in tree_members(data, "grpc://h")] == [
        ("file", 1),
        ("link", 1),
    ]
