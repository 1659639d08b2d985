import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.content import file_operations
from envy.content.patch import apply_patch
from envy.environment import environment
from envy.errors import EnvyError
from envy.host.children import Children
from envy.host.process import run_argv

DIFF = """\
--- a/sub/file.txt
+++ b/sub/file.txt
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "sub").mkdir(parents=True)
    (root / "sub/file.txt").write_text("one\ntwo\nthree\n")
    (root / "tool").write_text("#!/bin/sh\n")
    (root / "tool").chmod(0o755)
    (root / "link").symlink_to("sub/file.txt")
    return root


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def runner(*, path: str | None = None):
    variables = environment() if path is None else {"PATH": path}

    def run(argv, cwd):
        return run_argv(argv, cwd=cwd, environment=variables, children=Children(), capture=True)

    return run


def test_relative_paths_start_from_the_run_directory():
    """A relative path is below the run directory; an absolute path stays the same."""
    assert file_operations.resolve(Path("/run"), "a/b") == Path("/run/a/b")
    assert file_operations.resolve(Path("/run"), "/a") == Path("/a")


@pytest.mark.parametrize("text", ["", "a\0b"])
def test_an_invalid_path_is_an_error(text):
    """An empty path, or one with a zero byte, never means a directory by accident."""
    with pytest.raises(EnvyError, match="not a path"):
        file_operations.resolve(Path("/run"), text)


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_quoted_word_is_one_word_of_the_shell(text):
    """The shell reads exactly the text that was quoted."""
    script = f"printf %s {file_operations.quote(text)}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=True)
    assert done.stdout == text.encode()


def test_copy_takes_an_exact_name(tree, tmp_path):
    """A name that is not a directory is the name of the copy; its parents are created."""
    file_operations.copy(tree / "tool", tmp_path / "a/b/renamed")
    assert mode_of(tmp_path / "a/b/renamed") == 0o755


def test_copy_goes_into_an_existing_directory(tree, tmp_path):
    """A destination that is a directory receives the source under its own name."""
    (tmp_path / "bin").mkdir()
    file_operations.copy(tree / "tool", tmp_path / "bin")
    assert (tmp_path / "bin/tool").is_file()


def test_copy_goes_into_a_directory_that_was_written_with_a_slash(tree, tmp_path):
    """A destination that ends in a slash is created as a directory."""
    file_operations.copy(tree / "tool", tmp_path / "bin", into_directory=True)
    assert (tmp_path / "bin/tool").is_file()


def test_copy_of_a_tree_keeps_its_links(tree, tmp_path):
    """A tree is copied whole, symbolic links as links."""
    file_operations.copy(tree, tmp_path / "copy")
    assert (tmp_path / "copy/link").readlink() == Path("sub/file.txt")
    assert (tmp_path / "copy/sub/file.txt").is_file()


def test_copy_of_contents_merges_with_the_destination(tree, tmp_path):
    """The contents of a directory may be copied into a directory that is not empty."""
    target = tmp_path / "into"
    (target / "sub").mkdir(parents=True)
    (target / "sub/other").write_text("")
    file_operations.copy(tree, target, contents=True)
    assert file_operations.ls(target) == ["link", "sub", "tool"]
    assert file_operations.ls(target / "sub") == ["file.txt", "other"]


def test_copy_into_itself_through_a_link_ends(tmp_path):
    """What a link makes the source grow by during the copy is not copied again."""
    (tmp_path / "a/sub").mkdir(parents=True)
    (tmp_path / "a/sub/file").write_text("x")
    (tmp_path / "b").mkdir()
    (tmp_path / "b/sub").symlink_to("../a")
    file_operations.copy(tmp_path / "a", tmp_path / "b", contents=True, root=tmp_path)
    assert sorted(path.name for path in (tmp_path / "a").rglob("*")) == ["file", "file", "sub"]


def test_copy_follows_a_link_that_is_its_source(tree, tmp_path):
    """The target of a link is copied, under the name of the link."""
    file_operations.copy(tree / "link", tmp_path, into_directory=True)
    assert not (tmp_path / "link").is_symlink()
    assert file_operations.read(tmp_path / "link").startswith("one")


def test_copy_replaces_a_read_only_file(tree, tmp_path):
    """A file in the way is replaced, whatever its mode; a link in the way is not followed."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "there").symlink_to("precious")
    file_operations.copy(tree / "tool", tmp_path / "there")
    assert file_operations.read(tmp_path / "precious") == "precious"
    assert not (tmp_path / "there").is_symlink()


@pytest.mark.parametrize("verb", [file_operations.copy, file_operations.move])
def test_nothing_is_copied_or_moved_into_itself(verb, tree):
    """Neither a file onto itself nor a tree below itself, by any name; nothing is lost."""
    (tree.parent / "again").symlink_to("tree")
    for source, target in [
        (tree, tree / "sub/new"),
        (tree, tree),
        (tree / "tool", tree / "tool"),
        (tree / "tool", tree.parent / "again/tool"),
        (tree / "link", tree / "sub/file.txt"),
        (tree.parent / "again", tree / "sub"),
    ]:
        with pytest.raises(EnvyError, match="cannot copy or move"):
            verb(source, target)
    assert file_operations.read(tree / "sub/file.txt") == "one\ntwo\nthree\n"


@pytest.mark.parametrize("verb", [file_operations.copy, file_operations.move])
def test_a_missing_source_is_named(verb, tmp_path):
    """The error names the missing source and gives a hint."""
    with pytest.raises(EnvyError, match="gone: No such file or directory\n  hint: check the sp"):
        verb(tmp_path / "gone", tmp_path / "x")


def test_copy_of_a_pipe_is_an_error_and_does_not_hang(tmp_path):
    """A special file cannot be copied, alone or in a tree."""
    (tmp_path / "tree").mkdir()
    os.mkfifo(tmp_path / "tree/pipe")
    for source in (tmp_path / "tree/pipe", tmp_path / "tree"):
        with pytest.raises(EnvyError, match="pipe"):
            file_operations.copy(source, tmp_path / "copy")


def test_move_leaves_nothing_behind(tree, tmp_path):
    """A moved tree exists at the destination and no longer at the source."""
    file_operations.move(tree, tmp_path / "new/place")
    assert not tree.exists()
    assert (tmp_path / "new/place/sub/file.txt").is_file()


def test_move_takes_a_link_as_a_link(tree, tmp_path):
    """The link is moved, not its target."""
    file_operations.move(tree / "link", tmp_path / "moved")
    assert (tmp_path / "moved").readlink() == Path("sub/file.txt")


def test_move_into_a_directory_where_the_name_is_taken_is_an_error(tree, tmp_path):
    """A directory with content is never replaced by a move."""
    (tmp_path / "to/tree/x").mkdir(parents=True)
    with pytest.raises(EnvyError, match="remove it first"):
        file_operations.move(tree, tmp_path / "to")


def _other_file_system(tmp_path: Path) -> bool:
    memory = Path("/dev/shm")
    return memory.is_dir() and memory.stat().st_dev != tmp_path.stat().st_dev


def test_move_crosses_file_systems(tree, tmp_path):
    """A move to another file system copies and then removes."""
    if not _other_file_system(tmp_path):
        pytest.skip("there is only one file system")
    place = Path("/dev/shm") / f"envy-test-{os.getpid()}"
    try:
        file_operations.move(tree, place)
        file_operations.move(place / "link", tmp_path / "link")
        assert not tree.exists()
        assert mode_of(place / "tool") == 0o755
        assert (tmp_path / "link").readlink() == Path("sub/file.txt")
        assert file_operations.ls(place) == ["sub", "tool"]
    finally:
        shutil.rmtree(place, ignore_errors=True)


def test_remove_takes_anything(tree):
    """Files, links and trees are removed; the target of a link stays."""
    assert file_operations.remove(tree / "link")
    assert (tree / "sub/file.txt").exists()
    assert file_operations.remove(tree / "tool")
    assert file_operations.remove(tree)
    assert not tree.exists()


def test_remove_of_a_missing_path_is_not_an_error(tmp_path):
    """A missing path is reported by the return value."""
    assert not file_operations.remove(tmp_path / "gone")


def test_remove_of_a_read_only_tree_works(tree):
    """Directories without write permission, as some tools leave them, can be removed."""
    (tree / "sub").chmod(0o500)
    assert file_operations.remove(tree)


def test_the_root_is_never_removed():
    """An empty variable in front of a slash does not destroy the machine."""
    with pytest.raises(EnvyError, match="root of the file system"):
        file_operations.remove(Path("/"))


def test_exists_looks_through_links(tree):
    """A broken link does not exist."""
    (tree / "dangling").symlink_to("nowhere")
    assert file_operations.exists(tree / "link")
    assert not file_operations.exists(tree / "dangling")


def test_mkdir_creates_parents_and_accepts_an_existing_directory(tmp_path):
    """Creating a directory twice is not an error."""
    file_operations.mkdir(tmp_path / "a/b")
    file_operations.mkdir(tmp_path / "a/b")
    assert (tmp_path / "a/b").is_dir()


def test_mkdir_over_a_file_is_an_error(tree):
    """A file is not taken for a directory."""
    with pytest.raises(EnvyError, match="remove it first"):
        file_operations.mkdir(tree / "tool")


def test_symlink_keeps_the_target_as_written_and_replaces_a_link(tmp_path):
    """A relative target stays relative; a link in the way is replaced."""
    file_operations.symlink("one", tmp_path / "a/link")
    file_operations.symlink("../two", tmp_path / "a/link")
    assert (tmp_path / "a/link").readlink() == Path("../two")


def test_symlink_does_not_replace_a_file(tree):
    """A file is never silently replaced by a link."""
    with pytest.raises(EnvyError, match="remove it first"):
        file_operations.symlink("x", tree / "tool")


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("755", 0o600, 0o755),
        ("0644", 0o777, 0o644),
        ("+x", 0o644, 0o755),
        ("u+x", 0o644, 0o744),
        ("go-rwx", 0o755, 0o700),
        ("u=rw,go=r", 0o777, 0o644),
        ("a+X", 0o644, 0o644),
        ("a+X", 0o744, 0o755),
        ("u=", 0o700, 0o000),
    ],
)
def test_a_mode_is_digits_or_letters(text, before, after):
    """Modes are written as for the chmod program."""
    assert file_operations.parse_mode(text, before) == after


@pytest.mark.parametrize("text", ["", "999", "77777", "x", "z+x", "u+q", "u+x,", "rwxr-xr-x"])
def test_an_invalid_mode_is_an_error(text):
    """An invalid mode is refused, not guessed."""
    with pytest.raises(EnvyError, match="not a file mode"):
        file_operations.parse_mode(text, 0o644)


def test_chmod_changes_the_file(tree):
    """The file gets the requested mode."""
    file_operations.chmod(tree / "sub/file.txt", "+x")
    assert mode_of(tree / "sub/file.txt") & 0o111 == 0o111


def test_what_is_written_is_read_back(tmp_path):
    """Text, and bytes that are not text, are read as they were written."""
    file_operations.write(tmp_path / "a/b", "grüße\r\n\udcff")
    assert (tmp_path / "a/b").read_bytes() == b"gr\xc3\xbc\xc3\x9fe\r\n\xff"
    assert file_operations.read(tmp_path / "a/b") == "grüße\r\n\udcff"


def test_writing_keeps_the_mode_and_leaves_other_names_alone(tmp_path):
    """A file that is replaced keeps its mode, and a hard link to it keeps the old content."""
    (tmp_path / "a").write_text("old")
    (tmp_path / "a").chmod(0o555)
    os.link(tmp_path / "a", tmp_path / "b")
    file_operations.write(tmp_path / "a", "new")
    assert (file_operations.read(tmp_path / "a"), file_operations.read(tmp_path / "b")) == (
        "new",
        "old",
    )
    assert mode_of(tmp_path / "a") == 0o555
    assert file_operations.ls(tmp_path) == ["a", "b"]


def test_writing_goes_through_a_link(tree):
    """Writing to a link changes its target."""
    file_operations.write(tree / "link", "x")
    assert (tree / "link").is_symlink()
    assert file_operations.read(tree / "sub/file.txt") == "x"


def test_writing_to_a_directory_is_an_error(tree):
    """A directory is not replaced by a file."""
    with pytest.raises(EnvyError, match="cannot write"):
        file_operations.write(tree / "sub", "x")


def test_reading_a_directory_is_an_error(tree):
    """The error names the directory."""
    with pytest.raises(EnvyError, match=r"cannot read .*sub"):
        file_operations.read(tree / "sub")


def test_glob_is_sorted_and_relative(tree):
    """Matches are sorted and relative to the directory; `**` matches directories."""
    (tree / ".hidden.txt").write_text("")
    assert file_operations.glob(tree, "*") == ["link", "sub", "tool"]
    assert file_operations.glob(tree, "**/*.txt") == ["sub/file.txt"]
    assert file_operations.glob(tree, "*.none") == []


def test_ls_lists_names(tree):
    """Names are sorted; what cannot be listed is an error."""
    assert file_operations.ls(tree) == ["link", "sub", "tool"]
    with pytest.raises(EnvyError, match="cannot list"):
        file_operations.ls(tree / "tool")


def test_replace_is_literal_and_counts(tree):
    """Every occurrence is replaced, with no pattern characters, and the mode is kept."""
    file_operations.write(tree / "tool", "a.b a.b axb")
    assert file_operations.replace(tree / "tool", "a.b", "%1") == 2
    assert file_operations.read(tree / "tool") == "%1 %1 axb"
    assert mode_of(tree / "tool") == 0o755


@pytest.mark.parametrize("old", ["four", ""])
def test_replace_fails_when_nothing_matches(tree, old):
    """A replacement without any effect is an error."""
    with pytest.raises(EnvyError, match=r"file\.txt"):
        file_operations.replace(tree / "sub/file.txt", old, "x")


def test_a_patch_is_applied(tree):
    """A unified diff changes the file and leaves no trace beside it."""
    apply_patch(tree, run=runner(), text="# a comment\n" + DIFF)
    assert file_operations.read(tree / "sub/file.txt") == "one\nzwei\nthree\n"
    assert file_operations.ls(tree / "sub") == ["file.txt"]


def test_a_patch_may_be_a_file_with_other_leading_directories(tree, tmp_path):
    """A file with a diff is applied with the requested number of leading directories dropped."""
    (tmp_path / "fix.patch").write_text(DIFF.replace("a/sub/", "").replace("b/sub/", ""))
    apply_patch(tree / "sub", run=runner(), file=tmp_path / "fix.patch", strip=0)
    assert "zwei" in file_operations.read(tree / "sub/file.txt")


def test_a_patch_at_other_lines_leaves_no_copy(tree):
    """A diff that applies with an offset leaves no backup in the package."""
    file_operations.write(tree / "sub/file.txt", "zero\n" * 5 + "one\ntwo\nthree\n")
    apply_patch(tree, run=runner(), text=DIFF)
    assert file_operations.ls(tree / "sub") == ["file.txt"]


@pytest.mark.parametrize("change", ["one\nthree\n", "one\nzwei\nthree\n"])
def test_a_patch_that_does_not_apply_says_so(tree, change):
    """A patch that does not fit, or is applied already, is an error with the output of patch."""
    file_operations.write(tree / "sub/file.txt", change)
    with pytest.raises(EnvyError, match="does not apply"):
        apply_patch(tree, run=runner(), text=DIFF)
    assert file_operations.read(tree / "sub/file.txt") == change


OTHER_CONTEXT = "other\ntwo\nthree\n"


def programs(tmp_path: Path) -> list[Any]:
    """Return one runner with the patch program, and one with git alone."""
    return [runner(), runner(path=without_patch(tmp_path))]


def test_a_patch_applies_without_fuzz_unless_allowed(tree, tmp_path):
    """A hunk with another line of context is an error that names `fuzz`, which permits it."""
    for run in programs(tmp_path):
        file_operations.write(tree / "sub/file.txt", OTHER_CONTEXT)
        with pytest.raises(EnvyError, match="does not apply") as caught:
            apply_patch(tree, run=run, text=DIFF)
        assert "fuzz = 1" in caught.value.hint
        assert file_operations.read(tree / "sub/file.txt") == OTHER_CONTEXT


def test_fuzz_is_a_number_of_lines_of_context(tree):
    """With `fuzz`, so many lines at the ends of a hunk may differ."""
    diff = "--- a/f\n+++ b/f\n@@ -1,5 +1,5 @@\n a\n b\n-c\n+x\n d\n e\n"
    file_operations.write(tree / "f", "other\nb\nc\nd\ne\n")
    with pytest.raises(EnvyError, match="does not apply"):
        apply_patch(tree, run=runner(), text=diff)
    assert apply_patch(tree, run=runner(), text=diff, fuzz=1) == "patch"
    assert file_operations.read(tree / "f") == "other\nb\nx\nd\ne\n"


def test_the_output_says_at_which_lines_a_patch_applied(tree, tmp_path):
    """The output of the program, which is logged, names the offset."""
    diff = DIFF.replace("-1,3 +1,3", "-3,3 +3,3")
    for run in programs(tmp_path):
        output = []

        def record(argv, cwd, run=run, output=output):
            completed = run(argv, cwd)
            output.append(completed.stdout + completed.stderr)
            return completed

        file_operations.write(tree / "sub/file.txt", "zero\n" * 5 + "one\ntwo\nthree\n")
        apply_patch(tree, run=record, text=diff)
        assert b"offset 3 lines" in output[-1]


def test_a_missing_patch_file_is_named(tree):
    """A missing patch is distinguished from a patch that does not apply."""
    with pytest.raises(EnvyError, match="cannot read the patch"):
        apply_patch(tree, run=runner(), file=tree / "gone.patch")


def without_patch(tmp_path: Path) -> str:
    place = tmp_path / "programs"
    place.mkdir()
    for name in ("git", "env"):
        (place / name).symlink_to(shutil.which(name))
    return str(place)


def test_git_applies_a_patch_if_patch_is_missing(tree, tmp_path):
    """Without the patch program git is used, even inside another repository."""
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    apply_patch(tree, run=runner(path=without_patch(tmp_path)), text=DIFF)
    assert "zwei" in file_operations.read(tree / "sub/file.txt")


def test_git_says_why_a_patch_does_not_apply(tree, tmp_path):
    """The message of git is shown like that of patch."""
    file_operations.write(tree / "sub/file.txt", "other\n")
    with pytest.raises(EnvyError, match="does not apply"):
        apply_patch(tree, run=runner(path=without_patch(tmp_path)), text=DIFF)


def test_a_binary_patch_is_applied_by_git(tmp_path):
    """A diff that only git understands is given to git."""
    before, after = tmp_path / "a", tmp_path / "b"
    for place, data in ((before, b"\0\1"), (after, b"\0\2")):
        place.mkdir()
        (place / "data").write_bytes(data)
    made = subprocess.run(
        ["git", "diff", "--no-index", "--binary", "a/data", "b/data"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    apply_patch(before, run=runner(), text=made.stdout.decode(), strip=2)
    assert (before / "data").read_bytes() == b"\0\2"
