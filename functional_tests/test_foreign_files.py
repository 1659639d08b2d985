"""Objects in the cache that envy did not create, at paths that envy uses."""

import os
import shutil
from pathlib import Path

import pytest

HELLO = 'install = "echo hello > hello"'


@pytest.fixture
def hello(project):
    """A project with one package, installed."""
    project.packages("local.hello@r1")
    project.recipe("local.hello@r1", HELLO)
    project.envy("sync", trace=False)
    return project


def entry_of(project):
    ((_, entry),) = project.entries()
    return entry


def lock_of(project):
    (lock,) = project.cache.glob("locks/local.hello*.lock")
    return lock


def a_file(path):
    path.write_text("a file")


def a_folder(path):
    (path / "in it").mkdir(parents=True)


def a_link(path):
    elsewhere = path.parents[-3] / "nowhere" / "at all"
    path.symlink_to(elsewhere)


def a_pipe(path):
    os.mkfifo(path)


def put(path, make):
    """Replace a file or a folder by something else."""
    if path.is_dir() and not path.is_symlink():
        for folder in [path, *filter(Path.is_dir, path.rglob("*"))]:
            folder.chmod(0o755)
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    make(path)


def remake(project):
    """Make the package incomplete, so that it is rebuilt in the same entry."""
    shutil.rmtree(entry_of(project) / "fetch", ignore_errors=True)
    (entry_of(project) / "envy-complete").unlink(missing_ok=True)


@pytest.mark.parametrize("make", [a_file, a_folder, a_link, a_pipe])
def test_instead_of_a_marker(hello, make):
    """Without a valid marker the package is rebuilt, and no command ends with a traceback."""
    put(entry_of(hello) / "envy-complete", make)
    for words in (("cache",), ("cache", "gc"), ("cache", "verify"), ("why-rebuild", "hello")):
        assert "Traceback" not in hello.envy(*words, timeout=300).err
    assert "1 installed" in hello.envy("sync", timeout=300).err
    assert "0 damaged" in hello.envy("cache", "verify").out


@pytest.mark.parametrize("make", [a_folder, a_link, a_pipe])
@pytest.mark.parametrize(
    "name",
    ["envy-complete.new", "envy-fingerprint.blake3", "envy-ingredients.json", "envy-deployed"],
)
def test_instead_of_other_files_of_an_entry(hello, make, name):
    """A rebuild replaces whatever is at the paths of these files."""
    hello.recipe("local.hello@r1", f"{HELLO}\ndeploy = function() end")
    hello.envy("sync", trace=False)
    for _, entry in hello.entries():
        (entry / "envy-complete").unlink()
        put(entry / name, make)
    assert "1 installed" in hello.envy("sync", timeout=300).err
    assert "0 damaged" in hello.envy("cache", "verify").out


@pytest.mark.parametrize("name", ["asset", "fetch", "work"])
def test_links_instead_of_folders_of_an_entry(hello, tmp_path, name):
    """Files behind a link are not touched."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "own").write_text("own")
    put(entry_of(hello) / name, lambda path: path.symlink_to(elsewhere))
    remake(hello)
    assert "1 installed" in hello.envy("sync").err
    assert [path.name for path in elsewhere.iterdir()] == ["own"]


@pytest.mark.parametrize("make", [a_folder, a_link, a_pipe])
def test_instead_of_a_lock(hello, make):
    """The error names the path and has a remedy, and envy does not wait."""
    remake(hello)
    put(lock_of(hello), make)
    err = hello.envy("sync", code=1, timeout=300).err
    assert f"cannot take a lock in the cache: {lock_of(hello)}: " in err
    assert "move it away" in err
    lock = lock_of(hello)
    shutil.rmtree(lock) if lock.is_dir() else lock.unlink()
    assert "1 installed" in hello.envy("sync").err


@pytest.mark.parametrize("make", [a_file, a_link])
@pytest.mark.parametrize("name", ["resolved", "projects", "leases", "recipes"])
def test_instead_of_optional_folders(hello, make, name):
    """Without these folders, commands succeed and store nothing there."""
    remake(hello)
    put(hello.cache / name, make)
    assert "1 installed" in hello.envy("sync").err
    assert hello.envy("asset", "hello").out.endswith("/asset\n")
    hello.envy("cache", "gc")


@pytest.mark.parametrize("make", [a_file, a_link])
@pytest.mark.parametrize("name", ["assets", "locks", "logs", "trash"])
def test_instead_of_required_folders(hello, make, name):
    """The error names the path and has a remedy, after which commands succeed."""
    put(hello.cache / name, make)
    hello.recipe("local.hello@r1", 'install = "echo other > hello"')
    words = ("cache", "gc") if name == "trash" else ("sync",)
    err = hello.envy(*words, code=1).err
    assert f"{hello.cache / name}" in err
    assert "move it away" in err
    assert "Traceback" not in err
    (hello.cache / name).unlink()
    assert "1 installed" in hello.envy("sync").err
    hello.envy("cache", "gc")


def test_a_trash_that_is_a_link(hello, tmp_path):
    """gc deletes nothing behind a link at the path of the trash."""
    (tmp_path / "own").write_text("own")
    (hello.cache / "trash").symlink_to(tmp_path)
    assert "move it away" in hello.envy("cache", "gc", code=1).err
    assert (tmp_path / "own").read_text() == "own"


def test_logs_that_are_a_link(hello, tmp_path):
    """A sync deletes no old logs behind a link."""
    own = tmp_path / "own"
    for number in range(9):
        (own / str(number)).mkdir(parents=True)
    (logs,) = hello.cache.glob("logs/*/*") or [None]
    shutil.rmtree(logs)
    logs.symlink_to(own)
    remake(hello)
    hello.envy("sync")
    assert {str(number) for number in range(9)} <= {path.name for path in own.iterdir()}
