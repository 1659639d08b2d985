"""A cache that is reached by several paths is one cache."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from project import Project, is_running, tree

LIB = """
install = [[
  mkdir bin
  printf '#!/bin/sh\\necho lib in %s\\n' "$ENVY_INSTALL_DIR" > bin/tool
  chmod +x bin/tool
]]
products = { tool = "bin/tool", other = "bin/tool" }
exports = { env = { LIB = "{{asset}}" } }
"""
APP = """
dependencies = { "local.lib@r1" }
install = function(ctx)
  ctx.copy(ctx.asset("local.lib@r1") .. "/bin/tool", "copied")
  ctx.write("own", ctx.install_dir)
  ctx.symlink(ctx.asset("local.lib@r1"), "lib")
end
"""


@pytest.fixture(params=["link", "link in the middle", "two links"])
def spellings(request, tmp_path):
    """Two paths of one folder."""
    real = tmp_path / "real" / "inner"
    real.mkdir(parents=True)
    (tmp_path / "one").symlink_to("real/inner")
    (tmp_path / "above").symlink_to("real")
    return {
        "link": (real, tmp_path / "one"),
        "link in the middle": (real, tmp_path / "above/inner"),
        "two links": (tmp_path / "one", tmp_path / "above/inner"),
    }[request.param]


def pair(project, spellings, *, reverse=False):
    """Return the project as it sees the cache by each of its paths."""
    first, second = spellings[::-1] if reverse else spellings
    project.packages("local.lib@r1", "local.app@r1")
    project.recipe("local.lib@r1", LIB)
    project.recipe("local.app@r1", APP)
    return Project(project.root, first), Project(project.root, second)


def built(run):
    return [event["recipe"] for event in run.named("phase_start") if event["phase"] == "install"]


@pytest.mark.parametrize("reverse", [False, True])
def test_every_command_accepts_the_other_path(project, spellings, reverse):
    """Nothing is built again, rewritten or found damaged, whichever path came first."""
    one, two = pair(project, spellings, reverse=reverse)
    one.envy("sync")
    before = tree(one.cache / "assets")
    for each in (two, one, two):
        assert not built(each.envy("sync"))
        assert not built(each.envy("asset", "local.app@r1"))
    asset = Path(two.envy("asset", "local.lib@r1", trace=False).out.strip())
    assert asset.is_relative_to(two.cache)
    assert two.envy("product", "tool", trace=False).out.strip() == str(asset / "bin/tool")
    said = two.envy("run", "tool", trace=False).out
    assert said.startswith(f"lib in {one.cache}/assets/")
    assert two.envy("run", "other", trace=False).out == said
    two.envy("cache", "verify", trace=False)
    assert two.envy("plan", trace=False).out == one.envy("plan", trace=False).out
    two.envy("cache", "gc", "--only-current", "--unused-for", "0m", trace=False)
    assert tree(one.cache / "assets") == before


def test_a_package_is_built_with_what_the_other_path_made(project, spellings):
    """What it takes over from a package is found in it, in the other spelling too."""
    one, two = pair(project, spellings)
    project.packages("local.lib@r1")
    one.envy("sync")
    project.packages("local.lib@r1", "local.app@r1")
    run = two.envy("sync")
    assert built(run) == ["local.app@r1"]
    rows = (run.folder("local.app@r1").parent / "envy-fingerprint.blake3").read_text()
    [copied] = [row for row in rows.splitlines()[1:] if '"copied"' in row]
    assert "local.lib@r1/" in copied
    assert not built(one.envy("sync"))


def test_a_build_path_in_the_other_spelling_is_refused(project, spellings):
    """A package must not contain the path of what is only there while it is built."""
    one, two = pair(project, spellings)
    project.packages("local.lib@r1")
    one.envy("sync")
    project.packages("local.app@r1")
    body = APP.replace('"local.lib@r1" }', '{ recipe = "local.lib@r1", use = "build" } }')
    project.recipe(
        "local.app@r1", body.replace('ctx.symlink(ctx.asset("local.lib@r1"), "lib")', "")
    )
    run = two.envy("sync", code=1)
    assert "copied contains the path of local.lib@r1" in run.err


def test_a_path_that_leads_to_another_cache_is_not_the_same(project, tmp_path):
    """When a link is set to a copy of the cache, or removed, its packages were moved."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    one, two = pair(project, (tmp_path / "link", tmp_path / "real"))
    one.envy("sync")
    assert not built(two.envy("sync"))
    (tmp_path / "link").unlink()
    for moved in (two, one):
        run = moved.envy("sync")
        assert not built(run)
        app, lib = run.folder("local.app@r1"), run.folder("local.lib@r1")
        assert (app / "own").read_text() == str(app)
        assert (app / "lib").readlink() == lib
        assert f"echo lib in {lib}\n" in (app / "copied").read_text()
        if moved is two:
            shutil.copytree(tmp_path / "real", tmp_path / "copy", symlinks=True)
            (tmp_path / "link").symlink_to("copy")


def test_a_shell_of_a_package_is_one_shell(project, spellings):
    """The path of a shell in the cache is in keys without the path of the cache."""
    one, two = pair(project, spellings)
    project.manifest(
        'packages = { "local.shell@r1", "local.app@r1" }\n'
        "default_shell = function(ctx)\n"
        '  return { inline = { ctx.asset("local.shell@r1") .. "/bin/sh", "-ec" } }\n'
        "end\n"
    )
    shell = "mkdir bin; printf '#!/bin/sh\\nexec /bin/sh \"$@\"\\n' > bin/sh; chmod +x bin/sh"
    project.recipe("local.shell@r1", f"install = [[{shell}]]")
    project.recipe("local.app@r1", 'install = "echo hello > hello"')
    one.envy("sync")
    assert not built(two.envy("sync"))


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc")
def test_what_a_killed_envy_left_is_found_by_the_other_path(project, spellings, tmp_path):
    """Processes are marked by the lock file itself, not by its path."""
    one, two = pair(project, spellings)
    project.packages("local.one@r1")
    note, again = tmp_path / "pid", tmp_path / "again"
    project.recipe(
        "local.one@r1",
        f"""install = [[
          if [ -e {again} ]; then touch done; exit; fi
          setsid sh -c 'echo $$ > {note}.new; mv {note}.new {note}; exec sleep 600' &
          mkfifo {tmp_path}/never; while [ ! -e {note} ]; do :; done; cat {tmp_path}/never
        ]]""",
    )
    process = one.popen("sync")
    while not note.exists():
        assert process.poll() is None, process.communicate()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    pid = int(note.read_text())
    assert is_running(pid)
    again.touch()
    two.envy("sync")
    assert not is_running(pid)


def can_mount():
    words = ["unshare", "--mount", "true"]
    return (
        shutil.which("unshare") is not None and subprocess.run(words, check=False).returncode == 0
    )


def test_a_bind_mount_is_the_same_cache(project, tmp_path):
    """A mount has no link that could be resolved: device and inode decide."""
    if not can_mount():
        pytest.skip("needs permission to mount")
    (tmp_path / "real").mkdir()
    (tmp_path / "mount").mkdir()
    one, two = pair(project, (tmp_path / "real", tmp_path / "mount"))
    one.envy("sync")
    script = f'mount --bind {one.cache} {two.cache} && exec "$@"'
    under = ("unshare", "--mount", "sh", "-c", script, "sh")
    for words in (("sync",), ("run", "tool"), ("cache", "verify"), ("asset", "local.app@r1")):
        run = two.envy(*words, under=under)
        assert not built(run)
