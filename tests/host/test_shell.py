import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.environment import environment
from envy.errors import DeclarationError, ScriptFailed, SourceLocation
from envy.host.children import Children
from envy.host.platform import Platform
from envy.host.shell import (
    BASH,
    POWERSHELL,
    SH,
    LineSplitter,
    Shell,
    builtin_shell,
    describe_script,
    run_script,
    shell_from_value,
)

PYTHON = Shell(name="python", file=(sys.executable,), extension=".py")
BOTH = pytest.mark.parametrize("shell", [BASH, SH], ids=["bash", "sh"])


def run(script, *, shell=BASH, **rest):
    rest.setdefault("cwd", Path("/"))
    return run_script(
        script,
        shell=shell,
        environment=environment(),
        children=Children(),
        capture=True,
        **rest,
    )


@BOTH
def test_a_script_stops_at_the_first_failing_command(shell):
    """Commands after a failed one are not run, and its exit code is that of the script."""
    completed = run("echo one\n(exit 5)\necho two", shell=shell)
    assert (completed.exit_code, completed.stdout) == (5, b"one\n")


def test_a_failure_inside_a_pipe_counts_in_bash():
    """In bash a pipeline fails when any part of it does."""
    assert run("false | cat\necho two").stdout == b""


def test_a_script_may_be_a_list_of_lines():
    """The lines of a list are one script."""
    assert run(["x=1", "echo $x"]).stdout == b"1\n"


def test_a_script_runs_in_the_given_directory(tmp_path):
    """The working directory is the given one."""
    assert run("pwd -P", cwd=tmp_path).stdout.decode().strip() == str(tmp_path.resolve())


@BOTH
def test_a_script_too_long_for_an_argument_is_read_from_a_file(shell, tmp_path):
    """The file is in the scratch directory, and is removed afterwards."""
    script = f"cat > /dev/null\necho {'x' * 300_000} | wc -c\nls {tmp_path}\nfalse\necho no"
    completed = run(script, shell=shell, scratch_dir=tmp_path)
    count, name = completed.stdout.split()
    assert int(count) == 300_001
    assert name.endswith(b".sh")
    assert completed.exit_code == 1
    assert list(tmp_path.iterdir()) == []


def test_a_long_script_needs_no_scratch_directory():
    """Without a scratch directory the system's own is used."""
    assert run("#" * 200_000 + "\necho fine").stdout == b"fine\n"


def test_a_custom_shell_reads_a_file(tmp_path):
    """A shell that reads files gets the script as a file with its extension."""
    completed = run("import sys\nprint(sys.argv[0])", shell=PYTHON, scratch_dir=tmp_path)
    path = Path(completed.stdout.decode().strip())
    assert (path.parent, path.suffix) == (tmp_path, ".py")


def test_a_custom_shell_takes_an_argument():
    """A shell with a list of arguments gets the script as the last argument."""
    shell = shell_from_value({"inline": [sys.executable, "-c"]})
    assert run("print(6 * 7)", shell=shell).stdout == b"42\n"


def test_a_script_too_long_for_a_shell_without_files_says_so():
    """A shell without files cannot run a long script, and the error says what to use instead."""
    with pytest.raises(ScriptFailed, match="file = "):
        run(":" * 200_000, shell=Shell(name="x", inline=("sh", "-c")))


def test_bytes_that_are_not_text_survive_in_a_script():
    """A script's bytes reach the shell as the author wrote them."""
    assert run("printf '\udcff'").stdout == b"\xff"


def test_a_missing_shell_is_named():
    """The error names the shell that is not installed, and says what to do."""
    with pytest.raises(ScriptFailed, match="no program 'nosuchshell' on PATH"):
        run("true", shell=Shell(name="x", inline=("nosuchshell", "-c")))


def test_a_scratch_directory_that_cannot_be_written_is_named(tmp_path):
    """When the file of a script cannot be created, the error says where."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ScriptFailed, match="cannot be written"):
        run("pass", shell=PYTHON, scratch_dir=tmp_path / "file")


def test_a_script_does_not_read_the_rest_of_itself():
    """A command that reads standard input gets nothing, not the next lines of the script."""
    assert run("cat\necho after").stdout == b"after\n"


@pytest.mark.parametrize(
    ("system", "shell"), [("linux", BASH), ("darwin", BASH), ("windows", POWERSHELL)]
)
def test_each_system_has_a_built_in_shell(system, shell):
    """The default shell depends on the system."""
    assert builtin_shell(Platform(os=system, arch="x86_64")) is shell


@pytest.mark.parametrize("shell", [BASH, SH, POWERSHELL])
def test_a_constant_means_its_shell(shell):
    """The constants of ENVY_SHELL name the built-in shells."""
    assert shell_from_value(f"@shell:{shell.name}") is shell


def test_a_table_means_a_shell():
    """`file` is a program, or a list of a program and its arguments."""
    assert shell_from_value({"file": "/usr/bin/zsh", "ext": "zsh"}) == Shell(
        name="zsh", file=("/usr/bin/zsh",), extension=".zsh"
    )
    assert shell_from_value({"file": ["node", "-r", "x"], "ext": ".js"}).file[1:] == ("-r", "x")


@pytest.mark.parametrize(
    "value",
    [
        "bash",
        "@shell:fish",
        None,
        7,
        ["bash"],
        {},
        {"inline": []},
        {"inline": "bash -c"},
        {"inline": ["bash", 1]},
        {"inline": ["a"], "file": "b"},
        {"inline": ["a"], "ext": ".x"},
        {"ext": ".x"},
        {"file": "x", "ext": "/x"},
        {"file": "x", "extension": ".x"},
    ],
)
def test_a_value_that_is_not_a_shell_is_an_error_with_its_location(value):
    """The error shows how a shell is written."""
    with pytest.raises(DeclarationError, match="ext = ") as caught:
        shell_from_value(value, SourceLocation(Path("envy.lua"), 9))
    assert str(caught.value).startswith("envy.lua:9: ")


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("make", "make"),
        ("\n  make all  \n\nmake install", "make all …"),
        (["", "x"], "x"),
        ("", ""),
        ("y" * 300, "y" * 199 + "…"),
    ],
)
def test_a_script_is_described_on_one_line(script, expected):
    """Messages show the first line that is not blank."""
    assert describe_script(script) == expected


def test_lines_are_completed_across_chunks():
    """A line is returned once it is complete, and the last one when the stream ends."""
    splitter = LineSplitter()
    assert splitter.feed(b"a\nb") == [b"a"]
    assert splitter.feed(b"c\r\n\nd") == [b"bc", b""]
    assert splitter.finish() == [b"d"]
    assert splitter.finish() == []


def test_ten_megabytes_on_one_line_come_in_pieces():
    """A very long line is cut, so that it is never held in memory as a whole."""
    splitter, pieces = LineSplitter(), []
    for _ in range(160):
        pieces += splitter.feed(b"x" * 65_536)
    pieces += splitter.finish()
    assert max(map(len, pieces)) == 16_384
    assert sum(map(len, pieces)) == 160 * 65_536


@given(st.text(), st.integers(1, 20), st.integers(4, 20))
def test_no_character_is_cut_in_two(text, step, limit):
    """Each piece is valid text, and together they are the whole text."""
    data = text.replace("\n", "").replace("\r", "").encode()
    splitter, pieces = LineSplitter(limit), []
    for start in range(0, len(data), step):
        pieces += splitter.feed(data[start : start + step])
    pieces += splitter.finish()
    assert b"".join(pieces) == data
    assert all(piece.decode() and len(piece) <= limit for piece in pieces)


@given(st.binary(), st.integers(1, 20))
def test_any_bytes_are_kept_whatever_the_chunks(data, step):
    """Lines depend on the bytes alone, not on how they were cut into chunks."""
    splitter, lines = LineSplitter(), []
    for start in range(0, len(data), step):
        lines += splitter.feed(data[start : start + step])
    lines += splitter.finish()
    whole = LineSplitter()
    assert lines == whole.feed(data) + whole.finish()


@pytest.mark.needs("pwsh")
def test_powershell_stops_at_the_first_failing_command():
    """In PowerShell, too, a failing command ends the script."""
    assert b"two" not in run("Get-Item /no/such\necho two", shell=POWERSHELL).stdout
