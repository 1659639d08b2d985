"""Moving a new tree to its place: all of it or nothing, and never over what is there."""

import pytest

from envy.content.merge_folder import new_tree_for, put_in_place
from envy.errors import EnvyError


def make(folder, files):
    """Create files; a text `-> x` makes a link to x, and None a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            path.mkdir()
        elif text.startswith("-> "):
            path.symlink_to(text[3:])
        else:
            path.write_text(text)
    return folder


def state(folder):
    """Return the files and links of a folder, as `make` takes them; empty folders are None."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
        elif not any(path.iterdir()):
            found[name] = None
    return found


def put(dest, files, *, force=False):
    with new_tree_for(dest) as new:
        make(new, files) if isinstance(files, dict) else new.write_text(files)
        put_in_place(new, dest, force=force)


def test_a_tree_that_is_not_there(tmp_path):
    """It appears whole, with the folders above it; so does a file."""
    put(tmp_path / "a/b", {"x": "1", "y/z": "2", "l": "-> x"})
    put(tmp_path / "file", "text")
    assert state(tmp_path) == {"a/b/x": "1", "a/b/y/z": "2", "a/b/l": "-> x", "file": "text"}


def test_a_tree_that_is_there(tmp_path):
    """Folders get further files; what is there stays, unless it is to be replaced."""
    dest = make(tmp_path / "dest", {"d/old": "1", "same": "2", "l": "-> same"})
    put(dest, {"d/new": "3", "e/f": "4"})
    before = state(dest)
    assert before == {"d/old": "1", "d/new": "3", "e/f": "4", "same": "2", "l": "-> same"}
    new = {"a": "5", "d/old": "6", "l": "7", "same": "8"}
    with pytest.raises(EnvyError, match="same names already: d/old, l, same\n") as raised:
        put(dest, new)
    assert raised.value.hint == "name another place, or replace them: --force"
    assert state(dest) == before
    put(dest, new, force=True)
    assert state(dest) == {**before, **new}


@pytest.mark.parametrize("force", [False, True])
def test_folders_and_files_do_not_replace_each_other(tmp_path, force):
    """Nor is a link to a folder entered; nothing is moved."""
    outside = make(tmp_path / "outside", {"x": "mine"})
    dest = make(tmp_path / "dest", {"d/x": "1", "f": "2", "l": f"-> {outside}"})
    before = state(dest)
    for new in ({"a": "", "d": "file"}, {"a": "", "f/x": ""}, {"a": "", "l/x": "theirs"}):
        with pytest.raises(EnvyError, match="same names already") as raised:
            put(dest, new, force=force)
        assert "a folder is not replaced by a file" in raised.value.hint
        assert state(dest) == before
    assert state(outside) == {"x": "mine"}
    with pytest.raises(EnvyError, match="f exists already"):
        put(dest / "f", {"x": ""}, force=force)


def test_a_place_that_is_named_through_a_link(tmp_path):
    """The folder that the link leads to gets the files."""
    make(tmp_path / "real", {"x": "1"})
    (tmp_path / "link").symlink_to("real")
    put(tmp_path / "link", {"y": "2"})
    assert state(tmp_path / "real") == {"x": "1", "y": "2"}


def test_a_failure_moves_everything_back(tmp_path):
    """Also what was replaced."""
    dest = make(tmp_path / "dest", {"a": "old", "z/x": "there"})
    with new_tree_for(dest) as new:
        make(new, {"a": "new", "b": "new", "z/y": "new"})

        class Failing(type(new)):
            """A path whose move fails."""

            def rename(self, to):
                if self.name == "y":
                    raise OSError(28, "No space left on device")
                return super().rename(to)

        with pytest.raises(OSError, match="No space left"):
            put_in_place(Failing(new), dest, force=True)
    assert state(dest) == {"a": "old", "z/x": "there"}
    assert [path.name for path in tmp_path.iterdir()] == ["dest"]
