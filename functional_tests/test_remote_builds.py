"""Scripts of recipes that a server runs, by the Remote Execution API."""

import contextlib
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

pytest.importorskip("grpc", reason="grpcio, of the extra remote, is missing")
pytest.importorskip("buildgrid.common", reason="buildgrid-common, of the extra remote, is missing")

from loopback.executing_server import ExecutingServer
from project import Project, tree

TOOL = """
install = [[mkdir bin lib
printf '#!/bin/sh\\necho "$1 made it" >"$2"\\n' >bin/maker
chmod +x bin/maker
ln -s ../bin/maker lib/link]]
exports = { path = { "bin" } }
"""
APP = """
dependencies = { { recipe = "local.tool@r1", source = "local.tool@r1.lua", use = "build" } }
fetch = { source = "src" }
host = { "mkdir", "chmod", "cp", "ln", "sleep" }
inputs = { "note.txt" }
%s
build = [[
echo "building in $PWD with ${SECRET:-nothing} in ${HOME##*/}"
maker app made.txt
test -x /usr/bin/env
mkdir -p sub empty
cp "$ENVY_RECIPE_DIR/note.txt" sub/
printf '#!/bin/sh\\necho run\\n' >sub/run
chmod +x sub/run
ln -s sub/run inner
ln -s /usr/share/misc/config.guess .guess
read -r old <src.txt
echo "$old too" >src.txt
]]
install = [[
cp -r "$ENVY_STAGE_DIR"/* .
echo "prefix=$ENVY_INSTALL_DIR" >app.pc
echo installing >&2
]]
"""
FAILS = """
remote = true
host = { "sleep" }
build = [[
echo before
sleep nonsense
echo after
]]
"""


@pytest.fixture(scope="module")
def sandbox():
    """Skip the test if bubblewrap is missing, or may not be used by this user."""
    words = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "true"]
    try:
        subprocess.run(words, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"bwrap, of the package bubblewrap, is missing or not allowed: {error}")


@pytest.fixture
def project(tmp_path):
    """A project and a cache whose paths a sandbox can have, too: not below /dev."""
    with contextlib.ExitStack() as closing:
        folder = tmp_path
        if tmp_path.is_relative_to("/dev"):
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="envy-builds-"))
        yield Project(Path(folder).resolve() / "project")


@pytest.fixture
def app(project):
    """A project with a package that two scripts make, with a tool and a fetched folder."""
    project.write("recipes/src/src.txt", "old\n")
    project.write("recipes/src/kept.txt", "kept\n")
    project.write("recipes/note.txt", "note\n")
    project.recipe("local.tool@r1", TOOL)
    project.recipe("local.app@r1", APP % "remote = true")
    project.packages("local.app@r1")
    return project


def forget(project):
    """Remove everything that was built, but not what a server has."""
    shutil.rmtree(project.cache, ignore_errors=True)


def record(run):
    """Return the fingerprint and the ingredients of the app."""
    entry = run.folder("local.app@r1").parent
    names = ("envy-fingerprint.blake3", "envy-ingredients.json")
    return entry.name, *((entry / name).read_text() for name in names)


def ran(run):
    """Return where the phases ran: the server's, and why others ran here."""
    return (
        [(row["phase"], row["cached"]) for row in run.named("script_executed")],
        {row["reason"] for row in run.named("script_kept_here")},
    )


@pytest.mark.network
def test_builds_in_a_sandbox(app, executor):
    """The entry of a build on a server is that of a build here, and failures read the same."""
    here = app.envy("sync")
    forms = tree(here.folder("local.app@r1"))
    assert forms["src.txt"] == "old too\n"
    assert forms["inner"] == "-> sub/run"
    assert ran(here) == ([], set())
    forget(app)
    words = ("sync", "--remote", executor, "--remote-read-only", "--remote-exec")
    there = app.envy(*words, env={"SECRET": "of-this-user"})
    assert ran(there) == ([("build", False), ("install", False)], set())
    assert tree(there.folder("local.app@r1")) == forms
    assert record(there) == record(here)
    # No key of a project vouches for what a server has made.
    origin = there.folder("local.app@r1").parent / "envy-origin.json"
    assert executor in origin.read_text()
    assert (there.folder("local.app@r1") / "empty").is_dir()
    texts = {path.name: path.read_text() for path in app.cache.rglob("logs/local.app@r1/*/*/*.log")}
    assert "/work/stage with nothing in tmp\n" in texts["build.log"]
    assert "\ninstalling\n" in texts["install.log"]
    assert f"[debug] build ran on {executor}" in texts["build.log"]
    assert app.envy("cache", "verify").code == 0
    forget(app)
    assert ran(app.envy(*words)) == ([("build", True), ("install", True)], set())
    # A longer root, and one that is padded.
    forget(app)
    app.recipe("local.app@r1", APP % 'remote = true\nrelocate = "padded"')
    there = app.envy(*words)
    assert ran(there) == ([("build", False), ("install", False)], set())
    forget(app)
    assert record(app.envy("sync")) == record(there)
    assert list(app.cache.glob("assets/*/*/envy-origin.json")) == []
    app.packages("local.bad@r1")
    app.recipe("local.bad@r1", FAILS)
    texts = [app.envy(*some, code=1).err for some in (words[:1], words)]
    for text in texts:
        assert "local.bad@r1: build failed" in text
        assert "recipes/local.bad@r1.lua:5: line 2 of the script exited 1: sleep nonsense" in text
        assert "\n    before\n    sleep: invalid time interval" in text
        assert "log: " in text
    assert f"it ran on {executor}" in texts[1]
    assert "it ran on" not in texts[0]
    assert not app.held_locks()


def test_what_runs_here(project):
    """Functions, variables of this machine and user-managed packages keep a phase here."""
    project.recipe(
        "local.fn@r1",
        'remote = true\nbuild = function(ctx) ctx.write("x", "1") end\n'
        'host = { "cp" }\ninstall = "cp $ENVY_STAGE_DIR/x ."',
    )
    project.recipe("local.env@r1", 'remote = true\npass_env = { "LANG" }\ninstall = "touch x"')
    project.recipe("local.sec@r1", 'remote = true\nsecret_env = { "KEY" }\ninstall = "touch x"')
    project.recipe("local.man@r1", 'check = "true"\ninstall = "true"')
    project.recipe(
        "local.dep@r1",
        'remote = true\ninstall = "touch x"\n'
        'dependencies = { { recipe = "local.man@r1", source = "local.man@r1.lua" } }',
    )
    project.recipe("local.wri@r1", 'writable = true\ninstall = "touch x"')
    project.recipe(
        "local.use@r1",
        'remote = true\ninstall = "touch x"\n'
        'dependencies = { { recipe = "local.wri@r1", source = "local.wri@r1.lua" } }',
    )
    project.recipe(
        "local.url@r1",
        "remote = true\ninstall = "
        '"touch x # https://me:hunter22@example.org/" .. string.rep("#", 100001)',
    )
    names = ["fn", "env", "sec", "dep", "use", "url"]
    project.packages(*(f"local.{name}@r1" for name in names))
    plan = project.envy("plan").out
    assert "on the server, with --remote-exec: install" in plan
    reasons = {
        "build runs here: `build` is a function, and only scripts run on a server",
        *(
            f"install runs here: it has `{name}`, and variables of this machine are not sent to a "
            "server"
            for name in ("pass_env", "secret_env")
        ),
        "install runs here: it depends on local.wri@r1, whose files may change",
        "install runs here: it depends on local.man@r1, which is installed on this machine only",
    }
    assert all(reason in plan for reason in reasons)
    assert "with --remote-exec, the server runs its install" in project.envy("why", "fn").out
    with ExecutingServer() as server:
        # It does not make the input root the root of all paths.
        words = ("--remote", server.url, "--remote-read-only", "--remote-exec")
        run = project.envy("sync", *words)
        whys = {
            f"{row['phase']} runs here: {row['reason']}" for row in run.named("script_kept_here")
        }
        # A script that is too long for an argument would be a file.
        reasons.add("install runs here: a secret that envy knows is in its script or its variables")
        assert whys >= reasons
        [other] = whys - reasons
        assert all(b"hunter22" not in blob for blob in server.blobs.values())
        assert "did not start the script: it does not make the input root the root" in other
        assert "warning" not in run.err
        assert server.calls.count("Execute") == 1
    refused = project.envy("sync", "--remote-exec", code=2)
    assert "--remote-exec needs a server" in refused.err
    refused = project.envy("sync", *words, "--offline", code=2)
    assert "--offline uses none" in refused.err
    key = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3"
    project.manifest(f'packages = {{}}\ndepot_keys = {{ "{key}" }}')
    refused = project.envy("sync", *words, code=2)
    assert "add --remote-unsigned if this server is to be believed" in refused.err
    assert project.envy("sync", *words, "--remote-unsigned").code == 0


def test_hostile_and_failing_servers(app, sandbox):
    """Whatever a server sends, the entry is that of a build here; Ctrl-C ends what it executes."""
    expected = record(app.envy("sync"))

    def link(_path, found):
        found.root.symlinks.add(name="zz", target="/etc/passwd")

    def lose(_path, found):
        for node in found.root.files:
            node.digest.hash = "0" * 64

    for change, reason in ((link, "which leads elsewhere"), (lose, "does not have the blob")):
        forget(app)
        with ExecutingServer(rooted=True, change=change) as server:
            words = ("sync", "--remote", server.url, "--remote-read-only", "--remote-exec")
            run = app.envy(*words)
        _executed, reasons = ran(run)
        assert reasons
        assert all(reason in why for why in reasons), (reason, reasons)
        assert record(run) == expected
        assert "warning" not in run.err
    forget(app)
    run = app.envy(*words)  # nobody is there any more
    assert record(run) == expected
    assert run.err.count("warning:") == 1, run.err
    forget(app)
    app.recipe("local.app@r1", 'remote = true\nhost = { "sleep" }\ninstall = "sleep 600"')
    with ExecutingServer(rooted=True) as server:
        words = ("sync", "--remote", server.url, "--remote-read-only", "--remote-exec")
        process = app.popen(*words)
        assert server.started.wait(300)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 130, (out, err)
        assert list(server.operations.values())[-1].ended.wait(300)
    assert not app.held_locks()
    assert app.markers() == []


def test_scripts_at_once(project, sandbox):
    """Scripts on a server take no slot: with --jobs 1, as many as --remote-jobs run at once."""
    names = [f"local.p{number}@r1" for number in range(3)]
    for name in names:
        project.recipe(name, 'remote = true\ninstall = "echo $PWD >x"')
    project.packages(*names)
    with ExecutingServer(rooted=True) as server:
        server.meeting = threading.Barrier(3, timeout=300)
        words = ("sync", "--remote", server.url, "--remote-read-only", "--remote-exec")
        run = project.envy(*words, "--jobs", "1", "--remote-jobs", "3")
        assert ran(run) == ([("install", False)] * 3, set())
    assert {len(tree(run.folder(name))) for name in names} == {1}
