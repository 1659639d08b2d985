"""Fingerprints of payloads, and forbidden paths in them."""

import json
import os
import stat
import zipfile

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.cache.fingerprint import search_roots, take_fingerprint
from envy.cache.trees import LARGE
from envy.content.archive import extract_below
from envy.content.below_root import open_below
from envy.content.written_digests import WrittenDigests
from envy.errors import CacheError

NAME = "local.gcc@r1/linux-x86_64-blake3-0123456789abcdef"


@pytest.fixture
def asset(tmp_path):
    path = tmp_path / "assets/local.gn@r0/linux-x86_64-blake3-fedcba9876543210/asset"
    path.mkdir(parents=True)
    return path


def fingerprint(tmp_path, asset, forbidden=()):
    return take_fingerprint(str(tmp_path), str(asset), forbidden=dict(forbidden))


def rows(taken):
    return [json.loads(line) for line in taken.text.splitlines()[1:]]


def test_rows(tmp_path, asset):
    """Each member has its path, kind, mode, size and digest."""
    (asset / "bin").mkdir(mode=0o755)
    (asset / "bin").chmod(0o755)
    (asset / "bin" / "gn").write_bytes(b"\x7fELF")
    (asset / "bin" / "gn").chmod(0o755)
    (asset / "gn").symlink_to("bin/gn")
    taken = fingerprint(tmp_path, asset)
    assert [row[:2] for row in rows(taken)] == [["bin", "dir"], ["gn", "link"], ["bin/gn", "file"]]
    assert rows(taken)[2] == ["bin/gn", "file", "555", 4, blake3(b"\x7fELF").hexdigest(), []]
    assert rows(taken)[1][4] == blake3(b"bin/gn").hexdigest()
    assert taken.files == [str(asset / "bin" / "gn")]
    assert taken.dirs == [str(asset), str(asset / "bin")]
    assert not taken.holds_root


def test_a_row_is_written_as_json_writes_it(tmp_path, asset):
    """Whatever bytes its name has, so that a fingerprint does not depend on who wrote it."""
    for name in (b"a b", b'"\\', "é\U0001f40d".encode(), b"\xff\xfe", b"\n\t\x7f", b"<a>"):
        (asset / os.fsdecode(name)).write_text("x")
    taken = fingerprint(tmp_path, asset)
    lines = taken.text.splitlines()[1:]
    assert len(lines) == 6
    assert lines == [json.dumps(row) for row in rows(taken)]


def test_paths_of_entries(tmp_path, asset):
    """A file that contains paths of entries is recorded with the names of those entries."""
    own = asset.parent.relative_to(tmp_path / "assets")
    (asset / "own").write_bytes(b"\0prefix=%b\0" % os.fsencode(asset))
    (asset / "other").write_text(f"{tmp_path}/assets/{NAME}/asset/bin:{tmp_path}/assets/{NAME}/x")
    (asset / "none").write_text(f"{tmp_path}/assetsnot/{NAME}")
    taken = fingerprint(tmp_path, asset)
    assert {row[0]: row[5] for row in rows(taken)} == {
        "own": [str(own)],
        "other": [NAME],
        "none": [],
    }
    assert taken.holds_root


def test_link_into_the_cache(tmp_path, asset):
    """An absolute link into the cache counts as containing its path."""
    (asset / "link").symlink_to(asset / "bin")
    assert fingerprint(tmp_path, asset).holds_root


def test_root_through_a_link(tmp_path, asset):
    """The root's path is found with its links resolved, too."""
    (tmp_path / "shortcut").symlink_to(tmp_path)
    root = tmp_path / "shortcut"
    (asset / "file").write_text(f"{tmp_path.resolve()}/assets/{NAME}/asset")
    assert take_fingerprint(str(root), str(asset), forbidden={}).holds_root
    forbidden = {f"{root}/assets/{NAME}/asset".encode(): "local.gcc@r1"}
    with pytest.raises(CacheError, match=r"contains the path of local\.gcc@r1"):
        take_fingerprint(str(root), str(asset), forbidden=forbidden)


def test_forbidden_path(tmp_path, asset):
    """A path of a build-only dependency is an error that names the file and the dependency."""
    (asset / "lib").mkdir()
    (asset / "lib" / "gn.la").write_text(f"libdir={tmp_path}/assets/{NAME}/asset/lib\n")
    forbidden = {f"{tmp_path}/assets/{NAME}/asset".encode(): "local.gcc@r1"}
    with pytest.raises(CacheError) as caught:
        fingerprint(tmp_path, asset, forbidden)
    assert caught.value.path == asset / "lib" / "gn.la"
    assert "contains the path of local.gcc@r1" in str(caught.value)
    assert 'use = "run"' in caught.value.hint


def test_forbidden_path_as_a_file_url(tmp_path, asset):
    """So is one as a file URL, in which the `@` of a name is percent-encoded."""
    forbidden = f"{tmp_path}/assets/{NAME}/asset"
    (asset / "file").write_text(f"file://{forbidden.replace('@', '%40')}/lib")
    with pytest.raises(CacheError, match=r"contains the path of local.gcc@r1, which is only"):
        fingerprint(tmp_path, asset, {forbidden.encode(): "local.gcc@r1"})


def test_forbidden_path_outside_the_cache(tmp_path, asset):
    """A forbidden path can have any bytes, and is found in links, too."""
    (asset / "link").symlink_to("/build/tool")
    with pytest.raises(CacheError, match=r"link contains the path of local\.tool@r1"):
        fingerprint(tmp_path, asset, {b"/build/tool": "local.tool@r1"})


@settings(deadline=None, max_examples=50)
@given(st.integers(-80, 80), st.sampled_from([LARGE, 2 * LARGE]))
def test_path_across_pieces(tmp_path_factory, shift, border):
    """A path is found anywhere in a large file, also across two chunks."""
    root = tmp_path_factory.getbasetemp() / "pieces"
    (root / "payload").mkdir(parents=True, exist_ok=True)
    path = f"{root}/assets/{NAME}/asset".encode()
    with (root / "payload" / "large").open("wb") as file:
        file.truncate(2 * LARGE + 300)
        file.seek(border + shift - len(path) // 2)
        file.write(path)
    taken = take_fingerprint(str(root), str(root / "payload"), forbidden={})
    assert rows(taken)[0][5] == [NAME]
    with pytest.raises(CacheError, match=r"local\.gcc@r1"):
        take_fingerprint(str(root), str(root / "payload"), forbidden={path: "local.gcc@r1"})


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_named_pipe(tmp_path, asset):
    """Anything but a file, directory or link is refused without being opened."""
    os.mkfifo(asset / "pipe")
    assert stat.S_ISFIFO((asset / "pipe").stat().st_mode)
    with pytest.raises(CacheError, match="pipe is neither"):
        fingerprint(tmp_path, asset)


@pytest.mark.parametrize("size", [1, 3 << 20])
def test_every_file_is_counted_as_it_is_read(tmp_path, size):
    """Small payloads and large ones, which threads read, report each member once."""
    asset = tmp_path / "asset"
    asset.mkdir()
    for number in range(4):
        (asset / f"{number}").write_bytes(b"x" * size)
    told = []
    take_fingerprint(
        str(tmp_path), str(asset), forbidden={}, report=lambda *counts: told.append(counts)
    )
    assert told == [(number + 1, 4) for number in range(4)]


def unpacked(tmp_path, asset, files, *needles):
    """Unpack a zip of files into the asset, with the digests that are made meanwhile."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name, content)
    digests = WrittenDigests(needles, clock=lambda: 1 << 62)
    with open_below(asset) as below:
        below.digests = digests
        extract_below(tmp_path / "a.zip", below, ())
    return digests


def test_digests_made_while_unpacking(tmp_path, asset):
    """The fingerprint is the same, and only files without a known digest are read again."""
    known = f"{tmp_path}/assets/{NAME}/asset/bin"
    files = {"plain": "text", "d/empty": "", "names": known, "large": "x" * (LARGE + 5)}
    prefixes = search_roots(str(tmp_path), ())
    digests = unpacked(tmp_path, asset, files, *prefixes)
    (asset / "made").write_text("made by a later step")
    plain = fingerprint(tmp_path, asset)
    for path in (asset / "plain", asset / "large", asset / "d/empty"):
        assert digests.find(path.stat())
    assert digests.find((asset / "names").stat()) is None
    taken = take_fingerprint(str(tmp_path), str(asset), forbidden={}, written=digests)
    assert taken == plain
    assert {row[0]: row[5] for row in rows(taken)}["names"] == [NAME]


@pytest.mark.parametrize("case", ["other spelling", "forbidden elsewhere", "other root"])
def test_a_file_that_was_searched_for_something_else(tmp_path, asset, case):
    """A digest counts only if the file was searched for all that is to be found in it."""
    spelling = "/spelled/otherwise"
    prefixes = search_roots("/other/root" if case == "other root" else str(tmp_path), ())
    files = {"a": f"{spelling}/assets/{NAME}/asset {tmp_path}/assets/{NAME}/asset /elsewhere/gcc"}
    digests = unpacked(tmp_path, asset, files, *prefixes)
    forbidden = {b"/elsewhere/gcc": "local.gcc@r1"} if case == "forbidden elsewhere" else {}
    taken = [
        outcome(str(tmp_path), str(asset), forbidden, spelling, written)
        for written in (None, digests)
    ]
    assert taken[0] == taken[1]


def outcome(root, asset, forbidden, spelling, written):
    try:
        return take_fingerprint(
            root, asset, forbidden=forbidden, spellings=[spelling], written=written
        )
    except CacheError as error:
        return error.message
