"""The Python half of a Lua state: its rules, its ctx tables, and how its running ends.

Owns what the functions in surface.py share. Calls no Lua.
"""

import os
import weakref
from typing import Any

from envy.errors import Cancelled, EnvyError, InternalError
from envy.interpreter import give_way
from envy.lua.sandbox import FileAccess, SandboxSettings
from envy.lua.traceback import shortened
from envy.lua.values import Bridge, CtxTable, FunctionOwner, LuaValue, encode

_POLLS_PER_TURN = 32  # of the count hook: some 16 ms of Lua


class Host:
    """What one state's Lua code can reach of envy, and how its running ends.

    Lua holds Python functions, which Python's collector cannot see. They know this object by a weak
    reference only, and it knows the state by one, so that a dropped state is freed at once.
    """

    __slots__ = (
        "__weakref__",
        "_polls",
        "_state",
        "access",
        "bridge",
        "contexts",
        "depth",
        "ended_by",
        "files",
        "remembered",
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
        self.remembered: EnvyError | None = None
        self.ended_by: BaseException | None = None
        self._polls = 0

    def to_python(self, value: Any, *, name: str) -> LuaValue:
        """What a value of this state is in Python."""
        state = self._state()
        if state is None or self.bridge is None:
            raise InternalError("a value of a closed Lua state was used")
        return self.bridge.to_python(state, value, name=name)

    def to_lua(self, value: object) -> Any:
        """What a Python value is in this state."""
        if self.bridge is None:
            raise InternalError("a closed Lua state was used")
        return self.bridge.to_lua(value)

    def source_name(self, path: str) -> bytes:
        """The name of a file for Lua, remembered so that positions in messages can be read back."""
        shown = displayed(path)
        self.files[shortened(shown)] = shown
        return b"@" + encode(shown)

    def poll(self) -> bool:
        """Whether to stop; asked by the count hook, again and again while Lua code runs."""
        self._polls += 1
        if self._polls % _POLLS_PER_TURN == 0:
            give_way()
        if self.ended_by is None and self.settings.should_stop():
            self.ended_by = Cancelled("cancelled")
        return self.ended_by is not None


def displayed(path: str) -> str:
    """A path as messages show it: relative to the current directory if it is below that."""
    try:
        below = os.getcwd() + os.sep  # noqa: PTH109 — text is wanted
    except OSError:
        return path
    return path.removeprefix(below)
