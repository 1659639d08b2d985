"""Finding envy.lua."""

from pathlib import Path

import pytest

from envy.declarations.manifest_search import find_manifest, nearest_manifest
from envy.errors import ManifestError


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_found_in_the_directory_itself(tmp_path):
    """The nearest manifest is taken."""
    touch(tmp_path / "envy.lua")
    inner = touch(tmp_path / "a" / "envy.lua")
    assert find_manifest(tmp_path / "a") == inner


def test_found_above(tmp_path):
    """The manifest is found from every folder of the project, up to the repository's root."""
    manifest = touch(tmp_path / "envy.lua")
    (tmp_path / ".git").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_manifest(tmp_path / "a" / "b") == manifest


@pytest.mark.parametrize("as_file", [True, False])
def test_search_ends_at_the_root_of_a_repository(tmp_path, as_file):
    """A manifest above the root is not used, but the error names it."""
    above = touch(tmp_path / "envy.lua")
    root = tmp_path / "repo"
    (root / "a").mkdir(parents=True)
    touch(root / ".git") if as_file else (root / ".git").mkdir()
    with pytest.raises(ManifestError) as caught:
        find_manifest(root / "a")
    message = str(caught.value)
    assert f"no envy.lua in {root / 'a'}, {root} ({root} is the root of a repository" in message
    assert f"--manifest {above}" in message


def test_not_found_lists_the_searched_folders(tmp_path):
    """Without any manifest, the hint is to create one."""
    (tmp_path / ".git").mkdir()
    with pytest.raises(ManifestError, match=r"hint: `envy init` creates .*envy\.lua; --manifest"):
        find_manifest(tmp_path)


def test_named_manifest_wins(tmp_path):
    """A named path is relative to the current folder."""
    touch(tmp_path / "envy.lua")
    other = touch(tmp_path / "sub" / "other.lua")
    assert find_manifest(tmp_path, named=Path("sub/other.lua")) == other
    assert find_manifest(tmp_path / "sub", named=other) == other


@pytest.mark.parametrize(("name", "part"), [("none.lua", "no manifest"), ("", "is a directory")])
def test_named_manifest_must_be_a_file(tmp_path, name, part):
    """A wrong path is an error, not a reason to search."""
    touch(tmp_path / "envy.lua")
    with pytest.raises(ManifestError, match=part):
        find_manifest(tmp_path, named=tmp_path / name)


def test_the_searched_folders_are_reported(tmp_path):
    """Without a manifest, the folders up to the root of the repository were searched."""
    (tmp_path / ".git").mkdir()
    assert nearest_manifest(str(tmp_path / "a")) == ("", [str(tmp_path / "a"), str(tmp_path)])


def test_a_folder_of_that_name_is_passed_over(tmp_path):
    """Only a file is a manifest."""
    manifest = touch(tmp_path / "envy.lua")
    (tmp_path / "a" / "envy.lua").mkdir(parents=True)
    assert nearest_manifest(str(tmp_path / "a")) == (str(manifest), [str(tmp_path / "a")])
