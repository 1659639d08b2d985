"""A digest made while a file is written counts for as long as nothing has touched the file."""

import os

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from envy.content.written_digests import WrittenDigests

LATER = 1 << 62


def written(path, pieces, digests):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    digest = digests.write(descriptor, pieces)
    os.utime(descriptor, (1_600_000_000, 1_600_000_000))
    digests.note(os.fstat(descriptor), digest)
    os.close(descriptor)


@pytest.fixture
def known(tmp_path):
    digests = WrittenDigests((b"/cache/assets/",), clock=lambda: LATER)
    written(tmp_path / "a", [b"one", b"two"], digests)
    digests.settle()
    return digests


def test_an_untouched_file(tmp_path, known):
    """The digest is that of the whole content, also under another name of a folder above."""
    assert (tmp_path / "a").read_bytes() == b"onetwo"
    assert known.find((tmp_path / "a").stat()) == blake3(b"onetwo").hexdigest()


def rewritten(path):
    path.write_bytes(b"onetwO")
    os.utime(path, (1_600_000_000, 1_600_000_000))


def replaced(path):
    path.rename(path.with_name("old"))
    path.write_bytes(b"onetwO")
    os.utime(path, (1_600_000_000, 1_600_000_000))


TOUCHED = {
    "longer": lambda path: path.write_bytes(b"onetwo3"),
    "other bytes, and the old time": rewritten,
    "another file": replaced,
    "another mode": lambda path: path.chmod(0o755),
    "another time": lambda path: os.utime(path, (1, 1)),
    "another name": lambda path: os.link(path, path.with_name("b")),
}


@pytest.mark.parametrize("case", TOUCHED)
def test_a_touched_file(tmp_path, known, case):
    """Whatever changes the status of a file makes its digest unknown."""
    before = (tmp_path / "a").stat().st_ctime_ns
    while True:
        # Until the clock of the file system has ticked: `settle` sees to that for real.
        (tmp_path / "clock").write_bytes(b"")
        if (tmp_path / "clock").stat().st_ctime_ns > before:
            break
    TOUCHED[case](tmp_path / "a")
    assert known.find((tmp_path / "a").stat()) is None


def test_a_change_within_the_same_tick(tmp_path):
    """A file that was written in the present tick of the clock is forgotten: a change to it
    might not show.
    """
    now = 0
    digests = WrittenDigests(clock=lambda: now)
    written(tmp_path / "a", [b"one"], digests)
    written(tmp_path / "b", [b"two"], digests)
    now = (tmp_path / "b").stat().st_ctime_ns
    digests.settle()
    assert digests.find((tmp_path / "b").stat()) is None


def test_what_was_never_settled(tmp_path):
    """If unpacking fails, nothing that it wrote counts, not even after the next archive."""
    digests = WrittenDigests(clock=lambda: LATER)
    written(tmp_path / "a", [b"one"], digests)
    assert digests.find((tmp_path / "a").stat()) is None
    digests.begin()
    digests.settle()
    assert digests.find((tmp_path / "a").stat()) is None


def test_the_real_clock(tmp_path):
    """With the clock of the system, no file counts whose next change might not show."""
    digests = WrittenDigests()
    for number in range(200):
        written(tmp_path / str(number), [b"one"], digests)
    digests.settle()
    (tmp_path / "next").write_bytes(b"")
    present = (tmp_path / "next").stat().st_ctime_ns
    counted = [path for path in tmp_path.iterdir() if digests.find(path.stat())]
    assert all(path.stat().st_ctime_ns < present for path in counted)


def test_a_large_file_is_worth_a_tick(tmp_path):
    """What takes long to read is remembered: its tick is waited for."""
    digests = WrittenDigests()
    written(tmp_path / "a", [bytes(1 << 20)] * 9, digests)
    digests.settle()
    assert digests.find((tmp_path / "a").stat()) == blake3(bytes(9 << 20)).hexdigest()


def test_an_inode_that_is_used_again(tmp_path, known):
    """What was written otherwise has no digest, even if it has the inode of a known file."""
    known.forget((tmp_path / "a").stat())
    assert known.find((tmp_path / "a").stat()) is None


NEEDLE = b"/cache/assets/"


@given(st.lists(st.integers(0, 6), max_size=5), st.booleans(), st.integers(0, 20))
def test_a_needle_across_pieces(tmp_path_factory, cuts, is_there, before):
    """A needle is found wherever the content is cut, and then there is no digest."""
    path = tmp_path_factory.mktemp("needle") / "a"
    content = b"x" * before + (NEEDLE if is_there else NEEDLE[:-1] + b"_") + b"y" * 5
    pieces, rest = [], content
    for cut in cuts:
        pieces.append(rest[:cut])
        rest = rest[cut:]
    digests = WrittenDigests((b"/other/assets/", NEEDLE), clock=lambda: LATER)
    written(path, [*pieces, rest], digests)
    digests.settle()
    assert path.read_bytes() == content
    assert (digests.find(path.stat()) is None) is is_there
