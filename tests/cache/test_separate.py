"""A published payload shares no file with anything else."""

import os

import pytest

from envy.cache.layout import EntryPaths
from envy.cache.separate import separated_members
from envy.cache.write import begin_attempt, publish


@pytest.fixture
def payload(tmp_path):
    folder = tmp_path / "payload"
    (folder / "bin").mkdir(parents=True)
    return folder


def test_a_shared_file_becomes_a_copy_that_its_owner_may_write(payload, tmp_path):
    """Content and times stay; the file elsewhere keeps its mode."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("text")
    os.utime(elsewhere, (1000, 1000))
    elsewhere.chmod(0o444)
    (payload / "bin" / "tool").hardlink_to(elsewhere)
    [_, tool] = separated_members(str(payload))
    assert (tool.relative, tool.status.st_nlink, tool.status.st_mtime) == ("bin/tool", 1, 1000)
    assert tool.status.st_mode & 0o777 == 0o644
    assert (payload / "bin" / "tool").read_text() == "text"
    assert elsewhere.stat().st_mode & 0o777 == 0o444
    assert [path.name for path in (payload / "bin").iterdir()] == ["tool"]


def test_names_inside_of_the_payload_stay_one_file(payload, tmp_path):
    """A group of names is copied once, even if it is also shared with something else."""
    inside, outside = payload / "one", tmp_path / "outside"
    inside.write_text("x")
    (payload / "two").hardlink_to(inside)
    before = inside.stat().st_ino
    separated_members(str(payload))
    assert inside.stat().st_ino == before
    outside.hardlink_to(inside)
    separated_members(str(payload))
    assert inside.stat().st_ino != before
    assert inside.samefile(payload / "two")
    assert outside.stat().st_nlink == 1


def test_a_folder_that_may_not_be_written_keeps_its_mode(payload, tmp_path):
    """A copy of a published package by links has such folders."""
    (tmp_path / "outside").write_text("x")
    (payload / "bin" / "tool").hardlink_to(tmp_path / "outside")
    (payload / "bin").chmod(0o555)
    separated_members(str(payload))
    assert (payload / "bin").stat().st_mode & 0o777 == 0o555
    assert (payload / "bin" / "tool").stat().st_nlink == 1
    (payload / "bin").chmod(0o755)


def test_publishing_leaves_files_elsewhere_alone(tmp_path):
    """Their modes, and thus everything that uses them, stay as they were."""
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o644)
    root = tmp_path / "cache"
    entry = EntryPaths(str(root), str(root / "assets" / "local.a@r1" / "x-blake3-0123456789abcdef"))
    entry.directory.parent.mkdir(parents=True)
    attempt = begin_attempt(entry, "0123456789abcdef" * 4)
    (entry.asset_dir / "tool").hardlink_to(outside)
    publish(attempt, "{}")
    assert outside.stat().st_mode & 0o777 == 0o644
    assert (entry.asset_dir / "tool").stat().st_mode & 0o777 == 0o444
    assert not outside.samefile(entry.asset_dir / "tool")
