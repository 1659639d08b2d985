"""One Lua state: a sandbox into which an author's file is loaded and whose functions are called.

Guarantees
  A state is used by one thread at a time (the caller's duty), by different ones over time.
  What Lua code does wrong comes out as LuaScriptError, what a stop ends as Cancelled, and what a
  Python function called from Lua raised besides EnvyError as itself; after the last two the state
  is dead and each further use raises the same.
  A state is made of nothing that is shared with another one.
"""

import contextlib
import functools
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from lupa import lua54

from envy.errors import DeclarationError, InternalError, LuaFrame, LuaScriptError, SourceLocation
from envy.host.platform import Platform
from envy.lua.host import Host, displayed
from envy.lua.natives import callbacks, without_shebang
from envy.lua.prelude import prelude_bytecode
from envy.lua.sandbox import FileAccess, PhaseAccess, ReadLog, SandboxSettings
from envy.lua.traceback import OUT_OF_MEMORY, parse_trace, script_error
from envy.lua.values import (
    Bridge,
    CtxTable,
    LuaFunction,
    LuaOpaque,
    LuaValue,
    decode,
    encode,
)

__all__ = [
    "CtxTable",
    "LuaFunction",
    "LuaOpaque",
    "LuaState",
    "LuaValue",
    "PhaseAccess",
    "ReadLog",
    "SandboxSettings",
]

# Plain strings with a mark that no path has, so that a constant is told from a path.
SHELL_CONSTANTS = {name: f"@shell:{name.lower()}" for name in ("BASH", "SH", "CMD", "POWERSHELL")}

_SHELLS = {encode(name): encode(value) for name, value in SHELL_CONSTANTS.items()}

# Each takes some ten frames of Python, which allows a thousand, and stack of the thread.
_DEEPEST_CALLS = 40

_COMPILED = b"\x1bLua"


@functools.cache
def _constants_of(platform: Platform) -> Mapping[bytes, bytes | None]:
    """What every state of a run is told, made once."""
    return {
        b"ENVY_PLATFORM": encode(platform.os),
        b"ENVY_ARCH": encode(platform.arch),
        b"ENVY_PLATFORM_ARCH": encode(platform.tag),
        b"ENVY_OS_VERSION": encode(platform.os_version),
        b"ENVY_LIBC": encode(platform.libc) if platform.libc else None,
    }


class LuaState:
    """A Lua state and the values that Python holds of it."""

    __slots__ = (
        "__weakref__",
        "_access",
        "_bridge",
        "_host",
        "_make_ctx",
        "_new_globals",
        "_run",
        "_run_file",
        "_runtime",
        "_settings",
    )

    def __init__(self, settings: SandboxSettings, *, base_dir: Path) -> None:
        self._settings = settings
        self._access = FileAccess(base_dir, settings.environment)
        self._host = Host(self, settings, self._access)
        self._runtime: Any = lua54.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            max_memory=0,  # counted; the prelude sets the limit around Lua code
        )
        self._host.runtime = self._runtime
        functions = self._runtime.execute(
            prelude_bytecode(), *callbacks(self._host), self._constants()
        )
        self._run: Any
        self._run_file: Any
        self._new_globals: Any
        self._run, self._run_file, self._host.unpark, self._new_globals = functions[:4]
        survey, where, make_function, make_ctx = functions[4:]
        self._make_ctx: Any = make_ctx
        self._bridge = Bridge(
            self._runtime, survey=survey, where=where, make_function=make_function
        )
        self._host.bridge = self._bridge

    def _constants(self) -> Any:
        table_from = self._runtime.table_from
        constants = dict(_constants_of(self._settings.platform))
        constants[b"ENVY_SHELL"] = table_from(_SHELLS)
        return table_from(constants)

    @property
    def reads(self) -> ReadLog:
        """What was read while loading, so far."""
        return self._access.reads

    def owns(self, bridge: Bridge) -> bool:
        """Whether `bridge` leads into this state."""
        return self._bridge is bridge

    def load_file(self, path: Path, content: bytes | None = None) -> None:
        """Run a file; `content` is what it holds, for who has read it.

        Raises:
            DeclarationError: it cannot be read.
            LuaScriptError: its text is no Lua, or running it failed.
        """
        try:
            content = path.read_bytes() if content is None else content
        except OSError as error:
            raise DeclarationError(
                f"cannot be read: {error.strerror}", origin=_shown(path)
            ) from error
        if content.startswith(_COMPILED):
            raise DeclarationError("compiled Lua; envy takes its text", origin=_shown(path))
        self._check_usable()
        name = self._host.source_name(str(path))
        with self._failures():
            self._finish(self._run_file(without_shebang(content), name))

    def user_globals(self, names: Collection[str] | None = None) -> dict[str, LuaValue]:
        """The globals that loaded files defined; what cannot be data is a LuaOpaque.

        With `names`, only those.
        """
        self._check_usable()
        with self._failures():
            found = sorted(
                (text, value)
                for name, value in self._new_globals().items()
                if isinstance(name, bytes)
                for text in [decode(name)]
                if names is None or text in names
            )
            return {
                name: self._bridge.to_python_or_opaque(self, value, name=name)
                for name, value in found
            }

    def call(self, function: LuaFunction, *arguments: object) -> LuaValue:
        """Call a function of this state; of several results the first.

        Raises:
            LuaScriptError: it failed.
            DeclarationError: an argument or the result cannot go between Lua and Python.
            Cancelled: the run was stopped.
        """
        self._check_usable()
        if function.state is not self:
            raise InternalError(f"{function!r} belongs to another Lua state")
        with self._failures():
            converted = [self._bridge.to_lua(argument) for argument in arguments]
            return self._call(function, converted)

    def call_with_ctx(
        self, function: LuaFunction, ctx: CtxTable, options: Mapping[str, object]
    ) -> LuaValue:
        """Call a phase function with `(ctx, opts)`; `ctx.options` is the same table as opts."""
        self._check_usable()
        if function.state is not self:
            raise InternalError(f"{function!r} belongs to another Lua state")
        contexts = self._host.contexts
        identifier = max(contexts, default=0) + 1
        contexts[identifier] = ctx
        try:
            with self._failures():
                opts = self._bridge.to_lua(options)
                table = self._bridge.to_lua(ctx.fields)
                table[b"options"] = opts
                return self._call(function, [self._make_ctx(identifier, table), opts])
        finally:
            contexts.pop(identifier, None)

    def _call(self, function: LuaFunction, arguments: list[Any]) -> LuaValue:
        host = self._host
        if host.depth >= _DEEPEST_CALLS:
            raise LuaScriptError(
                f"calls from Python to Lua and back are nested more than {_DEEPEST_CALLS} deep"
            )
        host.depth += 1
        try:
            results = self._run(self._bridge.function(function), *arguments)
        finally:
            host.depth -= 1
        value = self._finish(results, entered_at=function.where)
        return self._bridge.to_python(self, value, name="the result")

    @contextlib.contextmanager
    def phase(self, access: PhaseAccess) -> Iterator[None]:
        """Let Lua code do what a phase may, for as long as the context lasts."""
        with self._access.phase(access):
            yield

    def close(self) -> None:
        """Free the state; its functions cannot be called any more. May be called twice."""
        self._host.bridge = self._host.runtime = self._host.unpark = self._runtime = self._run = (
            self._run_file
        ) = None
        self._new_globals = self._make_ctx = None
        self._bridge = Bridge(None, survey=None, where=None, make_function=None)

    def _check_usable(self) -> None:
        if self._runtime is None:
            raise InternalError("a closed Lua state was used")
        if self._host.ended_by is not None:
            raise self._host.ended_by

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Errors that come from lupa itself: a stop or the memory's end while values cross."""
        try:
            yield
        except lua54.LuaError as error:
            self._runtime.set_max_memory(0)
            if self._host.ended_by is not None:
                raise self._host.ended_by from None
            out_of_memory = isinstance(error, lua54.LuaMemoryError)
            raise self._error(OUT_OF_MEMORY if out_of_memory else _first_lines(error), []) from None

    def _finish(self, results: Any, *, entered_at: str = "") -> Any:
        """The first result of a protected call, or its error."""
        if self._host.ended_by is not None:
            raise self._host.ended_by
        if results is True:
            return None
        if results[0]:
            return results[1]
        text, frames = parse_trace(results[1])
        raise self._error(text, frames, entered_at=entered_at)

    def _error(self, text: str, frames: list[LuaFrame], *, entered_at: str = "") -> LuaScriptError:
        error = script_error(
            text,
            frames,
            files=self._host.files,
            cause=self._host.remembered,
            memory_limit=self._settings.memory_limit,
        )
        if not error.frames and entered_at:
            # A tail call such as `return ctx.run(…)` leaves no line of the author's on the stack.
            path, _, line = entered_at.rpartition(":")
            error.frames = (LuaFrame(path, int(line)),) if path else ()
        return error


def _shown(path: Path) -> SourceLocation:
    return SourceLocation(Path(displayed(str(path))))


def _first_lines(error: Exception) -> str:
    """What lupa says about an error, without the trace that it adds."""
    said = error.args[0] if error.args else ""
    text = decode(said) if isinstance(said, bytes) else str(said)
    return text.partition("\nstack traceback:")[0]
