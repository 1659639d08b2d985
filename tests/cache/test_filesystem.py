"""The file system operations of the cache."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import envy
from envy.cache.filesystem import REAL, explained

POSIX = pytest.mark.skipif(os.name != "posix", reason="permissions are of POSIX")


def test_remove_tree_does_not_follow_links(tmp_path):
    """A link is removed, never its target, also at the top of a tree."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").write_text("x")
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "link").symlink_to(kept)
    (tmp_path / "top").symlink_to(kept)
    REAL.remove_tree(str(tree))
    REAL.remove_tree(str(tmp_path / "top"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert (kept / "file").read_text() == "x"


def test_remove_tree_of_anything(tmp_path):
    """A file, or a missing path, can be removed as a tree."""
    (tmp_path / "file").write_text("x")
    REAL.remove_tree(str(tmp_path / "file"))
    REAL.remove_tree(str(tmp_path / "nothing"))
    assert list(tmp_path.iterdir()) == []


def test_remove_tree_deeper_than_any_path(tmp_path):
    """A chain of directories longer than any path is removed."""
    top = tmp_path / "top"
    top.mkdir()
    descriptor = os.open(top, os.O_RDONLY)
    for _ in range(900):
        os.mkdir("confdir3", dir_fd=descriptor)
        below = os.open("confdir3", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    REAL.remove_tree(str(top))
    assert not top.exists()


@POSIX
def test_remove_tree_of_read_only_directories(tmp_path_factory):
    """Read-only directories, such as those of module caches, are removed."""
    program = """if True:
        import os, sys, tempfile
        from pathlib import Path
        from envy.cache.filesystem import REAL
        with tempfile.TemporaryDirectory() as folder:
            if os.getuid() == 0:  # permissions do not apply to root
                os.chown(folder, 65534, 65534)
                os.setgid(65534)
                os.setuid(65534)
            top = Path(folder, "top")
            (top / "a/b").mkdir(parents=True)
            (top / "a/b/file").write_text("x")
            for path in (top / "a/b", top / "a", top):
                path.chmod(0o500)
            REAL.remove_tree(str(top))
            sys.exit(top.exists())
        """
    where = str(Path(envy.__file__).parents[1])
    subprocess.run([sys.executable, "-c", program], check=True, cwd=where)


def test_write_replaces(tmp_path):
    """Writing a file replaces a longer one completely."""
    path = tmp_path / "file"
    path.write_bytes(b"x" * 100)
    REAL.write_file(str(path), b"short")
    assert path.read_bytes() == b"short"


def test_flush_of_many_files(tmp_path):
    """Many files are flushed by several threads; a missing one is an error."""
    paths = [str(tmp_path / str(number)) for number in range(300)]
    for path in paths:
        REAL.write_file(path, b"x")
    REAL.flush(paths)
    Path(paths[211]).unlink()
    with pytest.raises(FileNotFoundError, match="211"):
        REAL.flush(paths)


def test_make_dir(tmp_path):
    """Parents are created, too; the result says whether the directory is new."""
    path = str(tmp_path / "a" / "b" / "c")
    assert REAL.make_dir(path)
    assert not REAL.make_dir(path)


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EDQUOT, "free some space"),
        (errno.EROFS, "--cache-root"),
        (errno.EACCES, "permissions"),
        (errno.EIO, "disk"),
        (errno.ENOTEMPTY, "still writing"),
    ],
)
def test_errors_say_what_to_do(number, hint):
    """An OSError becomes an error with the path and a remedy."""
    error = explained(OSError(number, os.strerror(number), "/c/x"), doing="do it", path="/c")
    assert str(error).startswith("cannot do it: /c/x: ")
    assert hint in error.hint
    assert error.path == Path("/c/x")
