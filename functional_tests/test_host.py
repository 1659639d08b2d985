"""Programs of the machine (`host`): a sync notices each change, and asks as little as it can.

The programs are copies of real binaries, which print different versions.
"""

import os
import shutil
from pathlib import Path

import pytest
from test_warm import is_warm

ONE, OTHER = (Path(shutil.which(name) or "/none") for name in ("echo", "cat"))


def is_binary(path):
    return path.is_file() and not path.is_symlink() and path.read_bytes()[:4] == b"\x7fELF"


needs_binaries = pytest.mark.skipif(
    not (is_binary(ONE) and is_binary(OTHER)), reason="echo and cat are not plain binaries"
)


@pytest.fixture
def machine(project, tmp_path, monkeypatch):
    """A folder of programs that is first on PATH, and a project that uses `tool` of it."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'earlier'}:{folder}:{os.environ['PATH']}")
    (tmp_path / "earlier").mkdir()
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'host = { "tool" }\ninstall = "tool --version > version"')
    return folder


def place(path, binary, *, size=0):
    """Write a copy of a binary over a file, with zeros up to a size."""
    content = binary.read_bytes()
    path.write_bytes(content + bytes(max(0, size - len(content))))
    path.chmod(0o755)


def script(path, text):
    """Write a program that runs a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def synced(project, *words):
    """Sync; return the version that the package was built with."""
    project.envy("sync", *words, trace=False)
    folder = project.envy("asset", "one", trace=False).out.strip()
    return (Path(folder) / "version").read_text()


SIZE = 400_000


def upgrade_in_place(folder):
    place(folder / "tool", OTHER, size=SIZE)


def replace_by_another_file(folder):
    place(folder / "new", OTHER, size=SIZE)
    status = (folder / "tool").stat()
    os.utime(folder / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (folder / "new").replace(folder / "tool")


def put_earlier_on_path(folder):
    place(folder.parent / "earlier" / "tool", OTHER, size=SIZE)


@needs_binaries
@pytest.mark.parametrize("change", [upgrade_in_place, replace_by_another_file, put_earlier_on_path])
def test_a_sync_notices_another_binary(project, machine, change):
    """Until then, a sync is warm and starts nothing."""
    place(machine / "tool", ONE, size=SIZE)
    first = synced(project)
    assert is_warm(project, "sync")
    change(machine)
    assert not is_warm(project, "sync")
    assert is_warm(project, "asset", "one")  # a query answers from the last sync
    assert synced(project) != first
    assert is_warm(project, "sync")


@needs_binaries
@pytest.mark.parametrize("names", [("tool1.0", "tool2.0"), ("box", "crate")])
def test_a_sync_notices_a_link_that_was_turned(project, machine, names):
    """Be it a link to a version of the program, or to another program."""
    for name, binary in zip(names, (ONE, OTHER), strict=True):
        place(machine / name, binary)
    (machine / "tool").symlink_to(names[0])
    first = synced(project)
    assert is_warm(project, "sync")
    (machine / "tool").unlink()
    (machine / "tool").symlink_to(names[1])
    assert synced(project) != first


def test_a_sync_notices_what_a_wrapper_runs(project, machine):
    """A version manager's script stays as it is when another version is chosen."""
    (machine / "chosen").write_text("1.0")
    script(machine / "tool", f"cat {machine}/chosen")
    assert synced(project) == "1.0"
    assert is_warm(project, "sync")  # it was asked, and said the same
    (machine / "chosen").write_text("2.0")
    assert is_warm(project, "asset", "one")
    assert synced(project) == "2.0"


def test_a_sync_notices_what_a_link_to_a_wrapper_runs(project, machine):
    """As with ccache, whose name even begins with that of the compiler."""
    (machine / "chosen").write_text("1.0")
    script(machine / "toolcache", f"cat {machine}/chosen")
    (machine / "tool").symlink_to("toolcache")
    assert synced(project) == "1.0"
    (machine / "chosen").write_text("2.0")
    assert synced(project) == "2.0"


@needs_binaries
def test_a_sync_notices_two_names_for_one_program(project, machine):
    """Another name for the file of a program makes it one that is asked."""
    place(machine / "tool", ONE)
    first = synced(project)
    os.link(machine / "tool", machine / "other")
    assert synced(project) == first
    (machine / "tool").unlink()
    place(machine / "box", OTHER)
    os.link(machine / "box", machine / "tool")
    assert synced(project) != first


@needs_binaries
def test_the_host_can_be_asked(project, machine, tmp_path):
    """--ask-host asks a program that would be known by its file."""
    log = tmp_path / "log"
    script(machine / "head", f"echo x >> {log}; cat")
    project.recipe(
        "local.one@r1",
        'host = { tool = "tool --version", head = "tool --version | head" }\n'
        'install = "tool --version > version"',
    )
    place(machine / "tool", ONE)
    synced(project)
    assert len(log.read_text()) == 2
    synced(project)
    assert len(log.read_text()) == 4
    run = project.envy("sync", "--ask-host")
    assert len(log.read_text()) == 6
    assert run.named("recipe_complete", outcome="cached")


def test_a_program_that_is_gone_is_an_error_of_sync_only(project, machine):
    """A query answers from the last sync."""
    script(machine / "tool", "echo 1.0")
    folder = Path(project.envy("asset", "one", trace=False).out.strip())
    (machine / "tool").unlink()
    assert project.envy("asset", "one", trace=False).out.strip() == str(folder)
    assert "`host` names tool, which is not on the PATH" in project.envy("sync", code=1).err


def test_a_version_does_not_depend_on_the_language(project, machine):
    """Programs are asked in one language, so that two users have one key."""
    script(machine / "tool", "echo $LC_ALL $LANG")
    project.envy("sync")
    [folder] = (project.cache / "assets" / "local.one@r1").iterdir()
    ingredients = (folder / "envy-ingredients.json").read_text()
    assert f"{machine}/tool C" in ingredients


def test_all_programs_are_asked_at_once(project, machine):
    """Each of two programs waits until the other has started."""
    os.mkfifo(machine / "pipe")
    script(machine / "reader", f"cat {machine}/pipe")
    script(machine / "writer", f"echo met > {machine}/pipe; echo done")
    project.recipe("local.one@r1", 'host = { "reader" }\ninstall = "touch x"')
    project.recipe("local.two@r1", 'host = { "writer" }\ninstall = "touch x"')
    project.packages("local.one@r1", "local.two@r1")
    assert "2 installed" in project.envy("sync", "--jobs", "1", timeout=300).err
    assert "2 cached" in project.envy("sync", trace=False, timeout=300).err
