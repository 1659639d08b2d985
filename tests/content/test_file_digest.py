"""What is at a path, as one text: no change that a recipe could see leaves it the same."""

import os

import pytest

from envy.content.file_digest import combined_digest, file_digest


def make(path, what):
    """Create a file, folder or pipe at a path."""
    if what == "folder":
        path.mkdir()
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "circle":
        path.symlink_to(path)
    elif what == "dangling":
        path.symlink_to(path.with_name("nowhere"))
    elif what is not None:
        path.write_bytes(what)


THINGS = {
    "nothing": None,
    "empty": b"",
    "text": b"text",
    "large": bytes(1 << 16),
    "larger": bytes(3 << 20),
    "other end": bytes((3 << 20) - 1) + b"x",
    "folder": "folder",
    "pipe": "pipe",
    "circle": "circle",
}


def test_everything_that_a_recipe_can_distinguish_has_its_own_text(tmp_path):
    """Every byte of a file counts; a folder and a pipe differ from files, and neither blocks."""
    found = {}
    for name, what in THINGS.items():
        make(tmp_path / name, what)
        found[name] = file_digest(str(tmp_path / name))
    assert len(set(found.values())) == len(THINGS)
    assert found["nothing"] is None


@pytest.mark.parametrize("what", ["dangling", None])
def test_a_broken_link_is_a_missing_file(tmp_path, what):
    """A recipe cannot open it either way."""
    make(tmp_path / "x", what)
    assert file_digest(str(tmp_path / "x")) is None


def test_lists_that_differ_have_different_digests():
    """The boundaries between texts count, and missing ones do, too."""
    lists = [[], [None], [None, None], ["a"], ["a", None], [None, "a"], ["a", "b"], ["ab"]]
    assert len({combined_digest(texts) for texts in lists}) == len(lists)
