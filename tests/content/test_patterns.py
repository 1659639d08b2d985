"""Patterns match what Python's `glob` matches, and searches through links end."""

import random
from glob import glob

import pytest

from envy.answers.facts import match_digest
from envy.content import file_operations
from envy.content.patterns import TooManyNames, expand
from envy.errors import EnvyError

PATTERNS = [
    *("*", "a", "a/b", "**", "**/*", "**/a", "a/**", "*/**", "**/b/*", "**/b/**", "**/", "a/**/"),
    *(".*", "**/.h", ".h/**", "[ab]", "**/[ab]", "**/c.?", "none/**", "x**", "a/**/c.o", "./**"),
    *("**/a/**/b", "l/**", "*/l/*"),
]


def grow(folder, rng, depth=0):
    """Create random files, folders and links, none of which leads to a folder that it is in."""
    for name in ("a", "b", ".h", "c.o"):
        path = folder / name
        match rng.randrange(4):
            case 0:
                path.touch()
            case 1 if depth < 3:
                path.mkdir()
                grow(path, rng, depth + 1)
            case 2 if depth < 3:
                path.symlink_to("/".join([*[".."] * (depth + 1), "beside"]))
            case _:
                pass


@pytest.mark.parametrize("seed", range(15))
def test_the_same_names_as_glob(tmp_path, seed):
    """Hidden names, links to folders, and slashes at the end are as in `glob`."""
    rng = random.Random(seed)
    top, beside = tmp_path / "top", tmp_path / "beside"
    for folder in (top, beside):
        folder.mkdir()
    grow(top, rng)
    grow(beside, rng, 3)
    (beside / "l").mkdir()
    (beside / "l/x").touch()
    for pattern in [*PATTERNS, f"{top}/**", f"{top}/*/**/x"]:
        found = set(glob(pattern, root_dir=top, recursive=True)) - {""}  # noqa: PTH207
        # Older Pythons find "a/" where a is a file, or missing.
        expected = sorted(name for name in found if name[-1] != "/" or (top / name).is_dir())
        assert expand(str(top), pattern) == expected, pattern


@pytest.mark.parametrize("pattern", ["**", "**/a", "in/**", "**/*", "**/in/**/a"])
def test_links_in_circles(tmp_path, pattern):
    """Two links to the folder itself would double the names forty times over."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a").touch()
    for name in ("one", "two"):
        (tmp_path / "in" / name).symlink_to(".")
        (tmp_path / name).symlink_to("in")
        (tmp_path / "in" / f"up-{name}").symlink_to("..")
    found = expand(str(tmp_path), pattern)
    assert "in/a" in found or pattern == "in/**"
    assert len(found) < 100
    assert match_digest(str(tmp_path), pattern)


def test_a_chain_of_doubling_links_is_limited(tmp_path):
    """The error says how many names, and envy's own limit holds for recipes."""
    for number in range(30):
        (tmp_path / f"d{number}").mkdir()
        for name in ("x", "y"):
            (tmp_path / f"d{number}/{name}").symlink_to(f"../d{number + 1}")
    with pytest.raises(TooManyNames, match="more than 1000 names"):
        expand(str(tmp_path), "**", most=1000)
    with pytest.raises(EnvyError, match=r"cannot search .*more than 200000 names"):
        file_operations.glob(tmp_path, "d0/**")
