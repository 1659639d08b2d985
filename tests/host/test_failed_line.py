"""The line of a script that failed, and that asking for it changes nothing else."""

import os
import re
import subprocess

import pytest

from envy.environment import environment
from envy.host.children import Children
from envy.host.failed_line import line_in_message
from envy.host.shell import BASH, SH, Shell, run_script

# A script, and the line in which it fails; 0 where no line can be claimed.
FAILING = {
    "a command": ("echo a\nfalse\necho b", 2),
    "an exit code": ("echo a\nsh -c 'exit 7'\necho b", 2),
    "the last line": ("echo a\nsh -c 'exit 7'", 2),
    "an unknown program": ("echo a\n  no-such-program x \\\n  y\n", 2),
    "a pipeline": ("true\ntrue | sh -c 'exit 5' | cat\necho b", 2),
    "a function": ("f() {\n  echo in\n  false\n}\nf\necho b", 3),
    "a function in a function": ("f() {\n  false\n}\ng() {\n  f\n}\ng", 2),
    "a subshell": ("echo a\n(\n  exit 4\n)\necho b", 0),
    "a subshell on a line": ("echo a\n(exit 4)\necho b", 2),
    "a substitution": ("echo a\nx=$(sh -c 'exit 6')\necho b", 2),
    "a loop": ("for i in 1 2; do\n  echo $i\n  test $i = 1\ndone", 3),
    "a condition": ("if true; then\n  false\nfi", 2),
    "a list": ("true\ntrue && false\necho b", 2),
    "a here document": ("cat <<X\n$(echo a)\nX\nfalse\n", 4),
    "a tolerated failure before": ("set +e\nfalse\nset -e\nexit 1", 0),
    "an explicit exit": ("echo a\nexit 3", 0),
    "a killed program": ("echo a\nsh -c 'kill -9 $$'\necho b", 2),
    "the shell is killed": ("echo a\nkill -9 $$", 0),
    "traced": ("set -x\necho a\nfalse\n", 3),
    "no overwriting": ("set -C\nset -u\nfalse\n", 3),
    "an own field separator": ("IFS=\nf() {\n  false\n}\nf", 3),
    "an own ERR trap": ("trap 'echo own $?' ERR\nf() {\n  false\n}\nf", 0),
    "an own EXIT trap": ("trap 'echo own $?' EXIT\nfalse", 2),
    "an EXIT trap with another code": ("trap 'exit 9' EXIT\nfalse", 0),
    "a function that was overridden": ("printf() {\n  echo mine\n}\nfalse", 4),
    "a syntax error": ("if then\ntrue\nfi", 0),
    "an unset variable": ("set -u\necho $no_such_variable\n", 0),
    "a sourced file": ("echo a\n. ./sourced\necho b", 2),
    "a function of a sourced file": ("echo a\n. ./functions\nf\necho b", 0),
    "evaluated": ("echo a\neval 'true\nfalse'\necho b", 0),
    "one line": ("false", 0),
    "one command among blank lines": ("\n\n   false\n\n", 0),
    "the last command is killed": ("echo a\nsh -c 'kill -9 $$'", 2),
}
PASSING = {
    "tolerated failures": "set +e\nfalse\nset -e\nfalse || true\n! true\nif false; then x; fi",
    "traps and options": "trap\ntrap 'echo own' ERR\necho $-\nshopt -o errtrace || :\n(false) || :",
    "the environment": "env | grep -v -e '^_=' -e SHLVL | sort\ncompgen -v | grep -i failed || :",
    "positions": "echo $# $0 $LINENO\nf() { echo $LINENO; }\nf\necho $?",
    "an EXIT trap that succeeds": "trap 'exit 0' EXIT\nfalse",
    "functions": "f() {\n  false || echo no\n}\nif f; then echo; fi\nx=$(false; echo z)\necho $x",
}
ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TMPDIR": "/nonexistent"}


@pytest.fixture
def folder(tmp_path):
    """A folder in which scripts run, with files that they source."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "sourced").write_text("true\ntrue\nfalse\n")
    (tmp_path / "run" / "functions").write_text("f() {\n  false\n}\n")
    return tmp_path


def run(script, folder, *, shell=BASH, variables=ENVIRONMENT):
    """Run a script as recipes do, and keep its output."""
    return run_script(
        script,
        shell=shell,
        cwd=folder / "run",
        environment=variables,
        children=Children(),
        capture=True,
        scratch_dir=folder,
    )


def plainly(script, folder):
    """Return how plain bash ends the script: its exit code and output."""
    done = subprocess.run(
        [*BASH.inline, script],
        cwd=folder / "run",
        env=ENVIRONMENT,
        capture_output=True,
        check=False,
    )
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    return code, done.stdout, done.stderr


@pytest.mark.parametrize(("script", "line"), FAILING.values(), ids=FAILING)
def test_the_line_that_failed_is_known(folder, script, line):
    """The line is the one at which `set -e` ended the script; nothing else is different."""
    done = run(script, folder)
    assert (done.failed_line.number if done.failed_line else 0) == line
    if done.failed_line:
        assert done.failed_line.text == script.split("\n")[line - 1].strip()
    code, out, err = plainly(script, folder)
    assert (done.exit_code, done.stdout) == (code, out)
    # bash reports the death of its last command only if it did not become that command.
    assert re.sub(rb"[0-9]+ Killed", b"N Killed", done.stderr).endswith(
        re.sub(rb"[0-9]+ Killed", b"N Killed", err)
    )
    assert sorted(path.name for path in folder.iterdir()) == ["run"]


@pytest.mark.parametrize("script", PASSING.values(), ids=PASSING)
def test_a_script_that_succeeds_notices_nothing(folder, script):
    """Its output, exit code and variables are those of plain bash, and nothing is left."""
    done = run(script, folder)
    assert (done.exit_code, done.failed_line) == (0, None)
    _, out, err = plainly(script, folder)
    assert done.stderr == err
    shown = [line for line in done.stdout.splitlines() if b"ERR" not in line]
    assert shown == [line for line in out.splitlines() if b"ERR" not in line]
    assert sorted(path.name for path in folder.iterdir()) == ["run"]


def test_a_script_that_is_read_from_a_file_has_the_same_lines(folder):
    """A script that is too long for an argument is recorded in the same way."""
    script = f"echo a\n# {'x' * 200_000}\nf() {{\n  false\n}}\nf"
    assert run(script, folder).failed_line.number == 4


def test_a_folder_that_cannot_be_written_gives_no_line(folder):
    """Without a place for the record, the script ends as ever."""
    done = run_script(
        "echo a\nfalse",
        shell=BASH,
        cwd=folder / "run",
        environment=ENVIRONMENT,
        children=Children(),
        capture=True,
        scratch_dir=folder / "missing" / "deeper",
    )
    assert (done.exit_code, done.stdout, done.stderr, done.failed_line) == (1, b"a\n", b"", None)


@pytest.mark.parametrize(
    ("shell", "variables"),
    [
        (SH, {}),
        (BASH, {"BASH_ENV": "/dev/null"}),
        (BASH, {"POSIXLY_CORRECT": "1"}),
        (Shell(name="bash", inline=("bash", "-ex", "-c")), {}),
        (Shell(name="bash", inline=("bash", "--posix", "-e", "-c")), {}),
    ],
    ids=["sh", "BASH_ENV", "POSIXLY_CORRECT", "traced", "posix"],
)
def test_where_bash_would_show_it_nothing_is_asked(folder, shell, variables):
    """Other shells, and a bash with other settings, run scripts without any addition."""
    variables = {**environment(), **ENVIRONMENT, **variables}
    done = run("env | grep -e FAILED_LINE\nfalse", folder, shell=shell, variables=variables)
    assert (done.failed_line, done.stdout) == (None, b"")


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("a\nsh: 2: cc: not found", 2),
        ("/bin/sh: 2: cc: not found", 2),
        ("sh: line 2: cc: command not found", 2),
        ("sh: 1: cc: not found", 0),  # a nested sh: there is no cc in this line
        ("./configure: 2: cc: not found", 0),
        ("sh: 2: cc: not found\nlater output", 0),
        ("sh: 9: cc: not found", 0),
        ("", 0),
    ],
)
def test_the_line_in_a_message_of_the_shell_itself(output, line):
    """`sh: 2: cc: not found`, as the last output, names the line, if the command stands there."""
    found = line_in_message(output, "echo a\ncc -o x", shell="sh")
    assert (found.number if found else 0) == line
