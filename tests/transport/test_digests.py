"""Digests: which ones an item declares, and what a different one is called."""

import hashlib

import pytest
from blake3 import blake3

from envy.declarations.sources import SourceItem
from envy.errors import DigestMismatch, FetchError
from envy.transport.digests import (
    ExpectedDigest,
    Hasher,
    HashingThread,
    expected_digests,
    verify_content,
    verify_digest,
)

SHA = hashlib.sha256(b"content").hexdigest()
OTHER = "22" * 32


def test_an_item_declares_its_digests(tmp_path):
    """Each digest that the recipe declares is expected, in lower case."""
    item = SourceItem(
        source="x", base_dir=tmp_path, sha256=SHA.upper(), blake3="ab" * 32, sha512="cd" * 64
    )
    assert expected_digests(item) == (
        ExpectedDigest(algorithm="sha256", hexdigest=SHA),
        ExpectedDigest(algorithm="blake3", hexdigest="ab" * 32),
        ExpectedDigest(algorithm="sha512", hexdigest="cd" * 64),
    )


def test_equal_digests_pass():
    """Content with the expected digests is accepted."""
    expected = [
        ExpectedDigest(algorithm="sha256", hexdigest=SHA),
        ExpectedDigest(algorithm="blake3", hexdigest=blake3(b"content").hexdigest()),
    ]
    verify_content(b"content", expected, uri="x")


def test_a_different_digest_than_the_declared_one_is_an_error():
    """The error carries both digests."""
    with pytest.raises(DigestMismatch) as caught:
        verify_digest("11", ExpectedDigest(algorithm="sha256", hexdigest=OTHER), uri="x")
    assert (caught.value.expected, caught.value.actual) == (OTHER, "11")


def test_a_different_digest_than_a_registry_lists_is_not_the_recipe_s_mistake():
    """The error names the registry, and is not a DigestMismatch."""
    expected = ExpectedDigest(algorithm="sha1", hexdigest=OTHER[:40], by="the index")
    with pytest.raises(FetchError, match="the index") as caught:
        verify_digest("11", expected, uri="x")
    assert not isinstance(caught.value, DigestMismatch)


def test_a_stream_without_expected_digests_is_not_verified():
    """Its sha256 is computed all the same."""
    hasher = Hasher([])
    hasher.update(b"content")
    assert (hasher.verify("x"), hasher.sha256) == (False, SHA)


def test_a_restarted_stream_forgets_its_content():
    """A download that starts again is verified by its new content alone."""
    hasher = Hasher([ExpectedDigest(algorithm="sha256", hexdigest=SHA)])
    hasher.update(b"half")
    hasher.restart()
    hasher.update(b"content")
    assert hasher.verify("x")


def test_digests_in_a_thread_of_their_own():
    """Pieces in buffers, which are used again, and pieces that are not, count in their order."""
    hasher, whole = Hasher(()), hashlib.sha256()
    thread = HashingThread(hasher)
    buffers = set()
    try:
        for number in range(50):
            piece = bytes([number]) * 1000
            if number % 3:
                buffer = thread.buffer()
                assert thread.buffer() is buffer
                buffers.add(id(buffer))
                buffer[: len(piece)] = piece
                thread.update(memoryview(buffer)[: len(piece)])
            else:
                thread.update(piece)
            whole.update(piece)
            if number == 20:
                thread.buffer()  # a piece that does not come
                thread.catch_up()
                assert hasher.sha256 == whole.hexdigest()
        thread.catch_up()
        assert (hasher.sha256, hasher.size) == (whole.hexdigest(), 50_000)
        assert len(buffers) <= 8
    finally:
        thread.end()


def test_a_thread_for_digests_that_fails():
    """Its failure is that of whoever waits for the digests, who never waits for ever."""

    class Full(Hasher):
        def update(self, data):
            raise MemoryError

    thread = HashingThread(Full(()))
    try:
        for _ in range(20):
            thread.update(b"x")
        with pytest.raises(MemoryError):
            thread.catch_up()
    finally:
        thread.end()
