"""The text of `.envy/envy.cmake`, which gives a CMake project what `envy run` gives to programs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from envy.answers.launcher_text import Launch

# In a quoted argument, `;` stands for itself; a line may end with \r\n, so \r is escaped as well.
_ESCAPES = {
    "\\": "\\\\",
    '"': '\\"',
    "$": "\\$",
    "@": "\\@",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_ADVICE = "Run: envy sync"

_HEAD = """\
# Written by `envy sync`. Read it with -DCMAKE_PROJECT_TOP_LEVEL_INCLUDES=.envy/envy.cmake, or
# include() it before project().
include_guard(DIRECTORY)
"""

# Puts folders before those of a variable of the environment.
_ENVIRONMENT = """\
if("$ENV{{{name}}}" STREQUAL "")
  set(ENV{{{name}}} {folders})
else()
  set(ENV{{{name}}} {before})
endif()
"""

# Puts folders before those of a list.
_LIST = """\
if("${{{name}}}" STREQUAL "")
  set({name} {folders})
else()
  set({name} {folders} "${{{name}}}")
endif()
"""


def cmake_text(launch: Launch | None, stamp: str) -> str:
    """Return the text of the file for what launchers run with; `stamp` is a path.

    Without `launch`, or if a package is not installed, the text is an error for CMake: it would
    find another library or program instead.
    """
    if launch is None:
        return _HEAD + _message(
            "FATAL_ERROR",
            "envy: the last sync could not write what programs of this project run with: it has "
            "secrets, is an error, or may change at any time. Use: envy run -- cmake",
        )
    if launch.missing:
        what = "not installed: " + ", ".join(launch.missing)
        return _HEAD + _message("FATAL_ERROR", f"envy: {what}. {_ADVICE}")
    return _HEAD + "".join(_checks(launch, stamp)) + "".join(_settings(launch))


def _checks(launch: Launch, stamp: str) -> Iterable[str]:
    for path in launch.markers:
        problem = _message("FATAL_ERROR", f"envy: {path} is gone. {_ADVICE}")
        yield f"if(NOT EXISTS {quoted(path)})\n  {problem}endif()\n"
    for path in launch.files:
        warning = _message("WARNING", f"envy: {path} is newer than the last sync. {_ADVICE}")
        yield f"if({quoted(path)} IS_NEWER_THAN {quoted(stamp)})\n  {warning}endif()\n"


def _settings(launch: Launch) -> Iterable[str]:
    for name, value in launch.variables.items():
        yield f"set(ENV{{{name}}} {quoted(value)})\n"
    for name, folders in launch.folders.items():
        if folders:
            yield from _folders(name, folders)


def _folders(name: str, folders: Sequence[str]) -> Iterable[str]:
    if name == "CMAKE_PREFIX_PATH":
        # A list of its own, before the variable of the environment, which cannot hold a `;`.
        yield _LIST.format(name=name, folders=_list(folders))
        return
    if name == "PATH":
        yield _LIST.format(name="CMAKE_PROGRAM_PATH", folders=_list(folders))
    text = quoted(os.pathsep.join(folders))
    before = f'{text[:-1]}{os.pathsep}$ENV{{{name}}}"'
    yield _ENVIRONMENT.format(name=name, folders=text, before=before)


def _list(folders: Iterable[str]) -> str:
    return " ".join(quoted(folder).replace(";", "\\;") for folder in folders)


def _message(kind: str, text: str) -> str:
    return f"message({kind} {quoted(text)})\n"


def quoted(text: str) -> str:
    """Return a text as a quoted argument of CMake."""
    return '"' + "".join(_ESCAPES.get(character, character) for character in text) + '"'
