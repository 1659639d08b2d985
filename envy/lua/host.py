"""The Python half of a Lua state: its settings, its ctx tables, and the reason why it ended.

Owns the data that the functions in natives.py share. Never calls Lua code.
"""

import os
import weakref
from typing import Any

from envy.errors import Cancelled, EnvyError, InternalError, LuaFrame, LuaScriptError
from envy.interpreter import give_way
from envy.limits import Limit
from envy.lua.sandbox import FileAccess, SandboxSettings
from envy.lua.traceback import abbreviated
from envy.lua.values import Bridge, CtxTable, FunctionOwner, LuaValue, decode, encode

STEPS_PER_POLL = 100_000  # INSTRUCTIONS of the prelude
_POLLS_PER_TURN = 32  # calls of the count hook: about 16 ms of Lua


class Host:
    """The data and conversions behind the natives of one Lua state.

    Lua holds references to Python functions, and Python's garbage collector cannot see them. These
    functions hold only a weak reference to the host, and the host holds only a weak reference to
    the state, so that a dropped state is freed at once.
    """

    __slots__ = (
        "__weakref__",
        "_first_poll",
        "_polls",
        "_state",
        "access",
        "bridge",
        "contexts",
        "depth",
        "ended_by",
        "files",
        "last_error",
        "runtime",
        "settings",
        "unpark",
    )

    def __init__(self, state: FunctionOwner, settings: SandboxSettings, access: FileAccess) -> None:
        self._state = weakref.ref(state)
        self.settings = settings
        self.access = access
        self.depth = 0
        self.runtime: Any = None
        self.unpark: Any = None
        self.bridge: Bridge | None = None
        self.contexts: dict[int, CtxTable] = {}
        self.files: dict[str, str] = {}
        self.last_error: EnvyError | None = None
        self.ended_by: BaseException | None = None
        self._polls = self._first_poll = 0

    def to_python(self, value: Any, *, name: str) -> LuaValue:
        """Return a value of this state as a Python value."""
        state = self._state()
        if state is None or self.bridge is None:
            raise InternalError("a value of a closed Lua state was used")
        return self.bridge.to_python(state, value, name=name)

    def to_lua(self, value: object) -> Any:
        """Return a Python value as a value of this state."""
        if self.bridge is None:
            raise InternalError("a closed Lua state was used")
        return self.bridge.to_lua(value)

    def source_name(self, path: str) -> bytes:
        """Return the chunk name of a file, and store it to resolve positions in error messages."""
        shown = display_path(path)
        self.files[abbreviated(shown)] = shown
        return b"@" + encode(shown)

    def enter(self) -> None:
        """Lua code is about to be called; what that calls again is part of the same go."""
        self.depth += 1
        if self.depth == 1:
            self._first_poll = self._polls

    def poll(self, source: bytes | None = None, line: int | None = None) -> bool:
        """Return whether to stop; the count hook calls this regularly while Lua code runs."""
        self._polls += 1
        if self._polls % _POLLS_PER_TURN == 0:
            give_way()
        if self.ended_by is None and self.settings.should_stop():
            self.ended_by = Cancelled("cancelled")
        steps = (self._polls - self._first_poll) * STEPS_PER_POLL
        limit = self.settings.steps
        if self.ended_by is None and steps >= limit.value:
            self.ended_by = _too_many_steps(limit, decode(source or b""), line or 0)
        return self.ended_by is not None


def _too_many_steps(limit: Limit, source: str, line: int) -> LuaScriptError:
    return LuaScriptError(
        f"the Lua code does not end: it took more than {limit.shown}, the limit {limit.name}",
        frames=[LuaFrame(source[1:], line)] if source.startswith("@") else (),
        hint=f"correct the loop; {limit.hint}",
    )


def display_path(path: str) -> str:
    """Return a path as messages show it: relative to the current directory if it lies below it."""
    try:
        below = os.getcwd() + os.sep  # noqa: PTH109 — needs text
    except OSError:
        return path
    return path.removeprefix(below)
