"""What trees hold now: the digest that warm commands compare is the one that went into the key."""

import os
import random

import pytest

from envy.answers.facts import match_digest, tree_digest
from envy.cache.trees import digest_tree
from envy.content import file_operations
from envy.content.file_digest import combined_digest
from envy.errors import CacheError


def grow(folder, rng, depth=0):
    """Files, programs, links and folders at random, some with names that are no UTF-8."""
    for number in range(rng.randrange(5)):
        path = folder / f"{rng.choice(['a', 'B', '.h', os.fsdecode(bytes([255])), 'a b'])}{number}"
        match rng.randrange(5 if depth < 3 else 3):
            case 0 | 1:
                path.write_bytes(rng.randbytes(rng.choice([0, 10, 70_000])))
                path.chmod(rng.choice([0o644, 0o755, 0o600, 0o444]))
            case 2:
                path.symlink_to(rng.choice(["nowhere", "a0", "."]))
            case _:
                path.mkdir()
                grow(path, rng, depth + 1)


@pytest.mark.parametrize("seed", range(40))
def test_a_tree_has_one_digest(tmp_path, seed):
    """However it is looked at."""
    grow(tmp_path, random.Random(seed))
    assert tree_digest(str(tmp_path)) == digest_tree(tmp_path)
    for path in tmp_path.iterdir():
        if path.exists():
            assert tree_digest(str(path)) == digest_tree(path)


def test_what_has_no_digest_is_no_tree_either(tmp_path):
    """Nothing, or a pipe somewhere: an error for a full run, and no match for a warm one."""
    assert tree_digest(str(tmp_path / "none")) == ""
    os.mkfifo(tmp_path / "pipe")
    assert tree_digest(str(tmp_path)) == tree_digest(str(tmp_path / "pipe")) == ""
    with pytest.raises(CacheError):
        digest_tree(tmp_path)


@pytest.mark.parametrize("pattern", ["*", "**", "**/*", "a*", "sub/*", ".*", "[ab]*", "none", "."])
def test_a_pattern_matches_what_inputs_match(tmp_path, pattern):
    """Hidden names, folders and all that is below."""
    for name in ("a", "b", ".hidden", "sub/a", "sub/.hidden", "sub/deep/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert match_digest(str(tmp_path), pattern) == combined_digest(
        file_operations.glob(tmp_path, pattern)
    )
