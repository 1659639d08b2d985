"""The user and the variables that envy starts with: another Python, no home, no right to write."""

import os
import shutil
import subprocess

import pytest
from project import envy_command

TOOLS = """
install = function(ctx)
  ctx.write("bin/cc-14", "#!/bin/sh\\necho cc\\n")
  ctx.chmod("bin/cc-14", "755")
end
products = { ["my-cc"] = "bin/cc-14" }
"""
USER_MANAGED = 'check = "echo checked"\ninstall = "true"'


@pytest.fixture
def tools(project):
    """A product whose file has another name, and a user-managed package; both installed."""
    project.packages("local.tools@r1", "local.managed@r1")
    project.recipe("local.tools@r1", TOOLS)
    project.recipe("local.managed@r1", USER_MANAGED)
    project.envy("sync", "--yes")
    return project


# -- a cache that may only be read ----------------------------------------------------------------


@pytest.fixture
def locked(tools, tmp_path):
    """The same, with a cache that nobody may write to; TMPDIR is a folder of the test."""
    shutil.rmtree(tools.cache / "shims", ignore_errors=True)
    folders = [tools.cache, *(path for path in tools.cache.rglob("*") if not path.is_symlink())]
    modes = {path: path.stat().st_mode for path in folders}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    (tmp_path / "tmp").mkdir()
    yield tools
    for path, mode in modes.items():
        path.chmod(mode)


def test_run_in_a_cache_that_may_only_be_read(locked, unprivileged, tmp_path):
    """The names of products are in a folder of the user, which later runs use again."""
    env = {"TMPDIR": str(tmp_path / "tmp")}
    for _ in range(2):
        run = locked.envy("run", "my-cc", under=unprivileged, trace=False, env=env)
        assert (run.out, run.err) == ("cc\n", "")
    [folder] = (tmp_path / "tmp").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    assert len(list(folder.iterdir())) == 1
    assert not (locked.cache / "shims").exists()
    sync = locked.envy("sync", under=unprivileged, trace=False, env=env)
    assert "0 failed" in sync.err


def test_a_folder_of_somebody_else_is_not_used(locked, unprivileged, tmp_path):
    """Others could put programs of their own into a folder that they may write to."""
    taken = tmp_path / "tmp" / f"envy-shims-{os.getuid()}"
    taken.mkdir()
    taken.chmod(0o777)
    env = {"TMPDIR": str(tmp_path / "tmp")}
    assert locked.envy("run", "my-cc", under=unprivileged, trace=False, env=env).out == "cc\n"
    assert list(taken.iterdir()) == []


def test_a_read_only_mount(tools, tmp_path):
    """The same on a file system that is mounted read-only, where root cannot write either."""
    if shutil.which("unshare") is None or os.geteuid() != 0:
        pytest.skip("nothing can be mounted here")
    shutil.rmtree(tools.cache / "shims", ignore_errors=True)
    (tmp_path / "tmp").mkdir()
    cache = tools.cache
    script = f'mount --bind {cache} {cache} && mount -o remount,ro,bind {cache} && exec "$@"'
    under = ("unshare", "--mount", "sh", "-c", script, "sh")
    if subprocess.run([*under, "true"], check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    env = {"TMPDIR": str(tmp_path / "tmp")}
    assert tools.envy("run", "my-cc", under=under, trace=False, env=env).out == "cc\n"
    assert "0 failed" in tools.envy("sync", under=under, trace=False, env=env).err


# -- PYTHONPATH of another Python -----------------------------------------------------------------


def test_envy_uses_no_modules_of_python_path(project, tmp_path):
    """Modules of another Python there do not matter; programs get the variable unchanged."""
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    for name in ("click", "blake3", "lupa", "json", "glob", "platformdirs", "dataclasses"):
        (foreign / f"{name}.py").write_text("raise SyntaxError('of another Python')\n")
    env = {"PYTHONPATH": f"{foreign}{os.pathsep}relative"}
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'fetch = function(ctx) ctx.run("env") end\ninstall = "touch x"')
    run = project.envy("sync", env=env)
    [log] = project.cache.glob("logs/local.one@r1/*/*/fetch.log")
    assert f"PYTHONPATH={env['PYTHONPATH']}\n" in log.read_text()
    assert project.envy("asset", "one", env=env, trace=False).out
    said = project.envy("run", "env", env=env, trace=False).out
    assert f"PYTHONPATH={env['PYTHONPATH']}\n" in said
    assert run.named("recipe_complete", outcome="installed")


# -- no home --------------------------------------------------------------------------------------


@pytest.fixture
def nobody():
    """A command prefix: a user without an entry in the password database, and without HOME."""
    powers = "+dac_read_search,+dac_override"  # envy itself may be in root's own folder
    words = ("setpriv", "--reuid=54321", "--regid=54321", "--clear-groups")
    words += (f"--inh-caps={powers}", f"--ambient-caps={powers}", "env", "-u", "HOME")
    words += ("-u", "XDG_CACHE_HOME")
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("needs root and setpriv, to be a user that nobody knows")
    if subprocess.run([*words, "true"], check=False, capture_output=True).returncode:
        pytest.skip("cannot be another user here")
    return words


COMMANDS = [
    *(("sync",), ("asset", "one"), ("run", "true"), ("product",), ("plan",), ("graph",)),
    *(("why", "one"), ("why-rebuild", "one"), ("cache",), ("cache", "verify"), ("cache", "gc")),
]


def run_as(under, project, *words, **variables):
    environment = {**project.environment(), **variables}
    if not variables:
        del environment["ENVY_CACHE_ROOT"]
    return subprocess.run(
        [*under, envy_command(), *words],
        cwd=project.root,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_unknown_user_without_home(project, nobody):
    """Every command that needs the cache names the variables; with one of them, all work."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    for words in COMMANDS:
        run = run_as(nobody, project, *words)
        assert run.returncode == 1, words
        assert "error: HOME is not set to an absolute path" in run.stderr, words
        assert "ENVY_CACHE_ROOT" in run.stderr
        assert "Traceback" not in run.stderr
    for words in COMMANDS:
        run = run_as(nobody, project, *words, ENVY_CACHE_ROOT=str(project.cache))
        assert run.returncode == 0, (words, run.stderr)
    assert run_as(nobody, project, "--version").returncode == 0
