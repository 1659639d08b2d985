"""The last resolutions of unpinned sources: what is kept, replaced and forgotten."""

import json
from pathlib import Path

import pytest

from envy.cache.resolutions import Resolutions, manifest_of, resolutions_path, source_name

APP, LIB = "local.app@r1", "local.lib@r1"


@pytest.fixture
def path(tmp_path):
    return Path(resolutions_path(str(tmp_path / "resolutions"), "/project/envy.lua"))


def stored(path, *notes, settled=(), known=None):
    """Note and store resolutions as a run does; return what the file has then."""
    resolutions = Resolutions(str(path), "/project/envy.lua")
    for note in notes:
        resolutions.note(*note)
    resolutions.store(settled=settled, known=known)
    names = {source_name(package): package for package in (APP, LIB)}
    rows = json.loads(path.read_bytes())["rows"]
    return {names[digest]: row for digest, row in rows.items()}


def test_a_run_finds_what_the_last_one_noted(path):
    """Whichever package used the source: a new one uses it as it was."""
    stored(path, (APP, "a", "1"))
    resolutions = Resolutions(str(path))
    assert resolutions.last("a") == "1"
    assert resolutions.last("b") is None
    assert manifest_of(str(path)) == "/project/envy.lua"


def test_what_was_noted_in_this_run_is_not_the_last(path):
    """Until it is stored, the last resolution is that of the run before."""
    stored(path, (APP, "a", "1"))
    resolutions = Resolutions(str(path))
    resolutions.note(APP, "a", "2")
    assert resolutions.last("a") == "1"


def test_what_a_run_did_not_look_at_stays(path):
    """A query computes the keys of a few packages, and knows nothing about the others' sources."""
    stored(path, (APP, "a", "1"), (APP, "b", "1"), (LIB, "c", "1"))
    assert stored(path, (APP, "a", "2")) == {APP: {"a": "2", "b": "1"}, LIB: {"c": "1"}}


def test_a_source_that_a_package_no_longer_has_is_forgotten(path):
    """If it comes back, it is looked up."""
    stored(path, (APP, "a", "1"), (APP, "b", "1"))
    assert stored(path, (APP, "a", "1"), settled={APP}) == {APP: {"a": "1"}}


def test_a_package_that_is_gone_is_forgotten(path):
    """Its sources are no longer part of the project."""
    stored(path, (APP, "a", "1"), (LIB, "b", "1"))
    assert stored(path, settled={APP}, known={APP}) == {}


def test_an_unchanged_record_is_not_written(path):
    """A sync that finds the same writes nothing."""
    stored(path, (APP, "a", "1"))
    path.write_text(path.read_text() + " ")
    stored(path, (APP, "a", "1"), settled={APP})
    assert path.read_text().endswith(" ")


def test_a_project_without_unpinned_sources_has_no_record(tmp_path, path):
    """Nothing is written for it."""
    Resolutions(str(path)).store(settled=(), known=None)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_to_write_is_ignored(tmp_path):
    """The next run asks again."""
    (tmp_path / "file").touch()
    resolutions = Resolutions(str(tmp_path / "file" / "x.json"))
    resolutions.note(APP, "a", "1")
    resolutions.store(settled=(), known=None)
    assert resolutions.last("a") is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 2}', '{"format": 1, "manifest": "x", "rows": {"a": 1}}']
)
def test_a_damaged_record_knows_nothing(path, text):
    """Whatever is in the file, nothing fails."""
    stored(path, (APP, "a", "1"))
    path.write_text(text)
    assert Resolutions(str(path)).last("a") is None
    assert manifest_of(str(path)) == ""
    assert stored(path, (APP, "a", "2")) == {APP: {"a": "2"}}


def test_the_name_of_a_source_hides_its_address():
    """An address may have credentials."""
    name = source_name("git", "https://user:secret@host/x.git", "main")
    assert "secret" not in name
    assert name != source_name("git", "https://user:secret@host/x.git", "next")
