"""The line that a failed attempt leaves in its work folder."""

import os
import shutil
from pathlib import Path

import pytest

from envy.cache.failure import last_failure, note_failure
from envy.cache.layout import CacheLayout
from envy.cache.write import begin_attempt
from envy.declarations.key import RecipeKey

KEY = "ab" * 32


@pytest.fixture
def entry(tmp_path):
    layout = CacheLayout(tmp_path)
    return layout.entry(RecipeKey.parse("local.a@r1").identity, "linux-x86_64", KEY)


def test_a_failure_is_read_until_the_next_attempt(entry):
    """The next attempt starts without the failure of the last one."""
    assert last_failure(entry) == ""
    begin_attempt(entry, KEY)
    note_failure(entry, "build failed: no\nmore")
    assert last_failure(entry) == "build failed: no"
    begin_attempt(entry, KEY)
    assert last_failure(entry) == ""


def test_a_pipe_or_a_folder_counts_as_no_failure(entry):
    """What a recipe puts in the place of the file neither blocks nor fails a command."""
    begin_attempt(entry, KEY)
    path = Path(entry.at("work/failed"))
    os.mkfifo(path)
    assert last_failure(entry) == ""
    note_failure(entry, "build failed: no")
    assert last_failure(entry) == "build failed: no"
    path.unlink()
    path.mkdir()
    note_failure(entry, "build failed: no")
    assert last_failure(entry) == ""


@pytest.mark.parametrize("name", ["work/failed", "work"])
def test_nothing_is_written_through_a_link(entry, tmp_path, name):
    """A link that a recipe puts there is not followed, for writing and for reading."""
    begin_attempt(entry, KEY)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "failed").write_text("mine")
    place = Path(entry.at(name))
    if name == "work":
        shutil.rmtree(place)
    place.symlink_to(outside if name == "work" else outside / "failed")
    note_failure(entry, "build failed: no")
    assert (outside / "failed").read_text() == "mine"
    assert last_failure(entry) != "mine"


def test_without_a_work_folder_nothing_is_recorded(entry):
    """An attempt whose folder is gone leaves no failure, and no error."""
    note_failure(entry, "build failed: no")
    assert last_failure(entry) == ""
