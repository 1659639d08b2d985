"""Dotenv files: variables of a project, one `NAME=value` a line.

Values are taken literally: nothing is expanded in them. Double quotes allow escapes, and quoted
values may have several lines. This module loads little, because warm commands use it: the errors
only for an error.
"""

from __future__ import annotations

import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from envy.errors import ManifestError, SourceLocation

_LARGEST = 1024 * 1024  # bytes
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"}
_HINT = "write NAME=value, one a line, with quotes around values that hold # or spaces at an end"


def read_dotenv(path: Path) -> dict[str, str]:
    """Return the variables in a file; none if it does not exist.

    Raises:
        ManifestError: the file cannot be read, or a line is invalid.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = os.read(descriptor, _LARGEST + 1) if is_file else b""
        finally:
            os.close(descriptor)
        if is_file and len(data) <= _LARGEST:
            return parse_dotenv(data.decode("utf-8-sig"), path)
        problem = f"{path} has more than {_LARGEST} bytes, the limit for `dotenv`"
        if not is_file:
            problem = f"`dotenv` names {path}, which is not a regular file"
    except FileNotFoundError:
        return {}
    except OSError as error:
        problem = f"{path} cannot be read: {error.strerror}"
    except UnicodeDecodeError as error:
        problem = f"{path} is not UTF-8: {error.reason} at byte {error.start}"
    from envy.errors import ManifestError

    raise ManifestError(problem)


def parse_dotenv(text: str, path: Path) -> dict[str, str]:
    """Return the variables in the text of a dotenv file; of equal names, the last counts.

    Raises:
        ManifestError: a line is invalid.
    """
    variables: dict[str, str] = {}
    lines = text.split("\n")
    position = 0
    while position < len(lines):
        line, number = lines[position].strip(), position + 1
        position += 1
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        name = name.removeprefix("export ").strip()
        if not equals or not is_variable(name):
            raise _invalid(f"{line[:60]!r} is not a variable", path, number)
        value = value.lstrip()
        if value[:1] in {"'", '"'}:
            value, position = _quoted(value, lines, position, path)
        else:
            value = _unquoted(value)
        if _is_refused(name, value):
            from envy.errors import SourceLocation

            check_variable(name, value, SourceLocation(path, number))
        variables[name] = value
    return variables


def is_variable(name: str) -> bool:
    """Return whether a text can be the name of a variable."""
    return name.isascii() and name.isidentifier()


def _is_refused(name: str, value: str) -> bool:
    return name == "PATH" or "\0" in value


def check_variable(name: str, value: str, origin: SourceLocation) -> None:
    """Check a variable of a project.

    Raises:
        ManifestError: its name belongs to envy, or its value contains a NUL character.
    """
    if not _is_refused(name, value):
        return
    from envy.errors import ManifestError

    if name == "PATH":
        raise ManifestError(
            "PATH cannot be set for the project: envy puts the folders of packages on it",
            origin=origin,
            hint="let a package export the folder: exports = { path = { … } }",
        )
    raise ManifestError(f"the value of {name} contains a NUL character", origin=origin)


def _unquoted(value: str) -> str:
    """Return a value without a comment, which begins with a # after a space."""
    if value.startswith("#"):
        return ""
    for before in (" #", "\t#"):
        value = value.partition(before)[0]
    return value.rstrip()


def _quoted(value: str, lines: list[str], position: int, path: Path) -> tuple[str, int]:
    """Return a value in quotes, and the position of the line after it."""
    quote, number = value[0], position
    found: list[str] = []
    rest = value[1:]
    while True:
        at = 0
        while at < len(rest):
            character = rest[at]
            if character == quote:
                after = rest[at + 1 :].strip()
                if after and not after.startswith("#"):
                    raise _invalid(f"there is text after the closing {quote}", path, position)
                return "".join(found), position
            if character == "\\" and quote == '"' and rest[at + 1 : at + 2] in _ESCAPES:
                at += 1
                character = _ESCAPES[rest[at]]
            found.append(character)
            at += 1
        if position == len(lines):
            raise _invalid(f"the closing {quote} is missing", path, number)
        found.append("\n")
        rest = lines[position].removesuffix("\r")
        position += 1


def _invalid(problem: str, path: Path, line: int) -> ManifestError:
    from envy.errors import ManifestError, SourceLocation

    return ManifestError(problem, origin=SourceLocation(path, line), hint=_HINT)
