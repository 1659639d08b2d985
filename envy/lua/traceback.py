"""From what Lua says about an error to a LuaScriptError.

Owns the reading of `file:line:` prefixes and of the trace that the prelude makes. Positions in
messages hold a file's name as Lua shortens it; the trace holds it in full.
"""

import re
from collections.abc import Sequence
from typing import Any

from envy.errors import EnvyError, LuaFrame, LuaScriptError
from envy.lua.values import decode

_POSITION = re.compile(r"(.+?):(\d+): ", re.DOTALL)
_LONGEST_NAME = 59  # LUA_IDSIZE of Lua 5.4, without the NUL
OUT_OF_MEMORY = "not enough memory"


def shortened(name: str) -> str:
    """How Lua writes the name of a file in the messages of errors."""
    raw = name.encode("utf-8", "surrogateescape")
    return name if len(raw) <= _LONGEST_NAME else "..." + decode(raw[-(_LONGEST_NAME - 3) :])


def text_for_lua(error: EnvyError) -> str:
    """The message of an error as Lua code sees it: without the hint, which is for the user."""
    text = str(error)
    return text.removesuffix(f"\n  hint: {error.hint}") if error.hint else text


def parse_trace(trace: Any) -> tuple[str, list[LuaFrame]]:
    """The text and the frames of what the prelude caught: a table, or a bare text."""
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
    """The error for an uncaught one of Lua's; `files` has the full names of the shortened ones."""
    message, blamed = _split(text, files)
    shown = _from_blamed(blamed, frames)
    if message == OUT_OF_MEMORY:
        return LuaScriptError(
            f"Lua code used more memory than the {memory_limit >> 20} MiB it may have",
            frames=shown,
            hint="write large data to files instead of keeping it in Lua",
        )
    if cause is None or text_for_lua(cause) not in message:
        return LuaScriptError(message, frames=shown)
    return LuaScriptError(message, frames=shown, cause=cause, hint=cause.hint)


def _split(text: str, files: dict[str, str]) -> tuple[str, LuaFrame | None]:
    """The message without its positions, and the last of these (raised anew, it has several)."""
    blamed = None
    while (match := _POSITION.match(text)) and match[1] in files:
        blamed = LuaFrame(files[match[1]], int(match[2]))
        text = text[match.end() :]
    return text, blamed


def _from_blamed(blamed: LuaFrame | None, frames: Sequence[LuaFrame]) -> list[LuaFrame]:
    """The frames from the line that the message blames: `error(text, 2)` blames the caller's."""
    if blamed is None:
        return list(frames)
    for index, frame in enumerate(frames):
        if (frame.path, frame.line) == (blamed.path, blamed.line):
            return list(frames[index:])
    return [blamed, *frames]
