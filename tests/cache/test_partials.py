"""Partial downloads are continued by one process at a time, and only if what they have is known."""

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from envy.cache.layout import CacheLayout
from envy.cache.leftovers import decide_leftovers, find_leftovers
from envy.cache.partials import PartialRecord, open_partial

ADDRESS, DIGESTS = "https://example.org/x", ("sha256:00",)
RECORD = PartialRecord(version='"1"', total=10)
FOLDER = "downloads/partial"


@pytest.fixture
def begun(tmp_path):
    """The files of a partial download that has content: the file, and its record."""
    with open_partial(str(tmp_path), ADDRESS, DIGESTS) as partial:
        partial.note(RECORD)
        partial.file.write(b"12345")
    record, file = sorted((tmp_path / FOLDER).iterdir())
    return file, record


def found(root, address=ADDRESS, digests=DIGESTS):
    """Return the record and the content that a later process finds; None if nothing is usable."""
    partial = open_partial(str(root), address, digests, begun=True)
    if partial is None:
        return None
    with partial:
        return partial.record, partial.file.read()


def test_a_later_process_finds_content_and_record(tmp_path, begun):
    """A name stands for an address and its digests, and holds neither."""
    assert found(tmp_path) == (RECORD, b"12345")
    assert found(tmp_path) == (RECORD, b"12345")
    assert found(tmp_path, digests=()) is None
    assert found(tmp_path, address="https://example.org/y") is None
    assert all("example" not in path.name for path in begun)


def test_one_writer_at_a_time(tmp_path, begun):
    """Another process does not wait for a partial download that is being written."""
    code = (
        "import sys; from envy.cache.partials import open_partial\n"
        f"print(open_partial(sys.argv[1], {ADDRESS!r}, {DIGESTS!r}))"
    )
    with open_partial(str(tmp_path), ADDRESS, DIGESTS):
        assert open_partial(str(tmp_path), ADDRESS, DIGESTS) is None
        other = subprocess.run(
            [sys.executable, "-c", code, tmp_path], check=True, capture_output=True, text=True
        )
    assert other.stdout == "None\n"
    assert found(tmp_path) is not None


def test_a_placed_file_is_no_partial_download_any_more(tmp_path, begun):
    """The whole file gets its own name, by a copy if its partial name was taken away."""
    with open_partial(str(tmp_path), ADDRESS, DIGESTS) as partial:
        partial.place(str(tmp_path / "x"))
    assert (tmp_path / "x").read_bytes() == b"12345"
    assert not any(path.exists() for path in begun)
    with open_partial(str(tmp_path), ADDRESS, DIGESTS) as partial:
        partial.file.write(b"67")
        begun[0].unlink()
        begun[0].write_bytes(b"of another process")
        partial.place(str(tmp_path / "y"))
    assert (tmp_path / "y").read_bytes() == b"67"
    assert begun[0].exists()


def test_what_cannot_be_continued_is_removed(tmp_path, begun):
    """Without a record, nothing is kept."""
    with open_partial(str(tmp_path), ADDRESS, DIGESTS) as partial:
        partial.note(None)
    assert not any(path.exists() for path in begun)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"version": "", "total": 10, "checked": 0, "sha256": ""}',
        b'{"version": "1", "total": 4, "checked": 0, "sha256": ""}',
        b'{"version": "1", "total": "ten", "checked": 0, "sha256": ""}',
        b'{"version": "1", "total": 1e999, "checked": 0, "sha256": ""}',
        b"[" * 9999,
    ],
)
def test_a_damaged_record(tmp_path, begun, text):
    """Content that nothing valid is known about is forgotten."""
    begun[1].write_bytes(text)
    assert found(tmp_path) == (None, b"")


@pytest.mark.parametrize("kind", ["link", "second name", "folder", "pipe"])
def test_anything_else_in_the_place(tmp_path, begun, kind):
    """A link, a file with a second name, a folder or a pipe is not written to."""
    other = tmp_path / "other"
    other.write_bytes(b"precious")
    begun[0].unlink()
    make = {"link": begun[0].symlink_to, "second name": begun[0].hardlink_to}
    if kind in make:
        make[kind](other)
    elif kind == "folder":
        begun[0].mkdir()
    else:
        os.mkfifo(begun[0])
    assert open_partial(str(tmp_path), ADDRESS, DIGESTS) is None
    assert other.read_bytes() == b"precious"


def test_linked_folder(tmp_path):
    """A link in the place of a folder is not followed."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "downloads").symlink_to("elsewhere")
    assert open_partial(str(tmp_path), ADDRESS, DIGESTS) is None


def test_gc_counts_and_removes_partial_downloads(tmp_path, begun):
    """They count as unfinished, and are removed when they were not used for a day."""
    layout = CacheLayout(tmp_path)
    leftovers = [
        replace(leftover, used_at=0) for leftover in find_leftovers(layout, lambda _: ("", ()))
    ]
    assert {leftover.path for leftover in leftovers} == {str(path) for path in begun}
    decisions = decide_leftovers(leftovers, set(), unused_for=1e9, now=90_000)
    assert [(each.remove, each.reason) for each in decisions] == [
        (True, "unfinished for 25 hours")
    ] * 2
