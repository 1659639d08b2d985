"""Scripts that fail, flood, hang, or leave something behind; and runs that are interrupted."""

import signal
import subprocess
import sys

import pytest
from mistakes import (
    ENDLESS,
    PROMPT,
    Interrupted,
    Mistakes,
    assert_clean,
    interrupt,
    left_running,
    one_fails,
)
from project import Project

SCRIPTS = [
    (
        'build = "echo one\\necho two >&2\\nexit 3"',
        "FILE:2: script exited 3: echo one …",
        "build.log (last 3 lines follow)\n    $ echo one …\n    one\n    two\n",
    ),
    ('build = "kill -9 $$"', "FILE:2: script was killed by signal 9: kill -9 $$", "build failed"),
    ('build = "kill -SEGV $$"', "FILE:2: script was killed by signal 11: kill -SEGV $$"),
    (
        'install = "echo begun; false; echo never"',
        "FILE:2: script exited 1: echo begun; false; echo never",
        "    begun\n",
    ),
    ('install = "false | true"', "FILE:2: script exited 1: false | true", "install.log"),
    (
        'install = "no-such-program"',
        "FILE:2: script exited 127: no-such-program",
        "no-such-program: command not found",
    ),
    (
        'install = function(ctx)\n  ctx.run("echo out; exit 7", { quiet = true })\nend',
        "FILE:3: script exited 7: echo out; exit 7",
        "    out\n",
    ),
    (
        'install = function(ctx)\n  ctx.run("echo slow; sleep 1000", { timeout = 2 })\nend',
        "FILE:3: script did not end within 2 s: echo slow; sleep 1000",
        "    slow\n",
    ),
    (
        (
            "install = function(ctx)\n"
            f"  ctx.run([[trap '' TERM; while true; do {ENDLESS}; done]], {{ timeout = 0.3 }})\nend"
        ),
        "FILE:3: script did not end within 0.3 s: trap '' TERM;",
    ),
    (
        'install = function(ctx)\n  ctx.run("cat", { interactive = true })\nend',
        "FILE:3: interactive = true needs a terminal, and there is none",
        "let the recipe ask nothing",
    ),
    (
        "install = \"printf '\\\\377\\\\376 caf\\\\351\\\\n'; exit 3\"",
        "FILE:2: script exited 3: printf",
        "    \ufffd\ufffd caf\ufffd\n",
    ),
    (
        "install = \"printf '\\\\033[2J\\\\033]0;title\\\\007'; exit 3\"",
        "FILE:2: script exited 3: printf",
        "    \\x1b[2J\\x1b]0;title\\x07\n",
    ),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """Run all of the scripts in one sync."""
    return Mistakes(Project(tmp_path_factory.mktemp("scripts") / "project"), SCRIPTS)


@pytest.mark.parametrize("number", range(len(SCRIPTS)))
def test_a_script_that_fails(scripts, number):
    """The error has the script's end, its line, the log's path, and the last lines of output."""
    scripts.check(number, *SCRIPTS[number][1:])


def test_failed_scripts_leave_nothing(scripts):
    """No marker, lock or process remains, even of scripts that ignore requests to end."""
    assert_clean(scripts.project, scripts.outcome.err)


def test_the_error_names_the_line_that_failed_and_the_folder(project):
    """A script of several lines: the line that failed, and where it ran."""
    outcome = one_fails(
        project,
        'install = "true"\nbuild = [[\necho building\n\ncp missing.txt x\necho never\n]]',
        "local.one@r1.lua:3: line 3 of the script exited 1: cp missing.txt x\n",
        "local.one@r1: build failed",
        where="recipes/local.one@r1.lua:3",
    )
    [stage] = project.cache.glob("assets/local.one@r1/*/*/stage")
    assert f"hint: it ran in {stage}\n" in outcome.err


def test_the_line_that_failed_is_masked(project):
    """A secret in the line that failed is not shown."""
    project.packages("local.one@r1")
    project.recipe(
        "local.one@r1",
        'secret_env = { "TOKEN" }\ninstall = "true\\ntest x = " .. os.getenv("TOKEN")',
    )
    err = project.envy("sync", code=1, env={"TOKEN": "hunter22"}).err
    assert "line 2 of the script exited 1: test x = ***" in err
    assert "hunter22" not in err


def test_a_shell_that_names_the_line_itself(project):
    """sh tells the line of a program that it does not find."""
    one_fails(
        project,
        "install = function(ctx)\n"
        '  ctx.run("true\\nno-such-program", { shell = ENVY_SHELL.SH })\nend',
        "local.one@r1.lua:3: line 2 of the script exited 127: no-such-program\n",
        where="recipes/local.one@r1.lua:3",
    )


def test_an_error_that_is_caught_quotes_the_output(project):
    """A caught error says how the command ended and quotes its last output."""
    outcome = project.sync_one(
        "install = function(ctx)\n"
        '  local ok, problem = pcall(ctx.run, "seq 20; exit 3")\n'
        '  ctx.write("problem", problem)\nend'
    )
    text = (outcome.folder("local.one@r1") / "problem").read_text()
    assert text == "script exited 3: seq 20; exit 3" + "".join(f"\n  | {n}" for n in range(11, 21))


def test_ten_megabytes_on_one_line(project):
    """The log contains all of them, and the terminal only a readable part."""
    outcome = one_fails(
        project,
        "install = \"head -c 10000000 /dev/zero | tr '\\\\0' x; exit 3\"",
        "script exited 3: head -c 10000000",
    )
    assert len(outcome.err) < 3000
    (log,) = project.cache.glob("logs/*/*/*/install.log")
    assert log.read_bytes().partition(b"\n")[2].count(b"x") == 10_000_000


def test_ten_megabytes_on_one_line_do_not_stop_a_build(project):
    """Output without a line end is not a failure."""
    project.make("install = \"head -c 10000000 /dev/zero | tr '\\\\0' x; echo > x\"")


def test_a_child_left_in_the_background_is_ended(project):
    """A script that leaves a process running neither blocks the sync nor leaves the process."""
    project.make(f'install = "{ENDLESS} & echo > x"')
    assert left_running(project) == []


def test_a_child_left_by_a_failing_script_is_ended(project):
    """The same holds if the script fails."""
    one_fails(project, f'install = "{ENDLESS} & exit 3"', "script exited 3")


def test_input_is_empty(project):
    """A script that reads input gets end of file and does not wait."""
    folder = project.make('install = "cat > said; echo end >> said"')
    assert (folder / "said").read_text() == "end\n"


def slow(project, script=f"echo begun; {ENDLESS}; echo > x"):
    """Write a package whose install reports that it has begun and then runs for long."""
    project.packages("local.one@r1")
    project.recipe("local.one@r1", f"install = [[{script}]]")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", ["sync", "asset one", "run true"])
def test_a_running_script_is_interrupted(project, number, words):
    """It ends with all its children, the code is 130, and no path is printed."""
    slow(project)
    ended = interrupt(project, *words.split(), once="local.one@r1 | begun", number=number)
    assert ended.out == b""
    assert f"{words.split()[0]} cancelled: 1 package, 0 failed, 1 not built" in ended.err
    assert "error" not in ended.err


def test_a_closed_terminal_ends_the_run(project):
    """Scripts have sessions of their own, and would not notice the hangup."""
    slow(project)
    interrupt(project, once="local.one@r1 | begun", number=signal.SIGHUP)


def test_a_run_in_the_background_ignores_interrupts(project):
    """A run that was started to ignore Ctrl-C, as shells start background jobs, ignores it."""
    slow(project, f"echo begun; test -e {project.root}/go || {ENDLESS}; echo > x")
    ended = Interrupted(
        project,
        "sync",
        once="local.one@r1 | begun",
        then=lambda process: process.terminate(),
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    # The first signal that it received was the second: it ended slowly.
    assert (ended.code, "1 not built" in ended.err) == (130, True)


EARLY = """
import os, signal, sys
class Interrupter:
    def find_spec(self, name, *_):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupter())
from envy.__main__ import main
main()
"""


def test_an_interrupt_before_there_is_anything_to_interrupt():
    """While envy is being imported, an interrupt ends it without a traceback."""
    ended = subprocess.run([sys.executable, "-c", EARLY], capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, b"")


def test_a_sync_after_an_interrupted_one_succeeds(project):
    """The next sync repeats the interrupted work."""
    slow(project, f"echo begun; test -e {project.root}/go || {ENDLESS}; echo > x")
    interrupt(project, once="local.one@r1 | begun")
    project.write("go", "")
    assert "1 installed" in project.envy("sync").err


def test_a_script_that_will_not_end_is_ended(project):
    """A script that ignores every request is killed with its children."""
    slow(project, f"trap '' INT TERM; echo begun; while true; do {ENDLESS}; done")
    interrupt(project, once="local.one@r1 | begun")


def test_a_stopped_script_is_ended(project):
    """A script that has stopped itself cannot receive a request, and is killed."""
    slow(project, "echo begun; kill -STOP $$; echo > x")
    interrupt(project, once="local.one@r1 | begun")


def test_a_second_interrupt_ends_at_once(project):
    """After a second interrupt, envy waits for no script."""
    slow(project, f"trap '' INT TERM; echo begun; while true; do {ENDLESS}; done")
    ended = interrupt(
        project,
        once="local.one@r1 | begun",
        then=lambda process: process.send_signal(signal.SIGTERM),
    )
    assert "not built" not in ended.err  # it did not stay for that


def test_an_interrupt_ends_all_that_runs(project):
    """All running packages end, and no waiting package begins."""
    names = [f"local.n{number}@r1" for number in range(6)]
    for name in names:
        project.recipe(name, f"install = [[echo begun; {ENDLESS}; echo > x]]")
    project.packages(*names)
    ended = interrupt(project, "sync", "--jobs", "3", once="| begun")
    assert "0 failed, 6 not built" in ended.err


def test_a_run_that_waits_for_a_lock_is_interrupted(project):
    """A run that waits for another process names the process, and ends without it."""
    slow(project, f"echo begun; test -e {project.root}/go || {ENDLESS}; echo > x")
    first = project.popen("sync", "--verbose")
    try:
        while b"| begun" not in first.stderr.readline():
            pass
        ended = Interrupted(project, "sync", once=f"held by process {first.pid} ")
        assert (ended.code, first.poll()) == (130, None)
        assert ended.seconds < PROMPT
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=300)
    assert first.returncode == 130
    assert_clean(project, "")


def test_a_pipe_that_its_reader_leaves_is_explained(project):
    """Under pipefail, the writer has failed, which no message of a program says."""
    project.packages("local.app@r1")
    project.recipe(
        "local.app@r1", 'host = { yes = "yes one | head -n 1" }\ninstall = "yes | head -n 1"'
    )
    run = project.envy("sync", code=1)
    assert "exited 141" in run.err or "exit code 141" in run.err
    assert "a program wrote to a pipe whose reader had ended" in run.err
