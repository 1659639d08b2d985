"""Lookup of entries."""

from pathlib import Path

import pytest

from envy.cache.entry_key import Ingredients, as_json
from envy.cache.layout import CacheLayout
from envy.cache.marker import FORMAT, Marker, decode_marker, encode_marker
from envy.cache.read import deploy_recorded, lookup, payload_is_empty
from envy.cache.write import begin_attempt, publish, record_deploy
from envy.errors import CacheError

KEY = "0123456789abcdef" + "f" * 48
SAME_DIGITS = KEY[:16] + "0" * 48
INGREDIENTS = as_json(Ingredients(identity="local.gn@r0"))


def entry_under(root, key=KEY):
    return CacheLayout(Path(root)).entry("local.gn@r0", "linux-x86_64", key)


def published(root, content="x"):
    entry = entry_under(root)
    attempt = begin_attempt(entry, KEY)
    (entry.asset_dir / "file").write_text(content)
    publish(attempt, INGREDIENTS)
    return entry


def test_hit(tmp_path):
    """A published entry is found."""
    assert lookup(published(tmp_path), KEY).hit


def test_entry_that_does_not_exist(tmp_path):
    """An entry that was never built is a miss, and the lookup creates nothing."""
    answer = lookup(entry_under(tmp_path / "cache"), KEY)
    assert (answer.hit, answer.reason) == (False, "it has not been built yet")
    assert not (tmp_path / "cache").exists()


def test_attempt_is_not_a_hit(tmp_path):
    """The unpublished payload of an attempt is a miss."""
    entry = entry_under(tmp_path)
    begin_attempt(entry, KEY)
    (entry.asset_dir / "file").write_text("x")
    assert lookup(entry, KEY).reason == "an earlier attempt did not complete"


def test_full_key_is_compared(tmp_path):
    """An entry of another key with the same sixteen digits is a miss."""
    published(tmp_path)
    answer = lookup(entry_under(tmp_path, SAME_DIGITS), SAME_DIGITS)
    assert not answer.hit
    assert KEY in answer.reason


def test_marker_without_asset(tmp_path):
    """A marker without a payload is a miss that says so."""
    entry = published(tmp_path)
    entry.asset_dir.rename(tmp_path / "elsewhere")
    answer = lookup(entry, KEY)
    assert not answer.hit
    assert f"{entry.asset_dir} is missing" in answer.reason
    entry.asset_dir.symlink_to(tmp_path / "elsewhere")
    assert not lookup(entry, KEY).hit


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 100, b"{", b"[]", b"null", b'{"format": 1}', b"\xff", b'{"format": 999}'],
)
def test_damaged_marker(tmp_path, content):
    """A damaged marker, or one of another format, is a miss that says so."""
    entry = published(tmp_path)
    entry.marker.write_bytes(content)
    assert "damaged" in lookup(entry, KEY).reason


def test_unreadable_marker(tmp_path):
    """A marker that cannot be read is an error: after a miss, the build would fail anyway."""
    entry = entry_under(tmp_path)
    entry.directory.mkdir(parents=True)
    entry.marker.symlink_to(entry.marker)
    with pytest.raises(CacheError, match="cannot read the cache"):
        lookup(entry, KEY)


def test_moved_root_with_its_path_inside(tmp_path):
    """An entry that contains its root's path is a miss under another root."""
    old = tmp_path / "old"
    published(old, f"#!{entry_under(old).asset_dir}/bin/sh\n")
    old.rename(tmp_path / "new")
    answer = lookup(entry_under(tmp_path / "new"), KEY)
    assert not answer.hit
    assert answer.reason == f"it was built under {old} and contains that path"


def test_moved_root_without_its_path_inside(tmp_path):
    """An entry that contains no path of the cache is found under another root, too."""
    published(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    assert lookup(entry_under(tmp_path / "new"), KEY).hit


def test_marker_round_trip():
    """A marker is read back as it was written, with any bytes in the root's path."""
    marker = Marker(key_hex=KEY, root='/c\udcff\n"', holds_root=True)
    assert decode_marker(encode_marker(marker)) == marker
    other = encode_marker(marker).replace(b'"format": %d' % FORMAT, b'"format": %d' % (FORMAT + 1))
    assert decode_marker(other) is None


def test_deploy_record(tmp_path):
    """A deploy counts from its record on, until the entry is built again."""
    entry = published(tmp_path)
    assert not deploy_recorded(entry)
    record_deploy(entry)
    assert deploy_recorded(entry)
    begin_attempt(entry, KEY)
    assert not deploy_recorded(entry)


def test_empty_payload(tmp_path):
    """A payload is empty until it contains anything, even an empty directory."""
    entry = entry_under(tmp_path)
    assert payload_is_empty(entry)
    begin_attempt(entry, KEY)
    assert payload_is_empty(entry)
    (entry.asset_dir / "bin").mkdir()
    assert not payload_is_empty(entry)
