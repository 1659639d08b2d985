"""Files and folders that appear complete, or not at all."""

import os
import stat
from pathlib import Path

import pytest

from envy.content.atomic import (
    SUFFIX,
    atomic_write,
    temporary_beside,
    temporary_name,
    unique_name,
    written_file,
    written_whole,
)


def names_in(folder):
    """The names of everything in a folder."""
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("sole_writer", [True, False])
def test_a_file_is_replaced(tmp_path, sole_writer):
    """A written file holds the new content, and no temporary file is left."""
    path = tmp_path / "file"
    path.write_text("old")
    atomic_write(str(path), b"new", sole_writer=sole_writer)
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["file"]


def test_a_new_file_has_the_permissions_of_any_other(tmp_path):
    """Without a mode, the process's umask decides."""
    atomic_write(str(tmp_path / "file"), b"")
    (tmp_path / "other").write_text("")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "other").stat().st_mode


@pytest.mark.parametrize("mode", [0o400, 0o755])
def test_a_file_is_given_its_mode(tmp_path, mode):
    """A requested mode holds whatever the umask is, a read-only one too."""
    atomic_write(str(tmp_path / "file"), b"x", mode=mode)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_a_failed_write_changes_nothing(tmp_path):
    """A directory in the place of the file is an error, and no temporary file is left."""
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="file"):
        atomic_write(str(tmp_path / "file"), b"new")
    assert names_in(tmp_path) == ["file"]


def test_an_interrupted_write_changes_nothing(tmp_path):
    """Any exception removes what was written so far."""
    path = tmp_path / "file"
    path.write_text("old")

    def interrupted():
        with written_file(str(path)) as new:
            Path(new).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert names_in(tmp_path) == ["file"]


def test_what_a_killed_sole_writer_left_is_overwritten(tmp_path):
    """The next writer of the same file uses the same temporary name."""
    (tmp_path / f"file{SUFFIX}").write_text("much that a killed process left")
    atomic_write(str(tmp_path / "file"), b"new", sole_writer=True)
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names_in(tmp_path) == ["file"]


def test_temporary_names_end_in_one_suffix():
    """Cleanups recognize them by it, and two writers never share a unique name."""
    assert temporary_name("/a/b") == f"/a/b{SUFFIX}"
    names = {unique_name("/a/b") for _ in range(9)}
    assert len(names) == 9
    assert all(name.startswith("/a/b.") and name.endswith(SUFFIX) for name in names)


def test_a_long_name_can_be_written(tmp_path):
    """The temporary name of a file with the longest possible name is cut."""
    path = tmp_path / ("x" * 255)
    atomic_write(str(path), b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["語" * 80, "x" + "語" * 84, "\udcff" * 255, "é" * 127])
def test_a_long_name_is_cut_by_its_bytes(tmp_path, name):
    """A name of few characters may have as many bytes as a file system takes."""
    path = tmp_path / name
    atomic_write(str(path), b"new")
    assert path.read_bytes() == b"new"
    kept = os.path.basename(unique_name(name)).rpartition(".new")[0].rpartition(".")[0]  # noqa: PTH119
    assert name.startswith(kept)
    assert 97 <= len(os.fsencode(kept)) <= 100


def test_two_that_are_written_at_once_share_no_name(tmp_path):
    """The temporary name of one is not the name of the other, and nobody's file is touched."""
    mine = tmp_path / f"tool{SUFFIX}{SUFFIX}"
    mine.write_text("the user's")
    with (
        written_whole(tmp_path / "tool") as one,
        written_whole(tmp_path / f"tool{SUFFIX}") as other,
    ):
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "tool").read_text() == "one"
    assert (tmp_path / f"tool{SUFFIX}").read_text() == "other"
    assert mine.read_text() == "the user's"
    assert len(names_in(tmp_path)) == 3


def test_a_folder_replaces_a_file_and_a_folder(tmp_path):
    """A tree is renamed into place, whatever was there."""
    target = tmp_path / "target"
    target.write_text("a file")
    for number in range(2):
        with written_whole(target) as new:
            new.mkdir()
            (new / str(number)).write_text("")
    assert names_in(target) == ["1"]
    assert names_in(tmp_path) == ["target"]


@pytest.mark.parametrize("kind", ["file", "folder", "link to a folder", "dangling link"])
@pytest.mark.parametrize("new_kind", ["file", "folder"])
def test_whatever_is_there_is_replaced_and_a_link_is_not_followed(tmp_path, kind, new_kind):
    """A file or a folder takes the place of anything; what a link leads to stays."""
    target, other = tmp_path / "target", tmp_path / "other"
    other.mkdir()
    (other / "file").write_text("stays")
    if kind == "file":
        target.write_text("former")
    elif kind == "folder":
        (target / "inner").mkdir(parents=True)
    else:
        target.symlink_to(other if kind == "link to a folder" else tmp_path / "missing")
    with written_whole(target) as new:
        if new_kind == "folder":
            new.mkdir()
        (new if new_kind == "file" else new / "content").write_text("new")
    found = target if new_kind == "file" else target / "content"
    assert not target.is_symlink()
    assert found.read_text() == "new"
    assert (other / "file").read_text() == "stays"
    assert names_in(tmp_path) == ["other", "target"]


def test_a_failure_keeps_the_former_folder(tmp_path):
    """What was made so far is removed, and the target is as before."""
    target = tmp_path / "target"
    target.mkdir()

    def failing():
        with written_whole(target) as new:
            new.mkdir()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        failing()
    assert names_in(tmp_path) == ["target"]


def test_a_temporary_folder_is_empty_at_first_and_removed_at_last(tmp_path):
    """What a killed process left is removed; a part may be renamed away."""
    target = tmp_path / "target"
    (tmp_path / f"target{SUFFIX}").mkdir()
    (tmp_path / f"target{SUFFIX}" / "left").write_text("")
    with temporary_beside(target) as new:
        assert not os.path.lexists(new)
        (new / "part").mkdir(parents=True)
        (new / "part").rename(target)
    assert names_in(tmp_path) == ["target"]


def test_a_link_in_the_place_of_a_temporary_path_is_removed_and_not_followed(tmp_path):
    """A folder that a link leads to keeps its content."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("")
    (tmp_path / f"target{SUFFIX}").symlink_to("kept")
    with temporary_beside(tmp_path / "target"):
        pass
    assert names_in(tmp_path) == ["kept"]
    assert names_in(tmp_path / "kept") == ["file"]
