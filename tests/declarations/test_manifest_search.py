"""Finding envy.lua."""

from pathlib import Path

import pytest
from platformdirs import user_config_path

from envy.declarations.manifest_search import find_manifest, global_manifest, nearest_manifest
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


@pytest.mark.parametrize(
    "variables",
    [{"HOME": "/home/me"}, {"HOME": "/home/me", "XDG_CONFIG_HOME": "/etc/mine"}],
)
def test_the_global_manifest_is_where_platformdirs_finds_settings(monkeypatch, variables):
    """Warm commands do without that library."""
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    expected = user_config_path("envy", appauthor=False) / "envy.lua"
    assert global_manifest(variables) == str(expected)


def test_without_a_settings_folder_there_is_no_global_manifest():
    """Relative paths do not count."""
    assert global_manifest({"HOME": "", "XDG_CONFIG_HOME": "settings"}) == ""


def test_the_fallback_is_last(tmp_path):
    """It is used if no other manifest is found, and if it exists."""
    own = tmp_path / "settings" / "envy.lua"
    (tmp_path / "repo" / ".git").mkdir(parents=True)
    with pytest.raises(ManifestError):
        find_manifest(tmp_path / "repo", fallback=str(own))
    touch(own)
    assert find_manifest(tmp_path / "repo", fallback=str(own)) == own
    with pytest.raises(ManifestError):
        find_manifest(tmp_path, named=Path("other.lua"), fallback=str(own))
    nearest = touch(tmp_path / "repo" / "envy.lua")
    assert find_manifest(tmp_path / "repo", fallback=str(own)) == nearest
