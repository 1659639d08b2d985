"""What gc removes besides entries."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.answers.write import basis_of
from envy.cache.layout import CacheLayout
from envy.cache.leftovers import (
    ANSWER,
    LOGS,
    RECIPE,
    Leftover,
    decide_leftovers,
    find_leftovers,
    remove_leftovers,
)
from envy.cache.lock import FileLock
from envy.cache.recipes import find_recipe_files, lease_name
from envy.cache.tidy import tidy
from envy.cache.usage import DAY
from envy.errors import CacheError

NOW = 1_000 * DAY
MONTH = 30 * DAY


def leftover_of_age(age, **details):
    at = NOW - age * DAY
    name = "recipes/vendor.tool@r1/0000"
    return Leftover(
        **{"kind": RECIPE, "path": "/x", "name": name, "size": 1, "time": at, "used_at": at}
        | details
    )


def decided(*found, leased=(), unused_for=MONTH):
    decisions = decide_leftovers(found, set(leased), unused_for=unused_for, now=NOW)
    return [(row.remove, row.reason) for row in decisions]


@pytest.mark.parametrize(
    ("leftover", "expected"),
    [
        (leftover_of_age(29), (False, "used 29 days ago")),
        (leftover_of_age(31), (True, "not used for 31 days")),
        (leftover_of_age(0.9), (False, "used within the last day")),
        (leftover_of_age(-5), (False, "used within the last day")),
        (leftover_of_age(3, kind=ANSWER, lost=True), (True, "its manifest was removed")),
        (leftover_of_age(0.5, kind=ANSWER, lost=True), (False, "used within the last day")),
        (leftover_of_age(1.5, partial=True), (True, "unfinished for 36 hours")),
    ],
)
def test_decision(leftover, expected):
    """The time of the last use decides, and whether the file can still be used."""
    assert decided(leftover) == [expected]


@given(st.floats(-10, 1000), st.booleans(), st.booleans(), st.floats(0, 100))
def test_leased_and_recent_leftovers_stay(age, lost, partial, unused_for):
    """Nothing is removed that a lease names or that was used within the last day."""
    leftover = leftover_of_age(age, lost=lost, partial=partial)
    assert decided(leftover, leased=[leftover.name], unused_for=unused_for * DAY)[0][0] is False
    if age < 1:
        assert decided(leftover, unused_for=unused_for * DAY)[0][0] is False


@pytest.fixture
def layout(tmp_path):
    return CacheLayout(tmp_path / "cache")


@pytest.fixture
def folder(layout):
    """Recipe files that were used two months ago."""
    folder = layout.recipes_dir("vendor.tool@r1", "0" * 16)
    folder.mkdir(parents=True)
    (folder / "recipe.lua").write_text("x")
    at = time.time() - 60 * DAY
    os.utime(folder, (at, at))
    return folder


def planned(layout):
    found = find_leftovers(layout, basis_of)
    return decide_leftovers(found, set(), unused_for=MONTH, now=time.time())


def test_recipe_files_found_after_the_plan_stay(layout, folder):
    """Recipe files that a command finds after the plan was made stay."""
    decisions = planned(layout)
    assert [row.remove for row in decisions] == [True]
    assert find_recipe_files(layout, folder)
    assert remove_leftovers(layout, decisions) == ([], [])
    assert (folder / "recipe.lua").exists()


def test_removed_recipe_files_are_not_found(layout, folder):
    """Removed recipe files are not found; their lock file is removed, too."""
    decisions = planned(layout)
    assert remove_leftovers(layout, decisions) == (decisions, [])
    assert not find_recipe_files(layout, folder)
    assert not layout.lock_path("vendor.tool@r1", "0" * 16).exists()
    assert list(layout.trash_root.iterdir()) == []


def test_recipe_files_being_fetched_stay(layout, folder):
    """A folder whose lock is held stays."""
    lock = FileLock(layout.lock_path("vendor.tool@r1", "0" * 16))
    lock.acquire()
    assert remove_leftovers(layout, planned(layout)) == ([], [])
    lock.release()
    assert folder.exists()


def test_logs_that_were_written_since_stay(layout):
    """Logs that change after the plan was made stay."""
    log = layout.log_dir("local.driver@r1", "0" * 16, "stamp") / "install.log"
    log.parent.mkdir(parents=True)
    log.write_text("x")
    for path in (log, log.parent, log.parent.parent):
        os.utime(path, (1, 1))
    (found,) = planned(layout)
    assert (found.leftover.kind, found.remove) == (LOGS, True)
    log.write_text("more")
    assert remove_leftovers(layout, [found]) == ([], [])
    assert log.exists()


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"host": 1, "files": 2}', b"\xff"])
def test_damaged_answer(layout, text):
    """A damaged answer is kept or removed by its time, like others."""
    layout.answers_root.mkdir(parents=True)
    (layout.answers_root / "0123456789abcdef.answer").write_bytes(text)
    (found,) = planned(layout)
    assert (found.leftover.name, found.remove) == ("resolved/0123456789abcdef.answer", False)


def test_links_are_not_followed(layout, tmp_path):
    """gc does not follow links among the recipes."""
    (tmp_path / "elsewhere" / ("0" * 16)).mkdir(parents=True)
    layout.recipes_root.mkdir(parents=True)
    (layout.recipes_root / "vendor.tool@r1").symlink_to(tmp_path / "elsewhere")
    assert find_leftovers(layout, basis_of) == []


@pytest.mark.parametrize(
    "name",
    [
        "recipes/my notes/0000000000000000",
        "recipes/vendor.tool@r1/mine",
        "logs/mine/0000000000000000",
        "logs/local.tool@r1/mine",
        "projects/mine",
        "resolved/mine",
        "locks/mine.lock",
    ],
)
def test_foreign_files_stay(layout, name):
    """A file or folder with a name that envy does not use stays."""
    path = layout.root / name
    path.parent.mkdir(parents=True)
    path.write_text("mine") if name.endswith(".lock") else path.mkdir()
    os.utime(path, (1, 1))
    assert find_leftovers(layout, basis_of) == []
    tidy(layout, now=time.time())
    assert path.exists()


def test_folder_that_cannot_be_read(layout):
    """A folder that cannot be listed is an error with its path, in every part of gc."""
    layout.assets_root.parent.mkdir(parents=True)
    layout.assets_root.symlink_to(layout.assets_root)
    with pytest.raises(CacheError, match="cannot read the cache"):
        tidy(layout, now=NOW)
    layout.recipes_root.symlink_to(layout.recipes_root)
    with pytest.raises(CacheError, match="cannot read the cache"):
        find_leftovers(layout, basis_of)


def test_found_where_nothing_can_be_written(layout, folder, tmp_path):
    """Recipe files in a cache that cannot be written to are found."""
    layout.locks_root.write_text("in the way")
    assert find_recipe_files(layout, folder)


def test_name_for_leases(layout, folder):
    """Leases name recipe files by identity and folder; those of projects have no name."""
    name = "recipes/vendor.tool@r1/" + "0" * 16
    assert lease_name(layout, folder / "sub" / "recipe.lua") == name
    assert lease_name(layout, Path("/project/recipes/local.tool@r1.lua")) == ""
