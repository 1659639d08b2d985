"""A layout for reading a cache without writing to it."""

import pytest

from envy.cache.layout import CacheLayout
from envy.cache.overlay_layout import OverlayLayout

IDENTITY = "local.gn@r1"


@pytest.fixture
def layouts(tmp_path):
    """The layout of a cache, and its overlay."""
    root = tmp_path / "cache"
    return CacheLayout(root), OverlayLayout(root, scratch=tmp_path / "scratch")


def test_entries_keep_their_paths(layouts):
    """Entries keep their paths."""
    cache, scratch = layouts
    key = "0" * 64
    assert scratch.entry(IDENTITY, "linux-x86_64", key) == cache.entry(
        IDENTITY, "linux-x86_64", key
    )


def test_nothing_is_written_to_the_cache(layouts):
    """Locks, logs and recipes are below the scratch folder."""
    cache, scratch = layouts
    paths = [
        scratch.lock_path(IDENTITY, "0" * 16),
        scratch.exclusive_lock_path("apt"),
        scratch.log_dir(IDENTITY, "0" * 16, "stamp"),
        scratch.recipes_dir(IDENTITY, "0" * 16),
        scratch.shared_lock_path("leases"),
        scratch.leases_root,
    ]
    assert [path for path in paths if path.is_relative_to(cache.root)] == []


def test_a_recipe_of_the_cache_is_copied(layouts):
    """A cached recipe is copied, and replacing the copy does not change the cache."""
    cache, scratch = layouts
    folder = cache.recipes_dir(IDENTITY, "0" * 16)
    folder.mkdir(parents=True)
    (folder / "recipe.lua").write_text("old")
    copy = scratch.recipes_dir(IDENTITY, "0" * 16)
    (copy / "recipe.lua").write_text("new")
    assert (scratch.recipes_dir(IDENTITY, "0" * 16) / "recipe.lua").read_text() == "new"
    assert (folder / "recipe.lua").read_text() == "old"


def test_folders_of_the_cache_and_of_scratch_are_listed(layouts):
    """Recipe files of both are found by the beginning of their name, each once."""
    cache, scratch = layouts
    for layout, name in ((cache, "a-1"), (cache, "a-2"), (scratch, "a-2"), (scratch, "a-3")):
        layout.recipes_dir(IDENTITY, name).mkdir(parents=True, exist_ok=True)
    cache.recipes_dir(IDENTITY, "b-1").mkdir()
    assert scratch.recipe_folders(IDENTITY, "a-") == ["a-1", "a-2", "a-3"]
    assert cache.recipe_folders(IDENTITY, "a-") == ["a-1", "a-2"]
