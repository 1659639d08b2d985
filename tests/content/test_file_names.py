"""Patterns match what they match in the standard library, but `**` enters no linked folder."""

from glob import glob

import pytest
from bounded import outcome_of
from hypothesis import given
from hypothesis import strategies as st

from envy.content.file_names import names_matching

PARTS = [
    "**",
    "*",
    "a",
    "b",
    ".h",
    "*.txt",
    ".*",
    "?",
    "[ab]",
    "",
    ".",
    "no",
    "**x",
    "e.txt",
]
PATHS = ["a/b/c.txt", "a/.h/x.txt", ".z/q.txt", "e.txt", "a/d.txt", "b/a/b/e.txt", "a/a/x/y/z.txt"]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    top = tmp_path_factory.mktemp("tree")
    for name in PATHS:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (top / "b" / "gone").symlink_to("nowhere")
    (top / "b" / "f.txt").symlink_to("../e.txt")
    return top


@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), st.booleans())
def test_without_linked_folders(tree, parts, absolute):
    """Where no folder is a link, the names are those of the standard library."""
    pattern = "/".join(parts).lstrip("/")
    if absolute:
        pattern = f"{tree}/{pattern}"
    expected = set(glob(pattern, root_dir=tree, recursive=True)) - {""}  # noqa: PTH207
    assert sorted(set(names_matching(pattern, str(tree)))) == sorted(expected)
    if parts.count("**") < 2:
        assert names_matching(pattern, str(tree)) == sorted(expected)


def test_links_to_their_own_folder(tmp_path):
    """Links that lead to a folder above are names, and are not entered."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x/file.h").touch()
    for name in ("one", "two", "three"):
        (tmp_path / "x" / name).symlink_to(".")
    assert outcome_of(names_matching, "**/*.h", str(tmp_path)) == ("value", ["x/file.h"])
    assert names_matching("**", str(tmp_path)) == ["x", "x/file.h", "x/one", "x/three", "x/two"]
    assert names_matching("x/one/*.h", str(tmp_path)) == ["x/one/file.h"]


def test_a_deep_folder(tmp_path):
    """A folder of any depth is visited, as far as its paths are valid."""
    deep = tmp_path
    for _ in range(500):
        deep = deep / "d"
        deep.mkdir()
    (deep / "file").touch()
    assert names_matching("**/file", str(tmp_path)) == ["d/" * 500 + "file"]
