"""Values between Lua and Python.

Owns what a Lua value is in Python and the way both ways. Only data and plain functions cross: no
Python object is ever handed to Lua, and a Lua function is an opaque handle in Python.

Text is UTF-8; bytes that are none survive the way through as surrogate escapes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union

from lupa import lua54

from envy.errors import DeclarationError, InternalError

if TYPE_CHECKING:
    from envy.lua.sandbox import PhaseAccess

DEEPEST = 200
_INTEGERS = range(-(2**63), 2**63)


class LuaFunction:
    """A function that lives in a Lua state; `where` is the `file:line` at which it is written."""

    __slots__ = ("_slot", "state", "where")

    def __init__(self, state: "FunctionOwner", slot: int, where: str) -> None:
        self.state = state
        self.where = where
        self._slot = slot

    @property
    def slot(self) -> int:
        """Its place among the functions of its state; of no meaning elsewhere."""
        return self._slot

    def __repr__(self) -> str:
        return f"<Lua function {self.where}>"


class LuaOpaque:
    """A value of Lua that cannot be data, such as a coroutine; `what` says what it is."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __repr__(self) -> str:
        return f"<Lua value: {self.what}>"


LuaValue: TypeAlias = Union[  # noqa: UP007 — `|` does not take names in quotes
    bool, int, float, str, list["LuaValue"], dict[Any, "LuaValue"], LuaFunction, LuaOpaque, None
]


@dataclass(frozen=True, slots=True)
class CtxTable:
    """What `ctx` is in one phase.

    `functions` get their arguments as Python values; called with a colon or a dot. `missing` says
    for a name that is not there in this phase what to do instead.
    """

    fields: Mapping[str, LuaValue] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


class FunctionOwner(Protocol):
    """The Lua state that a function lives in, as far as the users of the function need it."""

    def owns(self, bridge: "Bridge") -> bool:
        """Whether `bridge` leads into this state."""

    def call(self, function: LuaFunction, *arguments: object) -> LuaValue:
        """Call a function of this state; the result is the first one it returns."""

    def call_with_ctx(
        self, function: LuaFunction, ctx: CtxTable, options: Mapping[str, object]
    ) -> LuaValue:
        """Call a phase function with `(ctx, opts)`."""

    def phase(self, access: "PhaseAccess") -> AbstractContextManager[None]:
        """Apply the rules of a phase until the context ends."""


def decode(text: bytes) -> str:
    """A Lua string as Python text."""
    return text.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Python text as a Lua string."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DeclarationError(f"text that is no Unicode cannot go to Lua: {text!r}") from error


class Bridge:
    """The way between one Lua runtime and Python.

    It keeps the functions of the state that Python holds a handle to, and the Python functions that
    Lua holds one to, so that handles are numbers on both sides.
    """

    __slots__ = ("_callables", "_functions", "_make_function", "_runtime", "_survey", "_where")

    def __init__(self, runtime: Any, *, survey: Any, where: Any, make_function: Any) -> None:
        self._runtime = runtime
        self._survey = survey
        self._where = where
        self._make_function = make_function
        self._functions: list[Any] = []
        self._callables: list[Callable[..., object]] = []

    def to_python(self, state: FunctionOwner, value: Any, *, name: str = "the value") -> LuaValue:
        """What a Lua value is in Python.

        Raises:
            DeclarationError: it holds itself, is nested too deep, or is no data; `name` is in it.
        """
        kind = type(value)
        if kind is bytes:
            return decode(value)
        if value is None or kind is bool or kind is int or kind is float:
            plain: LuaValue = value
            return plain
        # lupa calls a coroutine that has not begun a function.
        started = kind.__name__ != "_LuaCoroutineFunction"
        which = lua54.lua_type(value) if started else "thread"
        if which == "table":
            found = self._survey(value)
            if found is not None:
                problem, place = found
                raise DeclarationError(f"{name}{decode(place)} is {decode(problem)}")
            return self._table(state, value)
        if which == "function":
            return self._function(state, value)
        raise DeclarationError(f"{name} is {_no_data(which)}")

    def to_python_or_opaque(self, state: FunctionOwner, value: Any, *, name: str) -> LuaValue:
        """The same, but what cannot be data becomes an opaque value instead of an error."""
        try:
            return self.to_python(state, value, name=name)
        except DeclarationError as error:
            return LuaOpaque(error.message)

    def _table(self, state: FunctionOwner, table: Any) -> LuaValue:
        # The survey has been made: there are no cycles, no foreign values and no strange keys here.
        items: dict[Any, LuaValue] = {}
        numbered = 0
        for key, value in table.items():
            kind = type(value)
            converted: LuaValue
            if kind is bytes:
                converted = value.decode("utf-8", "surrogateescape")
            elif kind is bool or kind is int or kind is float:
                converted = value
            elif lua54.lua_type(value) == "table":
                converted = self._table(state, value)
            else:
                converted = self._function(state, value)
            if type(key) is bytes:
                items[decode(key)] = converted
            else:
                items[key] = converted
                numbered += 1
        if numbered and numbered == len(items):
            try:
                return [items[index] for index in range(1, numbered + 1)]
            except KeyError:
                return {key: items[key] for key in sorted(items)}
        # Lua's own order differs from run to run.
        return {key: items[key] for key in sorted(items, key=_by_kind)}

    def _function(self, state: FunctionOwner, function: Any) -> LuaFunction:
        source, line = self._where(function)
        place = f"{decode(source[1:])}:{line}" if source[:1] == b"@" else "[C]"
        self._functions.append(function)
        return LuaFunction(state, len(self._functions) - 1, place)

    def function(self, handle: LuaFunction) -> Any:
        """The runtime's own function behind a handle."""
        return self._functions[handle.slot]

    def callable(self, identifier: int) -> Callable[..., object]:
        """The Python function that Lua knows by a number."""
        return self._callables[identifier]

    def to_lua(self, value: object, *, depth: int = 0) -> Any:
        """What a Python value is for the runtime.

        Raises:
            DeclarationError: an integer beyond 64 bits, or nested too deep.
        """
        if type(value) is str:
            return encode(value)
        if value is None or isinstance(value, bool | float | bytes):
            return value
        if isinstance(value, PurePath | str):
            return encode(str(value))
        if isinstance(value, int):
            if value not in _INTEGERS:
                raise DeclarationError(f"{value} is beyond the integers of Lua, which have 64 bits")
            return int(value)
        # Asked of the types themselves first: an abstract class takes ten times as long.
        if type(value) is dict or type(value) is list or isinstance(value, Mapping | Sequence):
            return self._runtime.table_from(self._entries(value, depth + 1))
        return self._function_to_lua(value)

    def _entries(
        self, value: "Mapping[Any, object] | Sequence[object]", depth: int
    ) -> dict[Any, Any] | list[Any]:
        if depth > DEEPEST:
            raise DeclarationError(f"a value nested more than {DEEPEST} deep cannot go to Lua")
        if type(value) is dict or isinstance(value, Mapping):
            return {
                self.to_lua(key): self.to_lua(inner, depth=depth)
                for key, inner in value.items()
                if inner is not None
            }
        return [self.to_lua(inner, depth=depth) for inner in value]

    def _function_to_lua(self, value: object) -> Any:
        if isinstance(value, LuaFunction):
            if not value.state.owns(self):
                raise InternalError(f"{value!r} belongs to another Lua state")
            return self.function(value)
        if callable(value):
            self._callables.append(value)
            return self._make_function(len(self._callables) - 1)
        raise InternalError(f"a {type(value).__name__} cannot go to Lua")


def _no_data(which: str | None) -> str:
    return {"thread": "a coroutine", "userdata": "a file"}.get(which or "", "no data")


def _by_kind(key: Any) -> tuple[bool, Any]:
    return (isinstance(key, str), key)
