"""A Lua state: a sandbox that loads the file of an author and whose functions can be called.

Assumption
  The caller uses a state in one thread at a time; the threads may differ over time.

Guarantees
  An error in Lua code is raised as LuaScriptError, and a stop as Cancelled. An exception other than
  EnvyError that a Python function called from Lua raises is raised unchanged. After a stop or such
  an exception the state is dead: every further use raises the same exception.
  States share no data with each other.
"""

import contextlib
import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lupa import lua54

from envy.content.plain_file import NotPlain, read_plain
from envy.errors import DeclarationError, InternalError, LuaFrame, LuaScriptError, SourceLocation
from envy.host.platform import Platform
from envy.interpreter import come_back_from_lua, go_into_lua
from envy.limits import LUA_MEMORY
from envy.lua.host import Host, display_path
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

# Plain strings with a prefix that no path has, to distinguish a constant from a path.
SHELL_CONSTANTS = {name: f"@shell:{name.lower()}" for name in ("BASH", "SH", "CMD", "POWERSHELL")}

_SHELLS = {encode(name): encode(value) for name, value in SHELL_CONSTANTS.items()}

# Each call takes some ten frames of Python, which allows a thousand, and stack of the thread.
_MAX_NESTED_CALLS = 40

_COMPILED = b"\x1bLua"
_SET_ARG = b"arg = { [0] = (...), select(2, ...) }"


@functools.cache
def _constants_of(platform: Platform) -> Mapping[bytes, bytes | None]:
    """Return the constants that all states of a run have in common."""
    return {
        b"ENVY_PLATFORM": encode(platform.os),
        b"ENVY_ARCH": encode(platform.arch),
        b"ENVY_PLATFORM_ARCH": encode(platform.tag),
        # Without it, the prelude tells `ReadLog` when a file asks for it.
        b"ENVY_OS_VERSION": encode(platform.os_version) if platform.os_version else None,
        b"ENVY_LIBC": encode(platform.libc) if platform.libc else None,
    }


class LuaState:
    """A sandboxed Lua state, and the functions of the prelude that Python calls."""

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

    def __init__(
        self, settings: SandboxSettings, *, base_dir: Path, shared_dir: Path | None = None
    ) -> None:
        """Create a state whose files are in `base_dir`, and modules perhaps in `shared_dir`."""
        self._settings = settings
        self._access = FileAccess(base_dir, settings.environment, shared_dir=shared_dir)
        self._host = Host(self, settings, self._access)
        self._runtime: Any = lua54.LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            max_memory=0,  # 0 counts without a limit; the prelude sets it around Lua code
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
        """The log of what this state has read while loading."""
        return self._access.reads

    def owns(self, bridge: Bridge) -> bool:
        """Return whether `bridge` converts values of this state."""
        return self._bridge is bridge

    def load_file(self, path: Path, content: bytes | None = None) -> None:
        """Run a file; `content` is its text, if the caller has already read it.

        Raises:
            DeclarationError: the file cannot be read, or is compiled Lua.
            LuaScriptError: the text is not valid Lua, or an error occurred while it ran.
            Cancelled: the run was stopped.
        """
        self._run_text(path, content)

    def run_script(self, path: Path, words: Sequence[str]) -> LuaValue:
        """Run a file as a program, and return its first result.

        `words` are its name, which is `arg[0]`, and its arguments, in `arg` and `...`.

        Raises:
            DeclarationError, LuaScriptError, Cancelled: as `load_file`.
        """
        self._check_usable()
        encoded = [encode(word) for word in words]
        with self._translated_errors():
            self._first_result(self._run_file(_SET_ARG, b"=arg", *encoded))
        result = self._run_text(path, None, *encoded[1:])
        return self._bridge.to_python_or_opaque(self, result, name="the result")

    def _run_text(self, path: Path, content: bytes | None, *arguments: bytes) -> Any:
        """Run a file, and return its first result, which is still a value of Lua."""
        try:
            content = read_plain(str(path), LUA_MEMORY) if content is None else content
        except OSError as error:
            raise DeclarationError(
                f"the file cannot be read: {error.strerror}", origin=_origin(path)
            ) from error
        except NotPlain as error:
            raise DeclarationError(
                f"the file {error}",
                origin=_origin(path),
                hint=error.limit.hint if error.limit else "",
            ) from error
        if content.startswith(_COMPILED):
            raise DeclarationError(
                "the file is compiled Lua; envy loads only Lua source text", origin=_origin(path)
            )
        self._check_usable()
        name = self._host.source_name(str(path))
        with self._translated_errors():
            text = without_shebang(content)
            self._host.enter()
            go_into_lua()
            try:
                results = self._run_file(text, name, *arguments)
            finally:
                come_back_from_lua()
                self._host.depth -= 1
            return self._first_result(results)

    def user_globals(self, names: Collection[str] | None = None) -> dict[str, LuaValue]:
        """Return the globals that loaded files defined, or only those among `names`.

        A value that cannot be converted becomes a LuaOpaque.
        """
        self._check_usable()
        with self._translated_errors():
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
        """Call a function of this state and return its first result.

        Raises:
            LuaScriptError: the function failed.
            DeclarationError: an argument or the result cannot be converted.
            Cancelled: the run was stopped.
        """
        self._check_usable()
        if function.state is not self:
            raise InternalError(f"{function!r} belongs to another Lua state")
        with self._translated_errors():
            converted = [self._bridge.to_lua(argument) for argument in arguments]
            return self._call(function, converted)

    def call_with_ctx(
        self, function: LuaFunction, ctx: CtxTable, options: Mapping[str, object]
    ) -> LuaValue:
        """Call a phase function with `(ctx, opts)`, where `ctx.options` is the table `opts`."""
        self._check_usable()
        if function.state is not self:
            raise InternalError(f"{function!r} belongs to another Lua state")
        contexts = self._host.contexts
        identifier = max(contexts, default=0) + 1
        contexts[identifier] = ctx
        try:
            with self._translated_errors():
                opts = self._bridge.to_lua(options)
                table = self._bridge.to_lua(ctx.fields)
                table[b"options"] = opts
                return self._call(function, [self._make_ctx(identifier, table), opts])
        finally:
            contexts.pop(identifier, None)

    def _call(self, function: LuaFunction, arguments: list[Any]) -> LuaValue:
        host = self._host
        if host.depth >= _MAX_NESTED_CALLS:
            raise LuaScriptError(
                f"calls from Python to Lua and back are nested more than {_MAX_NESTED_CALLS} deep"
            )
        host.enter()
        try:
            called = self._bridge.function(function)
            go_into_lua()
            try:
                results = self._run(called, *arguments)
            finally:
                come_back_from_lua()
        finally:
            host.depth -= 1
        value = self._first_result(results, entered_at=function.where)
        return self._bridge.to_python(self, value, name="the result")

    @contextlib.contextmanager
    def phase(self, access: PhaseAccess) -> Iterator[None]:
        """Apply the rules of a phase to Lua code until the context exits."""
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
    def _translated_errors(self) -> Iterator[None]:
        """Translate the errors of lupa itself: a stop, or too little memory to convert a value."""
        try:
            yield
        except lua54.LuaError as error:
            self._runtime.set_max_memory(0)
            if self._host.ended_by is not None:
                raise self._host.ended_by from None
            out_of_memory = isinstance(error, lua54.LuaMemoryError)
            raise self._error(
                OUT_OF_MEMORY if out_of_memory else _without_traceback(error), []
            ) from None

    def _first_result(self, results: Any, *, entered_at: str = "") -> Any:
        """Return the first result of a protected call, or raise its error."""
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
            cause=self._host.last_error,
            memory_limit=self._settings.memory_limit,
        )
        if not error.frames and entered_at:
            # A tail call such as `return ctx.run(…)` leaves no line of the author on the stack.
            path, _, line = entered_at.rpartition(":")
            error.frames = (LuaFrame(path, int(line)),) if path else ()
        return error


def _origin(path: Path) -> SourceLocation:
    return SourceLocation(Path(display_path(str(path))))


def _without_traceback(error: Exception) -> str:
    """Return the message of an error of lupa without the traceback that lupa appends."""
    raw = error.args[0] if error.args else ""
    text = decode(raw) if isinstance(raw, bytes) else str(raw)
    return text.partition("\nstack traceback:")[0]
