"""Conversion of Lua errors to LuaScriptError.

Owns the parsing of `file:line:` prefixes and of the trace that the prelude builds. A position in a
message holds the name of the file as Lua shortens it; the trace holds the full name.
"""

import re
from collections.abc import Sequence
from typing import Any

from envy.errors import EnvyError, LuaFrame, LuaScriptError
from envy.limits import LUA_MEMORY, shown_size
from envy.lua.values import decode

_POSITION = re.compile(r"(.+?):(\d+): ", re.DOTALL)
_LONGEST_NAME = 59  # LUA_IDSIZE of Lua 5.4, without the NUL
OUT_OF_MEMORY = "not enough memory"


def abbreviated(name: str) -> str:
    """Return the name of a file as Lua abbreviates it in error messages."""
    raw = name.encode("utf-8", "surrogateescape")
    return name if len(raw) <= _LONGEST_NAME else "..." + decode(raw[-(_LONGEST_NAME - 3) :])


def message_for_lua(error: EnvyError) -> str:
    """Return the message of an error for Lua code: without the hint, which is for the user."""
    text = str(error)
    return text.removesuffix(f"\n  hint: {error.hint}") if error.hint else text


def parse_trace(trace: Any) -> tuple[str, list[LuaFrame]]:
    """Return the text and the frames of an error that the prelude caught: a table or only text."""
    if isinstance(trace, bytes):
        return decode(trace), []
    text, *places = trace.values()
    triples = zip(places[0::3], places[1::3], places[2::3], strict=True)
    return decode(text), [
        LuaFrame(decode(source[1:]), line, decode(name)) for source, line, name in triples
    ]


def script_error(
    text: str,
    frames: Sequence[LuaFrame],
    *,
    files: dict[str, str],
    cause: EnvyError | None,
    memory_limit: int,
) -> LuaScriptError:
    """Return the LuaScriptError for an uncaught Lua error.

    `files` maps each abbreviated file name to the full name. `cause` is the last error that a
    function of Python raised; the result has it as its cause only if `text` contains its message.
    """
    message, blamed = _split(text, files)
    visible = _frames_from(blamed, frames)
    if message == OUT_OF_MEMORY:
        return LuaScriptError(
            f"the Lua code used more than its limit of {shown_size(memory_limit)} of memory "
            f"({LUA_MEMORY.name})",
            frames=visible,
            hint=f"write large data to files instead of keeping it in Lua; {LUA_MEMORY.hint}",
        )
    if cause is None or message_for_lua(cause) not in message:
        return LuaScriptError(message, frames=visible)
    return LuaScriptError(message, frames=visible, cause=cause, hint=cause.hint)


def _split(text: str, files: dict[str, str]) -> tuple[str, LuaFrame | None]:
    """Return the message without its positions, and the last of these.

    An error that is caught and raised again has several positions.
    """
    blamed = None
    while (match := _POSITION.match(text)) and match[1] in files:
        blamed = LuaFrame(files[match[1]], int(match[2]))
        text = text[match.end() :]
    return text, blamed


def _frames_from(blamed: LuaFrame | None, frames: Sequence[LuaFrame]) -> list[LuaFrame]:
    """Return the frames from the blamed line on; `error(text, 2)` blames the line of the caller."""
    if blamed is None:
        return list(frames)
    for index, frame in enumerate(frames):
        if (frame.path, frame.line) == (blamed.path, blamed.line):
            return list(frames[index:])
    return [blamed, *frames]
