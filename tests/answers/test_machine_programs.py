"""Programs of the machine: which are known by their files, and what an answer is compared with."""

import os
import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.answers.ask import outputs_of
from envy.answers.machine_programs import (
    SHELL,
    VERDICT,
    Told,
    answer_text,
    facts_of,
    file_facts,
    find_program,
    is_plain,
    rows_of,
    still_told,
    words_of,
)
from envy.content.file_digest import variable_digest

BINARY = Path(shutil.which("true") or sys.executable)


@pytest.fixture
def folder(tmp_path):
    """A folder of programs; `tool` is a binary."""
    shutil.copyfile(BINARY, tmp_path / "tool")
    (tmp_path / "tool").chmod(0o755)
    return tmp_path


def script(path, text):
    """Write a program that runs a shell script."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def facts(path, command="tool --version", program="tool"):
    """Return the facts about a program that was found at a path."""
    return facts_of(program, command, str(path), {})


PATHS = st.lists(st.sampled_from(["", "a", "b", "none", "{here}/a", "{here}/b"]), max_size=4)


@settings(max_examples=200, deadline=None)
@given(path=PATHS, name=st.sampled_from(["tool", "data", "sub", "none", "a/tool"]))
def test_a_program_is_found_where_a_shell_finds_it(tmp_path_factory, path, name):
    """Every PATH finds the same program as `shutil.which`, by an absolute path."""
    here = tmp_path_factory.mktemp("path")
    for place in ("a", "b"):
        (here / place / "sub").mkdir(parents=True)
        (here / place / "data").touch()
    script(here / "b" / "tool", "true")
    script(here / "a" / "tool", "true")
    before = Path.cwd()
    os.chdir(here)
    try:
        text = os.pathsep.join(path).format(here=here)
        expected = shutil.which(name, path=text)
        found = find_program(name, {"PATH": text})
    finally:
        os.chdir(before)
    assert found == (expected and os.path.normpath(here / expected))


@pytest.mark.parametrize(
    ("command", "plain"),
    [
        ("tool --version", True),
        ("tool version", True),
        ("tool -v -V", True),
        ("tool", True),
        ("other --version", False),
        ("tool --version | head -1", False),
        ("tool  --version", False),
        ("tool script.py", False),
        ("tool --modversion zlib", False),
        ("tool --print=lib.a", False),
        ("tool $FLAGS", False),
        ("X=1 tool --version", False),
    ],
)
def test_a_plain_command_is_the_program_with_options(command, plain):
    """A word that is no option may name a file, and a shell may do anything."""
    assert is_plain("tool", command) is plain


def test_a_binary_is_known_by_its_file(folder):
    """A binary under its own name has facts, and so has one whose name ends in its version."""
    assert facts(folder / "tool")
    (folder / "tool").rename(folder / "tool3.11")
    (folder / "tool").symlink_to("tool3.11")
    assert facts(folder / "tool") == file_facts(str(folder / "tool"), {}) != ""


@pytest.mark.parametrize("real", ["toolbox", "wrapper", "tool-switch", "tool.sh", "x-tool"])
def test_a_link_to_another_program_is_asked(folder, real):
    """A link to a program of another name may start any program: ccache is no version of cc."""
    (folder / "tool").rename(folder / real)
    (folder / "tool").symlink_to(real)
    assert facts(folder / "tool") == ""


def test_a_script_is_asked(folder):
    """A script may start another program tomorrow, whatever its first line."""
    script(folder / "tool", "echo 1")
    assert facts(folder / "tool") == ""
    (folder / "tool").write_text("echo 1")
    assert facts(folder / "tool") == ""


def test_two_names_of_one_file_are_asked(folder):
    """A file with several names may do what its name tells it."""
    os.link(folder / "tool", folder / "other")
    assert facts(folder / "tool") == ""


def test_a_command_of_several_programs_is_asked(folder):
    """The file of the program says nothing about the others."""
    assert facts(folder / "tool", "tool --version | head -1") == ""


@pytest.mark.parametrize("how", ["same", "written", "replaced", "touched", "link", "gone"])
def test_the_facts_change_with_the_file(folder, how):
    """Writing the same bytes, another file of the same size and a turned link change the facts."""
    path = folder / "tool"
    before = facts(path)
    if how == "written":
        path.write_bytes(BINARY.read_bytes())
    elif how == "replaced":
        shutil.copy2(path, folder / "new")
        (folder / "new").replace(path)
    elif how == "touched":
        os.utime(path)
    elif how == "link":
        path.rename(folder / "tool1")
        path.symlink_to("tool1")
    elif how == "gone":
        path.unlink()
    assert (file_facts(str(path), {}) == before) is (how == "same")


def told(path, command, text):
    """Return the row of a program as it is stored."""
    program = path.name
    known = facts_of(program, command, str(path), {})
    return Told(program, command, str(path), known, variable_digest(f"{path} {text}"))


def test_every_program_is_compared(folder):
    """One different answer, one program elsewhere on the PATH or one missing ends the answer."""
    for name in ("one", "two"):
        script(folder / name, f"echo {name} 1.0; echo noise >&2; pwd")
    rows = [
        told(folder / "one", "one --version", f"one 1.0\n{folder}"),
        told(folder / "two", "two | sed -n 1p", "two 1.0"),
    ]
    other = folder / "other"
    other.mkdir()
    environment = {"PATH": f"{other}:{folder}:{os.environ['PATH']}"}
    here = Path.cwd()
    assert still_told(rows, environment, str(folder))
    assert Path.cwd() == here
    script(folder / "two", "echo two 2.0")
    assert not still_told(rows, environment, str(folder))
    script(folder / "two", "echo two 1.0")
    assert still_told(rows, environment, str(folder))
    script(other / "one", f"echo one 1.0; echo {folder}")
    assert not still_told(rows, environment, str(folder))
    (other / "one").unlink()
    script(folder / "one", "exit 3")
    assert not still_told(rows, environment, str(folder))
    (folder / "one").unlink()
    assert not still_told(rows, environment, str(folder))


def test_a_known_program_is_not_started(folder):
    """The text of a program that is known by its file is not compared."""
    row = told(folder / "tool", "tool --version", "never printed")
    assert still_told([row], {"PATH": str(folder)}, str(folder))


def test_programs_run_at_once(folder):
    """Each of two commands waits until the other has started."""
    os.mkfifo(folder / "pipe")
    script(folder / "reader", f"cat {folder}/pipe")
    script(folder / "writer", f"echo met > {folder}/pipe; echo done")
    commands = [(str(folder / "reader"),), (str(folder / "writer"),)]
    assert outputs_of(commands, dict(os.environ), str(folder)) == [b"met\n", b"done\n"]


def test_a_command_that_cannot_be_started_has_no_output(folder):
    """What was started before it is waited for, and its output is kept."""
    script(folder / "one", "echo 1")
    commands = [(str(folder / "one"),), (str(folder / "none"),)]
    assert outputs_of(commands, dict(os.environ), str(folder)) == [b"1\n", None]
    assert outputs_of(commands, dict(os.environ), str(folder / "none")) == [None, None]


def test_a_plain_command_needs_no_shell():
    """A program with options is started itself; anything else is a question to the shell."""
    assert words_of("cc", "cc --version", "/x/cc") == ("/x/cc", "--version")
    assert words_of("cc", "cc -v 2>&1", "/x/cc") == (*SHELL, "cc -v 2>&1" + VERDICT)


@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("yes one | head -n 1", b"one\n"),  # yes writes until it gets SIGPIPE
        ("yes one | yes two | head -n 1 # said", b"two\n"),
        ("yes one | head -n 1 \\", b"one\n"),
        ("false | echo one", None),
        ("false | yes one | head -n 1", None),
        ("echo one | grep two", None),
        ("false; echo one", None),
        ("kill -s PIPE $$", None),
    ],
)
def test_a_writer_whose_reader_has_read_enough_has_not_failed(folder, command, output):
    """Every other failure in a pipeline counts."""
    words = words_of("yes", command, "/x/yes", shell=shutil.which("bash"))
    assert outputs_of([words], dict(os.environ), str(folder)) == [output]


def test_an_answer_is_what_was_printed_without_the_last_line_end():
    """Bytes that are not UTF-8 are replaced, as in a full run."""
    assert answer_text("/x/cc", b"cc 1\n\xff\n\n") == "/x/cc cc 1\n\ufffd"


def test_rows_survive_as_texts():
    """What is stored of programs is read back as it was."""
    rows = [Told("a", "a --version", "/a", "", "x"), Told("b", "b", "/b", "facts", "")]
    assert list(rows_of([text for row in rows for text in row.columns()])) == rows
    assert hash(rows[0]) != hash(rows[1])
