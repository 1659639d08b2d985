"""Digests of files and trees."""

import os
import random
import shutil

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cache.trees import LARGE, digest_file, digest_tree, members
from envy.errors import CacheError

NAMES = st.sampled_from(["a", "b", "a.b", "a-b", "c"])
TREES = st.recursive(
    st.tuples(st.booleans(), st.binary(max_size=3)),
    lambda below: st.dictionaries(NAMES, below, max_size=3),
    max_leaves=8,
)


def plant(path, tree):
    if isinstance(tree, dict):
        path.mkdir()
        for name in tree:
            plant(path / name, tree[name])
    else:
        executable, content = tree
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)


@settings(deadline=None, max_examples=50)
@given(TREES, TREES)
def test_injective(tmp_path_factory, one, other):
    """Two trees have the same digest only if their content is equal."""
    top = tmp_path_factory.mktemp("trees")
    plant(top / "one", one)
    plant(top / "other", other)
    assert (digest_tree(top / "one") == digest_tree(top / "other")) == (one == other)
    shutil.rmtree(top)


def test_file_is_its_blake3(tmp_path):
    """The digest of a file is BLAKE3 of its bytes, for any size."""
    for size in (0, 1, LARGE - 1, LARGE, 2 * LARGE + 17):
        content = random.Random(size).randbytes(size)
        path = tmp_path / str(size)
        path.write_bytes(content)
        assert digest_file(path) == blake3(content).hexdigest()


def test_memory_of_a_changed_file(tmp_path):
    """A file that was changed, or replaced by one of the same size, is read again."""
    path = tmp_path / "file"
    path.write_bytes(b"one")
    before = digest_file(path)
    (tmp_path / "new").write_bytes(b"two")
    (tmp_path / "new").rename(path)
    assert digest_file(path) == blake3(b"two").hexdigest() != before


def test_group_permissions_do_not_count(tmp_path):
    """Two checkouts under different umasks have the same digest."""
    for name, mode in (("one", 0o644), ("other", 0o664)):
        plant(tmp_path / name, {"f": (False, b"x")})
        (tmp_path / name / "f").chmod(mode)
    assert digest_tree(tmp_path / "one") == digest_tree(tmp_path / "other")


def test_links_count_and_are_not_followed(tmp_path):
    """A link counts by its target's text, also if it is dangling or circular."""
    digests = set()
    for name, target in (("one", "."), ("two", "nowhere"), ("three", "f")):
        plant(tmp_path / name, {"f": (False, b"x")})
        (tmp_path / name / "link").symlink_to(target)
        digests.add(digest_tree(tmp_path / name))
    assert len(digests) == 3


def test_name_that_is_not_text(tmp_path):
    """Names can consist of any bytes."""
    top = tmp_path / "top"
    top.mkdir()
    os.close(os.open(os.fsencode(top) + b"/\xff\n", os.O_CREAT | os.O_WRONLY))
    assert digest_tree(top) != digest_tree(tmp_path)


def test_order_of_members(tmp_path):
    """The order of members depends on their names alone."""
    for name in ("b", "a", "c"):
        plant(tmp_path / name, {"z": (False, b""), "y": {}})
    assert [member.relative for member in members(str(tmp_path))] == [
        *("a", "b", "c"),
        *("a/y", "a/z", "b/y", "b/z", "c/y", "c/z"),
    ]


def test_missing(tmp_path):
    """A missing path is an error that names it."""
    for digest in (digest_file, digest_tree):
        with pytest.raises(CacheError, match="no-such-thing") as caught:
            digest(tmp_path / "no-such-thing")
        assert caught.value.path == tmp_path / "no-such-thing"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_named_pipe(tmp_path):
    """A named pipe is refused instead of read forever."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CacheError, match="pipe is neither"):
        digest_tree(tmp_path)
