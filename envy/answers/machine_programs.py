"""Programs of the machine (`host`): what they said, and whether they would still say it.

A program is *known* by its file if that alone decides what its version command prints: it is a
binary, not a script, with one name, which begins with the name asked for; and the command is that
program with plain arguments. A wrapper such as a version manager's, ccache, or a command of several
programs, is known by its answer only: it is asked again.

Warm commands load this module, so it imports little.
"""

from __future__ import annotations

import os
import stat
import sys

from envy.content.file_digest import variable_digest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

# How bash runs a question of one line, a command of `host` or a `check`. A pipeline fails as with
# pipefail, except that a program has not failed that its reader has ended by reading enough
# (141 is SIGPIPE): in `cc --version | head -n 1`, whether that happens is chance.
SHELL = ("bash", "-e", "-c")
VERDICT = """

for envy_status in "${PIPESTATUS[@]}"; do
case $envy_status in 0|141) ;; *) exit "$envy_status" ;; esac
done"""
_ARGUMENT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_VERSION = frozenset("0123456789.-")
# The first bytes of programs of Linux and of macOS.
_BINARIES = (
    b"\x7fELF",
    b"\xcf\xfa\xed\xfe",
    b"\xce\xfa\xed\xfe",
    b"\xfe\xed\xfa\xce",
    b"\xfe\xed\xfa\xcf",
    b"\xca\xfe\xba\xbe",
)
LAUNCHER_HEAD = b"#!/bin/sh\n# envy launcher of "
_XCODE_LINK = "/var/db/xcode_select_link"
_FIELDS = 5


class Told:
    """A program that was asked: where it was found, the facts about its file, and its answer.

    `facts` is "" for a program that is known by its answer only.
    """

    __slots__ = ("command", "facts", "found", "program", "text")

    def __init__(self, program: str, command: str, found: str, facts: str, text: str) -> None:
        self.program = program
        self.command = command
        self.found = found
        self.facts = facts
        self.text = text  # the path and what it printed, or the digest of both

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Told) and self.columns() == other.columns()

    def __hash__(self) -> int:
        return hash(tuple(self.columns()))

    def columns(self) -> list[str]:
        """Return the fields as texts, which `rows_of` reads."""
        return [self.program, self.command, self.found, self.facts, self.text]


def rows_of(texts: Sequence[str]) -> Iterator[Told]:
    """Return what `Told.columns` wrote, for any number of programs."""
    for start in range(0, len(texts), _FIELDS):
        yield Told(*texts[start : start + _FIELDS])


def find_program(name: str, environment: Mapping[str, str]) -> str | None:
    """Return the absolute path of a program, found as `shutil.which` does, or None.

    A name is never a launcher: that would run envy again, which would find it again.
    """
    if os.name == "nt":
        import shutil

        return shutil.which(name, path=environment.get("PATH"))
    if "/" in name:
        candidates = [name]
    else:
        folders = environment.get("PATH", os.defpath)
        candidates = [os.path.join(folder, name) for folder in folders.split(os.pathsep) if folders]
    for path in candidates:
        # A folder may be executable, and is none.
        is_program = os.access(path, os.X_OK) and not os.path.isdir(path)
        if is_program and ("/" in name or not _is_launcher(path)):
            return os.path.abspath(path)
    return None


def _is_launcher(path: str) -> bool:
    try:
        with open(path, "rb", 0) as file:
            return file.read(len(LAUNCHER_HEAD)) == LAUNCHER_HEAD
    except OSError:
        return False


def is_plain(program: str, command: str) -> bool:
    """Return whether a command is this program with options, or with the word `version`, only.

    Any other word may name a file or a part whose version is printed.
    """
    first, *arguments = command.split(" ")
    return first == program and all(
        _ARGUMENT.issuperset(word) and (word.startswith("-") or word == "version")
        for word in arguments
    )


def facts_of(program: str, command: str, found: str, environment: Mapping[str, str]) -> str:
    """Return the facts by which a program is known; "" if it is known by its answer only."""
    try:
        real = os.path.realpath(found)
        status = os.stat(real)
        rest = os.path.basename(real).removeprefix(program)
        named = rest != os.path.basename(real) and _is_version(rest)
        # A file with several names may do what the name tells it, as rustup and busybox do.
        if not named or status.st_nlink != 1 or not is_plain(program, command):
            return ""
        with open(real, "rb", 0) as file:
            if not (file.read(4) or b"").startswith(_BINARIES):
                return ""
    except (OSError, ValueError):
        return ""
    return file_facts(found, environment)


def _is_version(text: str) -> bool:
    """Return whether a text after the name of a program is a version, as in python3.11."""
    return not text or (_VERSION.issuperset(text) and text[-1].isdigit())


def file_facts(found: str, environment: Mapping[str, str]) -> str:
    """Return the facts about the file at a path; "" if it cannot be read."""
    try:
        real = os.path.realpath(found)
        status = os.stat(real)
    except (OSError, ValueError):
        return ""
    if not stat.S_ISREG(status.st_mode):
        return ""
    facts = [
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
        real,
    ]
    if sys.platform == "darwin":
        # The compilers in /usr/bin start those that these two choose.
        facts += [variable_digest(environment.get("DEVELOPER_DIR")), _link(_XCODE_LINK)]
    return " ".join(map(str, facts))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def asking_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which programs are asked: in English, and outside of any make."""
    variables = {**environment, "LC_ALL": "C"}
    variables.pop("MAKEFLAGS", None)
    return variables


def words_of(program: str, command: str, found: str, *, shell: str = SHELL[0]) -> tuple[str, ...]:
    """Return the program to start and its arguments: a plain command needs no shell."""
    if is_plain(program, command):
        return (found, *command.split(" ")[1:])
    return (shell, *SHELL[1:], command + VERDICT)


def answer_text(found: str, output: bytes) -> str:
    """Return what counts of a program: its path, and what it printed."""
    return f"{found} {output.decode('utf-8', 'replace').strip()}"


def still_told(rows: Sequence[Told], environment: Mapping[str, str], folder: str) -> bool:
    """Return whether every program is the same, by its file or by its answer in `folder`.

    `text` of the rows is the digest of the answer. Programs to be asked are asked at once.
    """
    to_ask = []
    for row in rows:
        if find_program(row.program, environment) != row.found:
            return False
        if not row.facts or file_facts(row.found, environment) != row.facts:
            to_ask.append(row)
    if not to_ask:
        return True
    from envy.answers.ask import outputs_of

    shell = find_program(SHELL[0], environment)
    if shell is None:
        return False
    commands = [words_of(row.program, row.command, row.found, shell=shell) for row in to_ask]
    outputs = outputs_of(commands, asking_environment(environment), folder)
    return all(
        output is not None and variable_digest(answer_text(row.found, output)) == row.text
        for row, output in zip(to_ask, outputs, strict=True)
    )
