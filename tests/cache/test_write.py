"""Creation of entries."""

import json
from pathlib import Path

import pytest

from envy.cache.entry_key import Ingredients, as_json
from envy.cache.layout import CacheLayout
from envy.cache.read import lookup
from envy.cache.write import begin_attempt, discard, prune_logs, publish
from envy.errors import CacheError

KEY = "0123456789abcdef" + "f" * 48
INGREDIENTS = as_json(Ingredients(identity="local.gn@r0"))


@pytest.fixture
def entry(tmp_path):
    return CacheLayout(tmp_path / "cache").entry("local.gn@r0", "linux-x86_64", KEY)


def test_attempt_begins_with_empty_directories(entry):
    """An attempt starts with empty directories, except for the downloads of earlier attempts."""
    begin_attempt(entry, KEY)
    directories = [entry.asset_dir, entry.stage_dir, entry.tmp_dir, entry.fetch_dir]
    for directory in directories:
        (directory / "below").mkdir()
        (directory / "below" / "file").write_text("x")
    begin_attempt(entry, KEY)
    assert [[path.name for path in directory.iterdir()] for directory in directories] == [
        [],
        [],
        [],
        ["below"],
    ]


def test_published(entry):
    """A published entry has its payload, marker, fingerprint and ingredients, and nothing else."""
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "file").write_text("x")
    (entry.fetch_dir / "download").write_text("x")
    (entry.stage_dir / "scratch").write_text("x")
    publish(attempt, INGREDIENTS)
    assert lookup(entry, KEY).hit
    assert sorted(path.name for path in entry.directory.iterdir()) == [
        "asset",
        "envy-complete",
        "envy-fingerprint.blake3",
        "envy-ingredients.json",
    ]
    assert (entry.asset_dir / "file").read_text() == "x"
    assert json.loads(entry.ingredients.read_text()) == json.loads(INGREDIENTS)
    assert '"file"' in entry.fingerprint.read_text()


def test_empty_payload_can_be_published(entry):
    """An empty payload is published, too: the caller decides whether that is allowed."""
    publish(begin_attempt(entry, KEY), INGREDIENTS)
    assert lookup(entry, KEY).hit


def test_forbidden_path_is_not_published(entry):
    """A payload with a forbidden path does not become visible, and is kept for inspection."""
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "file").write_text("uses /build/gcc/bin/cc")
    with pytest.raises(CacheError, match=r"local\.gcc@r1"):
        publish(attempt, INGREDIENTS, forbidden={b"/build/gcc": "local.gcc@r1"})
    assert not lookup(entry, KEY).hit
    assert (entry.asset_dir / "file").exists()


def test_payload_that_was_removed(entry):
    """If a script removed its install directory, the error says so and nothing is published."""
    attempt = begin_attempt(entry, KEY)
    entry.asset_dir.rmdir()
    with pytest.raises(CacheError, match="asset"):
        publish(attempt, INGREDIENTS)
    assert not lookup(entry, KEY).hit


def test_payload_that_became_a_link(entry, tmp_path):
    """If a script replaced its install directory by a link, nothing is published."""
    attempt = begin_attempt(entry, KEY)
    entry.asset_dir.rmdir()
    (tmp_path / "elsewhere").mkdir()
    entry.asset_dir.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match="asset"):
        publish(attempt, INGREDIENTS)
    assert not lookup(entry, KEY).hit


def test_link_in_place_of_a_directory(entry, tmp_path):
    """A link where a directory belongs is replaced; its target is not touched."""
    begin_attempt(entry, KEY)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    for directory in (entry.asset_dir, entry.fetch_dir):
        directory.rmdir()
        directory.symlink_to(elsewhere)
    begin_attempt(entry, KEY)
    assert not entry.asset_dir.is_symlink()
    assert not entry.fetch_dir.is_symlink()
    assert (elsewhere / "file").exists()


def test_superseded_attempt(entry):
    """A superseded attempt notices this, and does not publish the payload of the other."""
    first = begin_attempt(entry, KEY)
    assert first.is_current()
    second = begin_attempt(entry, KEY)
    assert not first.is_current()
    with pytest.raises(CacheError, match="another attempt"):
        publish(first, INGREDIENTS)
    assert second.is_current()
    publish(second, INGREDIENTS)
    assert not second.is_current()


def test_discard(entry):
    """Discarding removes the whole entry, and ignores an entry that does not exist."""
    discard(entry)
    publish(begin_attempt(entry, KEY), INGREDIENTS)
    discard(entry)
    assert not entry.directory.exists()
    assert not lookup(entry, KEY).hit


def test_logs_of_the_last_attempts(tmp_path):
    """The logs of the last five attempts are kept."""
    for number in range(8):
        (tmp_path / "logs" / f"2025-0{number}").mkdir(parents=True)
        (tmp_path / "logs" / f"2025-0{number}" / "build.log").write_text("x")
    prune_logs(tmp_path / "logs")
    prune_logs(tmp_path / "logs")
    prune_logs(tmp_path / "none")
    assert sorted(path.name for path in (tmp_path / "logs").iterdir()) == [
        f"2025-0{number}" for number in range(3, 8)
    ]


def test_cache_that_cannot_be_created(tmp_path):
    """If the cache root is a file, the error names it."""
    (tmp_path / "cache").write_text("x")
    entry = CacheLayout(tmp_path / "cache").entry("local.gn@r0", "linux-x86_64", KEY)
    with pytest.raises(CacheError, match="cannot prepare an entry") as caught:
        begin_attempt(entry, KEY)
    assert str(caught.value.path).startswith(str(Path(tmp_path, "cache")))


def test_attempt_that_cannot_be_read(tmp_path):
    """An attempt that cannot be read is an error; it does not count as superseded."""
    entry = CacheLayout(tmp_path).entry("local.gn@r0", "linux-x86_64", "0" * 64)
    attempt = begin_attempt(entry, "0" * 64)
    entry.attempt.unlink()
    assert not attempt.is_current()
    entry.attempt.symlink_to(entry.attempt)
    with pytest.raises(CacheError, match="cannot read an attempt"):
        attempt.is_current()
