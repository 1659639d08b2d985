"""Local files and folders are copied and verified, completely or not at all."""

import hashlib
import os
from pathlib import Path

import pytest
from blake3 import blake3

from envy.declarations.source_digests import DIGEST_LENGTHS
from envy.declarations.sources import SourceItem
from envy.errors import Cancelled, DigestMismatch, FetchError
from envy.transport import fetch_all, fetch_source


def item(folder, source, **fields):
    return SourceItem(source=source, base_dir=folder, **fields)


def test_file_is_copied_relative_to_who_names_it(tmp_path, recorder):
    """A relative source is relative to the file that names it."""
    (tmp_path / "a.txt").write_text("hello")
    fetched = fetch_source(item(tmp_path, "a.txt"), tmp_path / "into", recorder.context())
    assert fetched.path == tmp_path / "into" / "a.txt"
    assert fetched.path.read_text() == "hello"
    assert (fetched.bytes, fetched.sha256) == (5, hashlib.sha256(b"hello").hexdigest())
    assert not fetched.verified


def test_file_uri(tmp_path, recorder):
    """A file: URI names the same file, with its escapes decoded."""
    (tmp_path / "a b.txt").write_text("hello")
    source = (tmp_path / "a b.txt").as_uri()
    fetched = fetch_source(item(tmp_path, source), tmp_path / "into", recorder.context())
    assert fetched.path.name == "a b.txt"


def test_digests_are_verified(tmp_path, recorder):
    """Both digests of an item are compared."""
    (tmp_path / "a").write_text("hello")
    pinned = item(
        tmp_path,
        "a",
        sha256=hashlib.sha256(b"hello").hexdigest(),
        blake3=blake3(b"hello").hexdigest(),
    )
    assert fetch_source(pinned, tmp_path / "into", recorder.context()).verified


@pytest.mark.parametrize("algorithm", ["sha256", "blake3", "sha512"])
def test_wrong_digest_leaves_nothing(tmp_path, recorder, algorithm):
    """Content with another digest is an error, and leaves no file."""
    (tmp_path / "a").write_text("hello")
    with pytest.raises(DigestMismatch) as caught:
        fetch_source(
            item(tmp_path, "a", **{algorithm: "0" * DIGEST_LENGTHS[algorithm]}),
            tmp_path / "into",
            recorder.context(),
        )
    assert caught.value.algorithm == algorithm
    assert not list((tmp_path / "into").iterdir())


def test_executable_bit_is_kept_and_given(tmp_path, recorder):
    """A program stays executable, and `executable` makes a file executable."""
    (tmp_path / "tool").write_text("x")
    (tmp_path / "plain").write_text("x")
    (tmp_path / "tool").chmod(0o755)
    into = tmp_path / "into"
    kept = fetch_source(item(tmp_path, "tool"), into, recorder.context())
    given = fetch_source(item(tmp_path, "plain", executable=True), into, recorder.context())
    assert os.access(kept.path, os.X_OK)
    assert os.access(given.path, os.X_OK)


def test_missing_file(tmp_path, recorder):
    """A missing file is an error that says where it was searched for."""
    with pytest.raises(FetchError, match="does not exist") as caught:
        fetch_source(item(tmp_path, "a"), tmp_path / "into", recorder.context())
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("source", ["pipe", "/dev/zero"])
def test_what_may_have_no_end(tmp_path, recorder, source):
    """A pipe or a device is an error, and is not read."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FetchError, match="is neither a file nor a folder"):
        fetch_source(item(tmp_path, source), tmp_path / "into", recorder.context())


def test_folder_is_copied_with_its_links(tmp_path, recorder):
    """A folder is copied completely, links as links, in place of an earlier copy."""
    source = tmp_path / "src"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a").write_text("1")
    (source / "l").symlink_to("sub/a")
    into = tmp_path / "into"
    (into / "src").mkdir(parents=True)
    (into / "src" / "old").write_text("old")
    fetched = fetch_source(item(tmp_path, "src"), into, recorder.context())
    assert sorted(each.name for each in fetched.path.iterdir()) == ["l", "sub"]
    assert (fetched.path / "l").readlink() == Path("sub/a")


def test_subdir_of_a_folder(tmp_path, recorder):
    """Only the `subdir` of a folder is copied."""
    (tmp_path / "src" / "sub").mkdir(parents=True)
    (tmp_path / "src" / "sub" / "a").write_text("1")
    fetched = fetch_source(
        item(tmp_path, "src", subdir="sub"), tmp_path / "into", recorder.context()
    )
    assert [each.name for each in fetched.path.iterdir()] == ["a"]


def test_missing_subdir(tmp_path, recorder):
    """A missing `subdir` is an error that lists the existing folders."""
    (tmp_path / "src" / "sub").mkdir(parents=True)
    with pytest.raises(FetchError, match="its folders are sub"):
        fetch_source(item(tmp_path, "src", subdir="x"), tmp_path / "into", recorder.context())


def test_folder_that_holds_its_copy(tmp_path, recorder):
    """A folder cannot be copied into itself."""
    with pytest.raises(FetchError, match="contains the cache itself"):
        fetch_source(item(tmp_path, "."), tmp_path / "into", recorder.context())


def test_digest_of_a_folder(tmp_path, recorder):
    """A digest of a folder is an error, since it would never be verified."""
    (tmp_path / "src").mkdir()
    with pytest.raises(FetchError, match="no digest"):
        fetch_source(item(tmp_path, "src", sha256="0" * 64), tmp_path / "i", recorder.context())


def test_cancelled_copy_leaves_nothing(tmp_path, recorder):
    """A cancelled copy leaves nothing under the final name."""
    (tmp_path / "a").write_bytes(b"x" * (3 << 20))
    context = recorder.context(cancelled=lambda: len(recorder.progress) > 1)
    with pytest.raises(Cancelled):
        fetch_source(item(tmp_path, "a"), tmp_path / "into", context)
    assert not list((tmp_path / "into").iterdir())


def test_dest_may_name_folders(tmp_path, recorder):
    """`dest` gives the name, which may be in a folder."""
    (tmp_path / "a").write_text("1")
    fetched = fetch_source(
        item(tmp_path, "a", dest="patches/b"), tmp_path / "into", recorder.context()
    )
    assert fetched.path == tmp_path / "into" / "patches" / "b"


@pytest.mark.parametrize("parallel", [1, 3])
def test_batch_keeps_its_order(tmp_path, recorder, parallel):
    """The results of a batch are in the order of its items."""
    for name in "abcd":
        (tmp_path / name).write_text(name)
    items = [item(tmp_path, name) for name in "dacb"]
    fetched = fetch_all(items, tmp_path / "into", recorder.context(), parallel=parallel)
    assert [each.path.name for each in fetched] == ["d", "a", "c", "b"]


@pytest.mark.parametrize("names", [("tool", "tool.new"), ("tool.new", "tool")])
@pytest.mark.parametrize("parallel", [1, 2])
def test_one_source_is_called_like_the_unfinished_other(tmp_path, recorder, names, parallel):
    """Both are fetched, each with its own content; so is a file of the user's."""
    digests = {}
    for name in names:
        (tmp_path / name).write_bytes(name.encode() * 3_000_000)
        digests[name] = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "tool.new.new").write_text("mine")
    items = [item(tmp_path, name, sha256=digests[name]) for name in names]
    fetch_all(items, tmp_path / "into", recorder.context(), parallel=parallel)
    for name in names:
        found = (tmp_path / "into" / name).read_bytes()
        assert hashlib.sha256(found).hexdigest() == digests[name]
    assert (tmp_path / "into" / "tool.new.new").read_text() == "mine"
    assert len(list((tmp_path / "into").iterdir())) == 3


@pytest.mark.parametrize("parallel", [1, 3])
def test_batch_names_all_that_failed(tmp_path, recorder, parallel):
    """A failed batch reports the first failure in order, and every other one."""
    (tmp_path / "a").write_text("1")
    items = [item(tmp_path, name) for name in ("a", "missing-1", "missing-2")]
    with pytest.raises(FetchError) as caught:
        fetch_all(items, tmp_path / "into", recorder.context(), parallel=parallel)
    assert caught.value.uri == "missing-1"
    assert "missing-2 does not exist" in str(caught.value)


@pytest.mark.parametrize("parallel", [1, 3])
def test_batch_tells_of_each_item(tmp_path, recorder, parallel):
    """The start and the end of each item are reported; for a failed item only the start."""
    (tmp_path / "a").write_text("1")
    items = [item(tmp_path, name) for name in ("a", "missing")]
    started, ended = [], []
    with pytest.raises(FetchError):
        fetch_all(
            items,
            tmp_path / "into",
            recorder.context(),
            parallel=parallel,
            on_start=lambda each: started.append(each.source),
            on_end=lambda each, fetched: ended.append((each.source, fetched.bytes)),
        )
    assert sorted(started) == ["a", "missing"]
    assert ended == [("a", 1)]
