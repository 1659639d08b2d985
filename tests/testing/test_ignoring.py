"""What git ignores, compared with git itself."""

import os
import shutil
import subprocess

import pytest

from envy.testing.evidence import UNIGNORED, value_of
from envy.testing.ignoring import unignored

RULES = [
    "*.o", "!keep.o", "build/", "/top.txt", "docs/*.html", "**/deep", "a/**/z", "x/**", "[ab]?.c",
    "\\!odd", "# comment", "trailing ", "space\\ ", "!build/", "sub/only/", "[!k]*.tmp", "*",
    "!*/", "!*.py", "**", "name", "foo/*/bar", "lit\\*.txt", "[",
]  # fmt: skip
FILES = [
    "a.o", "keep.o", "build/x", "top.txt", "sub/top.txt", "docs/a.html", "docs/in/b.html",
    "q/deep/f", "deep", "a/z", "a/b/c/z", "x/y", "ab.c", "cb.c", "!odd", "#odd", "trailing",
    "sub/only/f", "k1.tmp", "j1.tmp", "m.py", "sub/n.py", "name", "foo/q/bar/f", "lit*.txt",
    "litx.txt", "space ", "sub/keep.o", "build2",
]  # fmt: skip


def files_of(folder, above=None):
    """All files that are not ignored below a folder."""
    found = []
    for name, is_folder in unignored(str(folder)):
        if is_folder:
            found += [f"{name}/{inner}" for inner in files_of(folder / name)]
        else:
            found.append(name)
    return found


@pytest.mark.needs("git")
@pytest.mark.parametrize("nested", [(), ("!*.o", "f"), ("/top.txt", "!deep")])
@pytest.mark.parametrize("start", [0, 4, 8, 12, 16, 20])
def test_the_rules_are_those_of_git(tmp_path, start, nested):
    """Patterns of .gitignore, also of a folder below, decide as they do for git."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    for name in FILES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / ".gitignore").write_text("\n".join(RULES[start : start + 8]) + "\n")
    if nested:
        (tmp_path / "sub/.gitignore").write_text("\n".join(nested) + "\n")
    told = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "-o", "--exclude-standard"],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert sorted(files_of(tmp_path)) == sorted(filter(None, told.split("\0")))


def test_caches_of_tools_change_nothing(tmp_path):
    """The value of a folder is that of the names that count."""
    (tmp_path / "a.py").write_text("")
    before = value_of(UNIGNORED, str(tmp_path), {})
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / ".pytest_cache").mkdir()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "target").mkdir()
    tag = tmp_path / "target/CACHEDIR.TAG"
    tag.write_text("Signature: 8a477f597d28d172789f06886806bc55\n# by cargo\n")
    assert value_of(UNIGNORED, str(tmp_path), {}) == before
    tag.write_text("no signature")
    assert value_of(UNIGNORED, str(tmp_path), {}) != before
    tag.unlink()
    os.mkfifo(tag)  # which must not be waited for
    os.mkfifo(tmp_path / "target/.gitignore")
    assert value_of(UNIGNORED, str(tmp_path), {}) != before
    assert [name for name, _ in unignored(str(tag.parent))] == [".gitignore", tag.name]
    shutil.rmtree(tag.parent)
    assert value_of(UNIGNORED, str(tmp_path), {}) == before
    (tmp_path / "_b.py").write_text("")
    assert value_of(UNIGNORED, str(tmp_path), {}) != before
