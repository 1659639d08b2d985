"""`envy shell`: a shell in the place of a phase of a package."""

import os
import pty
import re
import subprocess
import threading

import pytest
from project import Outcome, envy_command

FAILS = """
dependencies = { { recipe = "local.tool@r1", use = "build" } }
stage = "echo staged > staged"
build = [[
touch half
[ -e fixed ]
]]
install = "cp $ENVY_STAGE_DIR/half ."
"""
TOOL = """
install = "touch tool"
exports = { env = { TOOL_HOME = "{{asset}}" } }
"""


@pytest.fixture
def failing(project):
    """A project whose package local.one@r1 fails in its build."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", FAILS)
    project.recipe("local.tool@r1", TOOL)
    return project


def in_terminal(project, *words, typed="", script=None, code=0, **variables):
    """Run envy on a terminal, with the shell `script`; return how it ended, all output as `out`."""
    if script is not None:
        shell = project.write("look.sh", f"#!/bin/sh\n{script}\n", mode=0o755)
        variables["SHELL"] = str(shell)
    master, slave = pty.openpty()
    os.write(master, typed.encode())
    process = subprocess.Popen(
        [envy_command(), *words],
        cwd=project.root,
        env=project.environment(variables),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    chunks = []

    def read():
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the last process has closed the terminal
                return
            if not chunk:
                return
            chunks.append(chunk)

    reader = threading.Thread(target=read)
    reader.start()
    process.wait(timeout=300)
    reader.join()
    os.close(master)
    text = b"".join(chunks).decode("utf-8", "replace").replace("\r\n", "\n")
    assert process.returncode == code, text
    return Outcome(process.returncode, text, "")


def entry_of(project, identity):
    [entry] = [entry for name, entry in project.entries() if name == identity]
    return entry


def test_a_shell_in_a_failed_attempt(failing):
    """It opens where the build failed, with its files, its variables and its script."""
    failing.envy("sync", code=1)
    entry = entry_of(failing, "local.one@r1")
    (entry / "work/stage/mine").touch()
    seen = failing.root / "seen"
    run = in_terminal(
        failing,
        *("shell", "one"),
        script=f'{{ pwd; ls; echo "$TOOL_HOME"; echo "$TMPDIR"; cat ../build.sh; }} > {seen}',
        SECRET_OF_THE_USER="x",
    )
    tool = entry_of(failing, "local.tool@r1")
    assert seen.read_text() == (
        f"{entry}/work/stage\nhalf\nmine\nstaged\n{tool}/asset\n{entry}/work/tmp\n"
        "touch half\n[ -e fixed ]\n"
    )
    told = re.sub(r"\s+", "", run.out)  # a terminal breaks lines
    assert f"bash-e-opipefail{entry}/work/build.sh" in told
    assert "nothing of local.one@r1 was published" in run.out
    assert failing.markers() == ["local.tool@r1"]


def test_the_variables_are_those_of_the_phase(failing):
    """A shell has the same variables as the script of the phase, and no others."""
    listed = failing.root / "listed"
    command = f"env | sed 's/=.*//' | sort > {listed}"
    failing.recipe("local.one@r1", FAILS.replace("touch half", command))
    failing.envy("sync", code=1)
    in_script = listed.read_text()
    in_terminal(failing, "shell", "one", script=command)
    own = {"_", "SHLVL", "OLDPWD", "PWD"}  # of the shells themselves

    def names(text):
        return {
            name
            for name in text.split()
            if name not in own and not re.match(r"ENVY_(ATTEMPT|PROGRAM)_", name)
        }

    assert names(listed.read_text()) == names(in_script)


def test_a_fresh_attempt(failing):
    """Without a failed attempt, the phases before run, with what they need; none is published."""
    seen = failing.root / "seen"
    in_terminal(failing, "shell", "one", script=f"ls > {seen}")
    assert seen.read_text() == "staged\n"
    assert failing.markers() == ["local.tool@r1"]
    failing.recipe("local.one@r1", FAILS.replace("[ -e fixed ]", "true"))
    in_terminal(failing, *("shell", "one", "--phase", "install"), script=f"pwd > {seen}")
    assert seen.read_text().endswith("/asset\n")
    assert failing.markers() == ["local.tool@r1"]
    failing.envy("sync")
    assert failing.markers() == ["local.one@r1", "local.tool@r1"]


def test_a_fresh_attempt_is_entered_again(failing):
    """What was done in a shell is still there in the next one; a sync starts over."""
    seen = failing.root / "seen"
    in_terminal(failing, "shell", "one", script="touch mine")
    in_terminal(failing, "shell", "one", script=f"ls > {seen}")
    assert seen.read_text() == "mine\nstaged\n"
    failing.envy("sync", code=1)
    in_terminal(failing, "shell", "one", script=f"ls > {seen}")
    assert seen.read_text() == "half\nstaged\n"


def test_fresh_leaves_a_failed_attempt(failing):
    """With --fresh, or for another phase, a failed attempt is not used."""
    failing.envy("sync", code=1)
    seen = failing.root / "seen"
    for words in (["--fresh"], ["--phase", "stage"]):
        (entry_of(failing, "local.one@r1") / "work/stage/mine").touch()
        in_terminal(failing, "shell", "one", *words, script=f"ls > {seen}")
        assert "mine" not in seen.read_text()
        failing.envy("sync", code=1)


def test_nothing_else_works_on_the_package(failing):
    """The lock of the entry is held: an envy inside says that its wait would never end."""
    failing.envy("sync", code=1)
    words = f"{envy_command()} --cache-root {failing.cache} sync"
    seen = failing.root / "seen"
    in_terminal(failing, "shell", "one", script=f"cd {failing.root}; {words} > {seen} 2>&1")
    assert "this wait would never end" in seen.read_text()
    assert "envy shell one" in seen.read_text()


@pytest.mark.needs("bash")
def test_a_real_shell_and_what_it_ends_with(failing):
    """Commands that are typed run in the folder; how the shell ends is not the exit code."""
    failing.envy("sync", code=1)
    in_terminal(failing, "shell", "one", typed="touch typed\nexit 3\n", SHELL="")
    assert (entry_of(failing, "local.one@r1") / "work/stage/typed").exists()


def test_a_phase_before_fails(failing):
    """A fresh attempt that fails before the phase is reported as a sync reports it."""
    run = in_terminal(failing, "shell", "one", "--phase", "install", script="true", code=1)
    assert "local.one@r1: build failed" in run.out
    assert "published" not in run.out


def test_a_phase_that_is_a_function(project):
    """There is no script then: the place of the function is printed."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'build = function(ctx) end\ninstall = "touch x"')
    run = in_terminal(project, "shell", "one", script="true")
    assert "script: none, build is a function: recipes/local.one@r1.lua:2" in run.out


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["nothing"], "nothing", ""),
        (["sys"], "local.sys@r1 is user-managed", "run the commands of its `install` yourself"),
        (["one", "--phase", "build"], "has no `build`", "its phases with one are: install"),
        (["data"], "has no `stage`, `build` or `install`", "there is nothing to look into"),
        (["ready"], "local.ready@r1 is installed", "envy cache rm local.ready@r1"),
        (["one"], "envy shell needs a terminal, and there is none", "run it from a terminal"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_where_no_shell_opens(project, words, error, hint):
    """Each has an error that says why, and nothing is begun."""
    project.packages("local.one@r1", "local.sys@r1", "local.data@r1", "local.ready@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    project.recipe("local.ready@r1", 'install = "touch x"')
    project.recipe("local.sys@r1", 'check = "false"\ninstall = "true"')
    project.recipe("local.data@r1", 'fetch = "data.txt"')
    project.write("recipes/data.txt", "")
    project.envy("sync", "ready")
    run = project.envy("shell", *words, code=1)
    assert error in run.err
    assert hint in run.err
    assert project.markers() == ["local.ready@r1"]
    assert len(project.entries()) == 1


def test_no_shell_is_found(project, tmp_path):
    """Without SHELL, bash and sh there is an error, before anything is begun."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", 'install = "touch x"')
    run = in_terminal(project, "shell", "one", code=1, SHELL="/no/shell", PATH=str(tmp_path))
    assert "no shell was found" in run.out
    assert project.entries() == []
