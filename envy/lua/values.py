"""Conversion of values between Lua and Python.

Owns the types of Lua values in Python and the conversion in both directions. Only data and plain
functions cross: no Python object is ever passed to Lua, and a Lua function is an opaque handle in
Python.

Text is UTF-8. Bytes that are not valid UTF-8 survive a round trip as surrogate escapes.
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

MAX_DEPTH = 200
_INTEGERS = range(-(2**63), 2**63)


class LuaFunction:
    """A handle to a function in a Lua state; `where` is the `file:line` of its definition."""

    __slots__ = ("_slot", "state", "where")

    def __init__(self, state: "FunctionOwner", slot: int, where: str) -> None:
        self.state = state
        self.where = where
        self._slot = slot

    @property
    def slot(self) -> int:
        """The index of the function in its state, meaningless in any other state."""
        return self._slot

    def __repr__(self) -> str:
        return f"<Lua function {self.where}>"


class LuaOpaque:
    """A Lua value that cannot be converted to data, such as a coroutine; `what` describes it."""

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
    """The contents of `ctx` in one phase.

    `functions` receive their arguments as Python values, whether called with a dot or a colon.
    `missing` maps each name that is not available in this phase to the error message for it. `name`
    is what messages call the table.
    """

    fields: Mapping[str, LuaValue] = field(default_factory=dict)
    functions: Mapping[str, Callable[..., object]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    name: str = "ctx"


class FunctionOwner(Protocol):
    """The Lua state that a function belongs to, reduced to what users of the function need."""

    def owns(self, bridge: "Bridge") -> bool:
        """Return whether `bridge` converts values of this state."""

    def call(self, function: LuaFunction, *arguments: object) -> LuaValue:
        """Call a function of this state and return its first result."""

    def call_with_ctx(
        self, function: LuaFunction, ctx: CtxTable, options: Mapping[str, object]
    ) -> LuaValue:
        """Call a phase function with `(ctx, opts)`."""

    def phase(self, access: "PhaseAccess") -> AbstractContextManager[None]:
        """Apply the rules of a phase until the context exits."""


def decode(text: bytes) -> str:
    """Return a Lua string as Python text."""
    return text.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return Python text as a Lua string.

    Raises:
        DeclarationError: the text is not valid Unicode.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise DeclarationError(
            f"cannot pass text to Lua that is not valid Unicode: {text!r}"
        ) from error


class Bridge:
    """Converts values between one Lua runtime and Python.

    The bridge stores the Lua functions that Python holds handles to, and the Python functions that
    Lua holds handles to, so that a handle is a number on both sides.
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
        """Return a Lua value as a Python value.

        Raises:
            DeclarationError: the value contains itself, is nested too deep, or cannot be converted.
                The message names the value by `name`.
        """
        kind = type(value)
        if kind is bytes:
            return decode(value)
        if value is None or kind is bool or kind is int or kind is float:
            plain: LuaValue = value
            return plain
        # For lua_type, a coroutine that has not started is a function.
        started = kind.__name__ != "_LuaCoroutineFunction"
        lua_type = lua54.lua_type(value) if started else "thread"
        if lua_type == "table":
            found = self._survey(value)
            if found is not None:
                problem, path = found
                raise DeclarationError(f"{name}{decode(path)} is {decode(problem)}")
            return self._table(state, value)
        if lua_type == "function":
            return self._function(state, value)
        raise DeclarationError(f"{name} is {_describe_unconvertible(lua_type)}")

    def to_python_or_opaque(self, state: FunctionOwner, value: Any, *, name: str) -> LuaValue:
        """Return a Lua value as a Python value, or a LuaOpaque if it cannot be converted."""
        try:
            return self.to_python(state, value, name=name)
        except DeclarationError as error:
            return LuaOpaque(error.message)

    def _table(self, state: FunctionOwner, table: Any) -> LuaValue:
        # The survey has already ruled out cycles, unconvertible values and unconvertible keys.
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
        # The order in which Lua yields keys differs from run to run.
        return {key: items[key] for key in sorted(items, key=_numbers_first)}

    def _function(self, state: FunctionOwner, function: Any) -> LuaFunction:
        source, line = self._where(function)
        location = f"{decode(source[1:])}:{line}" if source[:1] == b"@" else "[C]"
        self._functions.append(function)
        return LuaFunction(state, len(self._functions) - 1, location)

    def function(self, handle: LuaFunction) -> Any:
        """Return the runtime's function object that a handle refers to."""
        return self._functions[handle.slot]

    def callable(self, identifier: int) -> Callable[..., object]:
        """Return the Python function that Lua refers to by `identifier`."""
        return self._callables[identifier]

    def to_lua(self, value: object, *, depth: int = 0) -> Any:
        """Return a Python value as a value of the runtime.

        Raises:
            DeclarationError: an integer does not fit in 64 bits, or the value is nested too deep.
            InternalError: the value has no counterpart in Lua, or belongs to another state.
        """
        if type(value) is str:
            return encode(value)
        if value is None or isinstance(value, bool | float | bytes):
            return value
        if isinstance(value, PurePath | str):
            return encode(str(value))
        if isinstance(value, int):
            if value not in _INTEGERS:
                raise DeclarationError(f"{value} does not fit in a Lua integer, which has 64 bits")
            return int(value)
        # Exact types first: isinstance with an abstract class takes ten times as long.
        if type(value) is dict or type(value) is list or isinstance(value, Mapping | Sequence):
            return self._runtime.table_from(self._entries(value, depth + 1))
        return self._function_to_lua(value)

    def _entries(
        self, value: "Mapping[Any, object] | Sequence[object]", depth: int
    ) -> dict[Any, Any] | list[Any]:
        if depth > MAX_DEPTH:
            raise DeclarationError(
                f"cannot pass a value to Lua that is nested more than {MAX_DEPTH} deep"
            )
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
        raise InternalError(f"cannot pass a value of type {type(value).__name__} to Lua")


def _describe_unconvertible(lua_type: str | None) -> str:
    return {"thread": "a coroutine", "userdata": "a file"}.get(lua_type or "", "not data")


def _numbers_first(key: Any) -> tuple[bool, Any]:
    return (isinstance(key, str), key)
