"""Digests of many files: in order, of regular files only."""

import contextlib
import hashlib
import os
import random

import pytest
from blake3 import blake3
from left_open import nothing_left_open

from envy.content.hashing import FileToHash, file_hashes, files_at

SIZES = (0, 1, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 20, (16 << 20) + 1)


def hashes(*paths, algorithm="sha256", **options):
    files = (file for path in paths for file in files_at(str(path), algorithm))
    return list(file_hashes(files, workers=2, **options))


@pytest.mark.parametrize("algorithm", ["sha256", "blake3", "sha512"])
def test_files_of_every_size(tmp_path, algorithm):
    """The digests are right and in order, and every byte is reported."""
    block = random.Random(1).randbytes(1 << 16)
    counts = []
    expected = []
    for index, size in enumerate(SIZES):
        content = (block * (size // len(block) + 1))[:size]
        (tmp_path / f"f{index}").write_bytes(content)
        hasher = blake3(content) if algorithm == "blake3" else hashlib.new(algorithm, content)
        expected.append((str(tmp_path / f"f{index}"), hasher.hexdigest(), size))
    found = hashes(tmp_path, algorithm=algorithm, report=counts.append)
    assert [(one.path, one.digest, one.size) for one in found] == expected
    assert sum(counts) == sum(SIZES)


def test_a_tree(tmp_path):
    """Its files, sorted, folders last; links, pipes and unreadable folders are said."""
    for name in ("b", "a/x", "a/y/z", "c"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("b")
    (tmp_path / "loop").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    found = hashes(tmp_path)
    names = [os.path.relpath(one.path, tmp_path) for one in found]
    assert names == ["b", "c", "link", "loop", "pipe", "a/x", "a/y/z"]
    assert [one.left_out for one in found] == [False, False, True, True, True, False, False]
    assert all(one.digest for one in found if not one.left_out)


def test_what_is_no_file(tmp_path):
    """A pipe does not block, a device does not last for ever; a link that was named is followed."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "nowhere").symlink_to("no")
    paths = [tmp_path / "pipe", "/dev/zero", tmp_path / "none", tmp_path / "nowhere", "a\0b"]
    found = hashes(*paths, tmp_path / "link")
    assert [bool(one.error) for one in found] == [True] * 5 + [False]
    # Also if one takes the place of a file after the tree was listed.
    files = [FileToHash(str(path), "sha256", in_tree=True) for path in (paths[0], "/dev/zero")]
    files.append(FileToHash(str(tmp_path / "link"), "sha256", in_tree=True))
    assert all(one.error for one in file_hashes(files, workers=2))


def test_a_stream(tmp_path):
    """An open descriptor is read to its end."""
    reading, writing = os.pipe()
    os.write(writing, b"abc")
    os.close(writing)
    [found] = file_hashes([FileToHash("-", "sha256", stream=reading)], workers=1)
    os.close(reading)
    assert (found.digest, found.size) == (hashlib.sha256(b"abc").hexdigest(), 3)


def test_nothing_stays_open(tmp_path):
    """Also if the reader stops early."""
    for index in range(100):
        (tmp_path / f"{index}").write_bytes(b"x" * (1 << 17))
    files = files_at(str(tmp_path), "sha256")
    with nothing_left_open(), contextlib.closing(file_hashes(files, workers=2)) as found:
        next(found)
