"""The facts that warm commands compare: digests of trees and patterns, and envy's own modules."""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import envy
from envy.answers.facts import match_digest, tree_digest
from envy.cache.trees import digest_tree
from envy.content import file_operations
from envy.content.file_digest import combined_digest
from envy.errors import CacheError


def grow(folder, rng, depth=0):
    """Create random files, programs, links and folders, some with names that are not UTF-8."""
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
def test_both_digests_of_a_tree_agree(tmp_path, seed):
    """A warm command computes the same digest as the cache."""
    grow(tmp_path, random.Random(seed))
    assert tree_digest(str(tmp_path)) == digest_tree(tmp_path)
    for path in tmp_path.iterdir():
        if path.exists():
            assert tree_digest(str(path)) == digest_tree(path)


def test_a_path_without_a_digest_matches_no_tree(tmp_path):
    """A missing path or a pipe is an error in a full run, and never a match in a warm one."""
    assert tree_digest(str(tmp_path / "none")) == ""
    os.mkfifo(tmp_path / "pipe")
    assert tree_digest(str(tmp_path)) == tree_digest(str(tmp_path / "pipe")) == ""
    with pytest.raises(CacheError):
        digest_tree(tmp_path)


@pytest.mark.parametrize("pattern", ["*", "**", "**/*", "a*", "sub/*", ".*", "[ab]*", "none", "."])
def test_a_pattern_matches_the_same_names_as_inputs(tmp_path, pattern):
    """Hidden names, folders and everything below them are matched alike."""
    for name in ("a", "b", ".hidden", "sub/a", "sub/.hidden", "sub/deep/b"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert match_digest(str(tmp_path), pattern) == combined_digest(
        file_operations.glob(tmp_path, pattern)
    )


PACKAGE = Path(envy.__file__).parent
ROOMS = sorted({path.parent.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py")})


@pytest.fixture(scope="module")
def copied_package(tmp_path_factory):
    """A copy of envy's package, whose modules can be changed."""
    folder = tmp_path_factory.mktemp("copy") / "envy"
    shutil.copytree(PACKAGE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def engine_facts_of(package):
    """Return what `engine_facts` says of the envy in a folder, in a process that imports it."""
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            "from envy.answers.facts import engine_facts; print(engine_facts())",
        ],
        cwd=package.parent,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(package) in run.stdout
    return run.stdout


@pytest.mark.parametrize("room", ROOMS)
def test_a_change_in_any_room_changes_the_facts(copied_package, room):
    """An edit of one module in each folder of envy ends the answers that the old envy stored."""
    module = min((copied_package / room).glob("*.py"))
    before = engine_facts_of(copied_package)
    with module.open("a") as file:
        file.write("\n")
    assert engine_facts_of(copied_package) != before


def test_a_change_of_the_prelude_changes_the_facts(copied_package):
    """The Lua part of envy counts as much as its Python modules."""
    before = engine_facts_of(copied_package)
    os.utime(copied_package / "lua" / "prelude.lua", ns=(1, 1))
    assert engine_facts_of(copied_package) != before


def test_compiled_files_are_no_facts(copied_package):
    """Running envy for the first time writes compiled modules, which must not end an answer."""
    before = engine_facts_of(copied_package)
    (copied_package / "cli" / "__pycache__").mkdir()
    (copied_package / "cli" / "__pycache__" / "main.cpython-311.pyc").touch()
    assert engine_facts_of(copied_package) == before
