"""Shims: scripts that run a program under its own path, or refuse to."""

import subprocess

import pytest

from envy.cache.layout import CacheLayout
from envy.cache.shims import (
    product_path,
    refusing_text,
    restore_shims,
    script_folder,
    shim_text,
    without_shims,
    write_shims,
)
from envy.declarations.products import Product
from envy.errors import CacheError

AWKWARD = 'it\'s a "name" with $HOME, \\ and\nü'


@pytest.fixture
def entry(tmp_path):
    entry = CacheLayout(tmp_path / "cache").entry("local.gn@r0", "linux-x86_64", "0" * 64)
    entry.directory.mkdir(parents=True)
    return entry


def test_a_shim_passes_arguments_unchanged(tmp_path):
    """Paths and arguments may hold any characters; the exit code is that of the program."""
    program = tmp_path / AWKWARD
    program.write_text('#!/bin/sh\nprintf "<%s>" "$0" "$@"\nexit 7\n')
    program.chmod(0o755)
    folder = script_folder(tmp_path / "cache", {AWKWARD: shim_text(str(program), AWKWARD)})
    run = subprocess.run([folder / AWKWARD, "", AWKWARD], capture_output=True, check=False)
    assert run.stdout.decode() == f"<{program}><{AWKWARD}><><{AWKWARD}>"
    assert run.returncode == 7


def test_a_refusing_script_says_why(tmp_path):
    """It prints the reason to standard error, and ends like a program that does not exist."""
    folder = script_folder(tmp_path, {"tool": refusing_text(AWKWARD)})
    run = subprocess.run([folder / "tool", "x"], capture_output=True, check=False)
    assert (run.stdout, run.stderr.decode(), run.returncode) == (b"", f"error: {AWKWARD}\n", 127)


def test_a_folder_of_scripts_is_named_after_its_content(tmp_path):
    """The same scripts are one folder, and others are another."""
    one = script_folder(tmp_path, {"a": "1", "b": "2"})
    assert script_folder(tmp_path, {"b": "2", "a": "1"}) == one
    assert script_folder(tmp_path, {"a": "1"}) != one
    assert sorted(path.name for path in one.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    ("product", "path"),
    [
        (Product(path="bin/tool"), "asset/bin/tool"),
        (Product(path="bin/tool-2"), "shims/tool"),
        (Product(path="bin/tool", interpreter="sh"), "shims/tool"),
        (Product(path="share/data", is_program=False), "asset/share/data"),
    ],
)
def test_the_path_of_a_product(entry, product, path):
    """A program that needs a shim has the path of its shim."""
    assert product_path(entry, "tool", product) == f"{entry.location}/{path}"


def test_shims_of_an_entry_are_restored(entry):
    """Missing and different shims are written; an equal one is left alone."""
    write_shims(entry, {"a": "1", "b": "2"})
    folder = entry.directory / "shims"
    before = (folder / "a").stat().st_ino
    (folder / "b").unlink()
    restore_shims(entry, {"a": "1", "b": "2"})
    assert (folder / "a").stat().st_ino == before
    restore_shims(entry, {"a": "other", "b": "2"})
    assert {path.name: path.read_text() for path in folder.iterdir()} == {"a": "other", "b": "2"}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o555}


def test_a_path_without_shims(tmp_path):
    """Folders of shims below this root are left out, and nothing else."""
    entry = f"{tmp_path}/assets/local.gn@r0/linux-x86_64-blake3-0000000000000000"
    kept = ["/usr/bin", "", f"{entry}/asset/bin", f"{tmp_path}/other/shims", "/home/you/shims"]
    left_out = [f"{entry}/shims", f"{entry}/shims/", f"{tmp_path}/shims/0123456789abcdef"]
    path = ":".join([*left_out, *kept])
    assert without_shims(path, tmp_path) == ":".join(kept)


def test_shims_are_not_written_through_a_link(entry, tmp_path):
    """A link that has the name of the folder of shims is an error, and nothing is written there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (entry.directory / "shims").symlink_to(outside)
    with pytest.raises(CacheError, match="it is a link") as caught:
        restore_shims(entry, {"a": "1"})
    assert "move it away" in caught.value.hint
    assert list(outside.iterdir()) == []
