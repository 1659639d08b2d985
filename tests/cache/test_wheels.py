"""The unpacked wheels that payloads share."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from envy.cache.collect import Rules
from envy.cache.disk_usage import DiskUsage
from envy.cache.layout import CacheLayout
from envy.cache.leftovers import WHEEL, decide_leftovers, find_leftovers, remove_leftovers
from envy.cache.usage import DAY
from envy.cache.wheels import close_wheels, drop_wheels, open_copies
from envy.cache.write import begin_attempt, publish


@pytest.fixture
def layout(tmp_path):
    return CacheLayout(tmp_path / "root")


@pytest.fixture
def wheel(layout):
    """Return a module of an unpacked wheel."""
    folder = layout.uv_root / "archive-v0" / "Ab_1" / "six-1.0.dist-info"
    folder.mkdir(parents=True)
    module = folder.parent / "six.py"
    module.write_text("six = 6\n")
    return module


def published(layout, *linked, key="0", writable=False):
    """Publish a package with these files, linked."""
    entry = layout.entry("local.env@r1", "linux-x86_64", key * 64)
    attempt = begin_attempt(entry, key * 64)
    for path in linked:
        (entry.asset_dir / path.name).hardlink_to(path)
    publish(attempt, "{}", writable=writable)
    return entry


def wheels(layout):
    """Return what gc finds of uv's cache."""
    found = find_leftovers(layout, lambda _answer: ("", ()), DiskUsage())
    return [leftover for leftover in found if leftover.kind == WHEEL]


def test_a_file_of_a_wheel_stays_shared_and_becomes_read_only(layout, wheel):
    """Two packages and the wheel have one file; uv needs no permission to write to it."""
    one, two = published(layout, wheel), published(layout, wheel, key="1")
    assert wheel.samefile(one.asset_dir / "six.py")
    assert wheel.samefile(two.asset_dir / "six.py")
    assert wheel.stat().st_mode & 0o777 == 0o444
    assert os.access(wheel.parent, os.W_OK)


@pytest.mark.parametrize("where", ["writable", "elsewhere", "link"])
def test_anything_else_becomes_a_copy(layout, wheel, tmp_path, where):
    """So do files of a writable package, and of a folder that a link makes uv's cache."""
    if where == "elsewhere":
        (tmp_path / "elsewhere").write_text("x")
        wheel = tmp_path / "elsewhere"
    elif where == "link":
        layout.uv_root.rename(tmp_path / "other")
        layout.uv_root.symlink_to(tmp_path / "other")
    mode = wheel.stat().st_mode
    entry = published(layout, wheel, writable=where == "writable")
    assert not wheel.samefile(entry.asset_dir / wheel.name)
    assert (wheel.stat().st_mode, wheel.stat().st_nlink) == (mode, 1)


def test_modes_of_links_and_copies(layout, wheel, tmp_path):
    """A linked wheel is closed before it is published; a copy may be written by its owner."""
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "six.py").hardlink_to(wheel)
    (tmp_path / "packages" / "own").write_text("x")
    close_wheels(str(tmp_path / "packages"))
    assert wheel.stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "packages" / "own").stat().st_mode & 0o200
    (tmp_path / "packages" / "own").chmod(0o444)
    open_copies(str(tmp_path / "packages"))
    assert wheel.stat().st_mode & 0o777 == 0o444
    assert (tmp_path / "packages" / "own").stat().st_mode & 0o777 == 0o644


def test_a_wheel_goes_with_a_damaged_file_that_it_shares(layout, wheel):
    """The wheels of other files stay."""
    other = wheel.parent.parent / "other" / "x.py"
    other.parent.mkdir()
    other.write_text("x")
    entry = published(layout, wheel, other)
    assert drop_wheels(str(layout.uv_root), [entry.at("asset/gone")]) == []
    assert drop_wheels(str(layout.uv_root), [entry.at("asset/six.py")]) == [str(wheel.parent)]
    assert other.exists()
    assert not wheel.exists()


def test_gc_takes_what_no_package_shares_and_nobody_linked_for_long(layout, wheel):
    """A shared wheel frees nothing; the time of a link is that of the last use."""
    (layout.uv_root / "simple-v1" / "pypi").mkdir(parents=True)
    (layout.uv_root / "mine").mkdir()
    entry = published(layout, wheel)
    assert [Path(found.path).name for found in wheels(layout)] == ["simple-v1"]
    (entry.asset_dir).chmod(0o755)
    (entry.asset_dir / "six.py").unlink()
    found = wheels(layout)
    assert {Path(row.path).name for row in found} == {"Ab_1", "simple-v1"}
    now = wheel.stat().st_ctime
    rules = Rules(now=now + 31 * DAY)
    fresh = decide_leftovers(found, set(), unused_for=rules.unused_for, now=now + DAY / 2)
    assert not any(row.remove for row in fresh)
    old = decide_leftovers(found, set(), unused_for=rules.unused_for, now=rules.now)
    assert all(row.remove for row in old)
    rows = [
        replace(row, leftover=replace(row.leftover, time=row.leftover.time - 1))
        if row.leftover.path == str(wheel.parent)
        else row
        for row in old
    ]
    removed, failed = remove_leftovers(layout, rows)
    assert [Path(row.leftover.path).name for row in removed] == ["simple-v1"]
    assert failed == []
    assert wheel.exists()  # it was linked after the plan was made
    assert (layout.uv_root / "mine").exists()


def test_folders_of_a_fingerprint_have_no_size(layout):
    """It depends on the order in which the files were created, on some file systems."""
    entry = layout.entry("local.env@r1", "linux-x86_64", "0" * 64)
    attempt = begin_attempt(entry, "0" * 64)
    (entry.asset_dir / "folder").mkdir()
    publish(attempt, "{}")
    assert '["folder", "dir", "555", 0, "", []]' in entry.fingerprint.read_text()
