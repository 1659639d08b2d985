"""Paths in the cache."""

from pathlib import Path

import pytest

from envy.cache.layout import CacheLayout
from envy.errors import InternalError

KEY = "0123456789abcdef" + "f" * 48
LAYOUT = CacheLayout(Path("/cache"))


def test_entry_paths():
    """An entry is named by identity, platform and the first 16 digits of its key."""
    entry = LAYOUT.entry("local.gn@r0", "linux-x86_64", KEY)
    directory = Path("/cache/assets/local.gn@r0/linux-x86_64-blake3-0123456789abcdef")
    assert entry.directory == directory
    assert entry.marker == directory / "envy-complete"
    assert entry.fingerprint == directory / "envy-fingerprint.blake3"
    assert entry.ingredients == directory / "envy-ingredients.json"
    assert entry.asset_dir == directory / "asset"
    assert entry.fetch_dir == directory / "fetch"
    assert entry.work_dir == directory / "work"
    assert entry.stage_dir == directory / "work/stage"
    assert entry.tmp_dir == directory / "work/tmp"
    assert entry.attempt.parent == directory / "work"
    assert entry.deploy_record.parent == directory


def test_other_paths():
    """Recipes, logs and locks have folders of their own beside the assets."""
    assert LAYOUT.recipes_dir("a.b@1", "beef") == Path("/cache/recipes/a.b@1/beef")
    assert LAYOUT.log_dir("a.b@1", "beef", "20250101T000000") == Path(
        "/cache/logs/a.b@1/beef/20250101T000000"
    )
    assert LAYOUT.lock_path("a.b@1", "beef") == Path("/cache/locks/a.b@1-beef.lock")
    assert LAYOUT.exclusive_lock_path("apt") == Path("/cache/locks/exclusive/apt.lock")


@pytest.mark.parametrize(
    "identity", ["", "..", ".", "a/b", "local.../../evil@v1", "a\\b", "a\0b", "a b", "a\n"]
)
def test_identity_that_leaves_its_directory(identity):
    """An identity that could leave its directory never becomes a path."""
    for make in (
        lambda: LAYOUT.entry(identity, "linux-x86_64", KEY),
        lambda: LAYOUT.recipes_dir(identity, "beef"),
        lambda: LAYOUT.lock_path(identity, "beef"),
        lambda: LAYOUT.log_dir("a.b@1", "beef", identity),
    ):
        with pytest.raises(InternalError):
            make()


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "a b", "x" * 300, "APT", ".", "a/b"])
def test_exclusive_name_of_any_text(name):
    """Whatever text `exclusive` is, its lock file is in the folder of locks."""
    path = LAYOUT.exclusive_lock_path(name)
    assert path.parent == Path("/cache/locks/exclusive")
    assert len(path.name) < 100
    assert path != LAYOUT.exclusive_lock_path("apt")


def test_relative_root():
    """A root that depends on the current directory is refused."""
    with pytest.raises(InternalError, match="not absolute"):
        CacheLayout(Path("cache"))
