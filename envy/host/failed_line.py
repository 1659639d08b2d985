"""The line of a script that failed, as its shell knows it.

bash records it by an ERR trap, which a file that BASH_ENV names sets before the script. The text of
the script, its arguments, its output and its exit code stay as they are. What other shells say
about their own errors (`sh: 3: cc: not found`) is read from the output.

A line is claimed only if the command, as the shell knows it, stands in that line of the script.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STARTUP = str(Path(__file__).with_name("failed_line.bash"))
_EXPANDED = frozenset("$`\\~")  # bash expands the value of BASH_ENV
# Variables with which bash reads no BASH_ENV, or prints what it does in it.
_UNSUITABLE = ("BASH_ENV", "POSIXLY_CORRECT", "SHELLOPTS", "BASHOPTS", "ENVY_FAILED_LINE")
_PLAIN_FLAGS = re.compile(r"-[ceu]+o?|-o|errexit|nounset|pipefail")
_FUNCTIONS = re.compile(r"\(\s*\)|\bfunction\b")
# With `set -E`, a trap that the script sets itself would be called in functions as well.
_OTHER_TRAPS = re.compile(r"\b(trap|source|eval|errtrace|extdebug)\b|(?m:^|[\s;&|(])\.\s")
_OWN_SOURCES = {"", "environment"}  # the names that bash has for a script in an argument
_OWN_MESSAGE = re.compile(r"(?:\S*/)?([\w.-]+): (?:line )?([0-9]+): (\S+?):? ")


@dataclass(frozen=True, slots=True)
class FailedLine:
    """The number of a line of a script, from 1, and its text without indentation."""

    number: int
    text: str


class LineRecorder:
    """Asks bash for the line in which a script fails; for other shells, it asks for nothing."""

    def __init__(self, path: Path | None, script: str, script_file: str) -> None:
        self._path = path
        self._script = script
        self._sources = _OWN_SOURCES | {script_file}

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that the shell needs; it unsets them before the script begins."""
        if self._path is None:
            return {}
        may_extend = _FUNCTIONS.search(self._script) and not _OTHER_TRAPS.search(self._script)
        extent = "functions" if may_extend else "script"
        return {"BASH_ENV": STARTUP, "ENVY_FAILED_LINE": f"{extent}:{self._path}"}

    def line(self, exit_code: int) -> FailedLine | None:
        """Return the line whose failure ended the script with this exit code, if it is known."""
        if self._path is None:
            return None
        try:
            return self.line_in(self._path.read_bytes(), exit_code)
        except OSError:
            return None

    def line_in(self, record: bytes, exit_code: int) -> FailedLine | None:
        """Return the same from what the shell has recorded."""
        rows = record.decode("utf-8", "replace").split("\n")
        try:
            status, number, depth = (int(row) for row in rows[:3])
            lines = [number, *(int(row) for row in rows[3 : 3 + depth])]
        except ValueError:
            return None
        sources = rows[3 + depth : 3 + 2 * depth]
        command = rows[3 + 2 * depth] if len(rows) > 3 + 2 * depth else ""
        if status != exit_code or not command.strip():
            return None
        # The innermost place that is in the script itself, not in a file that it sources.
        for place, (number, source) in enumerate(zip(lines, [*sources, ""], strict=False)):
            if source in self._sources:
                word = command.split()[0] if place == 0 else ""
                return _line_with(word, number, self._script)
        return None


def recorder_at(
    path: Path, argv: Sequence[str], script: str, environment: Mapping[str, str]
) -> LineRecorder:
    """Return the recorder for a script whose shell writes to this path, or nothing."""
    is_file = argv[-1] != script
    plain = _is_plain_bash(argv) and not any(name in environment for name in _UNSUITABLE)
    records = plain and "\n" in script.strip()
    return LineRecorder(path if records else None, script, argv[-1] if is_file else "")


@contextlib.contextmanager
def line_recorder(
    argv: Sequence[str],
    script: str,
    *,
    environment: Mapping[str, str],
    is_file: bool,
    folder: Path | None,
) -> Iterator[LineRecorder]:
    """Return the recorder for a script; `argv` is how its shell is started.

    A script of one line needs none, and keeps its last command in the place of the shell.
    """
    path = None
    plain = _is_plain_bash(argv) and not any(name in environment for name in _UNSUITABLE)
    plain = plain and _EXPANDED.isdisjoint(STARTUP)
    if plain and "\n" in script.strip():
        import tempfile

        name = f"failed-line-{os.urandom(8).hex()}"
        path = Path(folder or tempfile.gettempdir()) / name
    try:
        yield LineRecorder(path, script, argv[-1] if is_file else "")
    finally:
        if path is not None:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)


def _is_plain_bash(argv: Sequence[str]) -> bool:
    program, *flags = argv[:-1]
    return Path(program).name == "bash" and all(map(_PLAIN_FLAGS.fullmatch, flags))


def line_in_message(output: str, script: str, *, shell: str) -> FailedLine | None:
    """Return the line that the shell named in its last message, such as `sh: 3: cc: not found`."""
    last = output.rpartition("\n")[2]
    found = _OWN_MESSAGE.match(last)
    if found is None or found[1] != shell:
        return None
    return _line_with(found[3], int(found[2]), script)


def _line_with(word: str, number: int, script: str) -> FailedLine | None:
    lines = script.split("\n")
    if not 0 < number <= len(lines) or word not in lines[number - 1]:
        return None
    text = lines[number - 1].strip()
    return FailedLine(number, text) if text else None
