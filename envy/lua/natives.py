"""The Python functions that Lua code can call: for `envy.*`, files, variables, modules and the ctx.

Owns the table of functions behind `native` in the prelude. Each function returns (True, values…) or
raises. An EnvyError becomes a Lua error that Lua code can catch. Cancelled and all other exceptions
end the state for good, and the Python call into Lua raises them unchanged.
"""

import inspect
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from envy.errors import Cancelled, EnvyError, InternalError, LuaScriptError
from envy.interpreter import come_back_from_lua, go_into_lua
from envy.lua.host import Host
from envy.lua.positions import count_arguments
from envy.lua.sandbox import ABSENT
from envy.lua.traceback import message_for_lua
from envy.lua.values import CtxTable, LuaValue, decode, encode
from envy.os_errors import os_error_hint, os_error_text
from envy.suggest import nearest

Answer = tuple[object, ...]


def callbacks(host: Host) -> tuple[Callable[..., Any], ...]:
    """Return the functions that the prelude receives: `native`, `poll`, `lift` and `limit`."""
    reference = weakref.ref(host)
    return _native(reference), _poll(reference), _lift(reference), _limit(reference)


def _native(reference: "weakref.ref[Host]") -> Callable[..., Answer]:
    def native(name: bytes, *arguments: Any) -> Answer:
        host = reference()
        if host is None:
            return (None,)
        was_inside = come_back_from_lua()
        try:
            return _NATIVES[name](host, *arguments)
        except Cancelled as error:
            host.ended_by = error
        except EnvyError as error:
            host.last_error = error
            return False, encode(message_for_lua(error))
        except BaseException as error:  # noqa: BLE001 — call() raises it again
            host.ended_by = error
        finally:
            if was_inside:
                go_into_lua()
        return (None,)

    return native


def _poll(reference: "weakref.ref[Host]") -> Callable[..., bool]:
    def poll(*where: Any) -> bool:
        host = reference()
        was_inside = come_back_from_lua()
        try:
            return host is None or host.poll(*where)
        except BaseException as error:  # noqa: BLE001 — as above
            if host is not None:
                host.ended_by = error
            return True
        finally:
            if was_inside:
                go_into_lua()

    return poll


def _lift(reference: "weakref.ref[Host]") -> Callable[[], None]:
    def lift() -> None:
        if host := reference():
            host.runtime.set_max_memory(0)

    return lift


def _limit(reference: "weakref.ref[Host]") -> Callable[[], None]:
    def limit() -> None:
        if host := reference():
            host.runtime.set_max_memory(host.settings.memory_limit)

    return limit


def _text(value: Any, index: int, function: str) -> str:
    """Return an argument that must be a string, or a number, which Lua converts to a string."""
    if isinstance(value, bytes):
        return decode(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise LuaScriptError(f"bad argument #{index} to '{function}' (string expected)")


def _parked(host: Host, name: bytes) -> Answer:
    """Carry out a call whose arguments include tables or functions: see `parked` in the prelude."""
    _, *arguments = host.unpark()
    return _NATIVES[name](host, *arguments)


# ------------------------------------------------------------------ output


def _log(host: Host, level: bytes, message: bytes) -> Answer:
    if level != b"debug":
        host.access.note_output()
    log = host.access.on_output or host.settings.on_log
    log(decode(level), decode(message))
    return (True,)


def _print(host: Host, message: bytes) -> Answer:
    if host.settings.on_print is None:
        return _log(host, b"info", message)
    host.access.note_output()
    host.settings.on_print(decode(message))
    return (True,)


def _stdout(host: Host, message: bytes) -> Answer:
    host.access.note_output()
    log = host.access.on_output
    if log is not None:
        log("stdout", decode(message))
    else:
        host.settings.on_stdout(decode(message))
    return (True,)


# ------------------------------------------------------------------ files and variables


def _open(host: Host, path: Any = None, mode: Any = None, *_: Any) -> Answer:
    name = _text(path, 1, "io.open")
    flags = "r" if mode is None else _text(mode, 2, "io.open")
    absolute = ""
    if flags.startswith(("r", "a")) and (flags[0] == "r" or "+" in flags):
        absolute = host.access.for_reading(name)
    if flags[:1] in ("w", "a") or "+" in flags:
        absolute = host.access.for_writing(name, follow=True)
    if not absolute:
        raise LuaScriptError("bad argument #2 to 'open' (invalid mode)")
    return True, encode(absolute)


def _change(host: Host, path: Any = None, *_: Any) -> Answer:
    name = _text(path, 1, "os.remove or os.rename")
    return True, encode(host.access.for_writing(name, follow=False))


def _getenv(host: Host, name: Any = None, *_: Any) -> Answer:
    value = host.access.variable(_text(name, 1, "os.getenv"))
    return True, None if value is None else encode(value)


def _clock(host: Host) -> Answer:
    host.access.note_clock()
    return (True,)


def _os_version(host: Host) -> Answer:
    host.access.note_os_version()
    return True, b""


def _absent(_host: Host, library: bytes, key: Any) -> Answer:
    name = f"{decode(library)}.{decode(key) if isinstance(key, bytes) else key}"
    if remedy := ABSENT.get(name):
        raise LuaScriptError(f"{name} is not available in recipes: {remedy}")
    return True, None


# ------------------------------------------------------------------ modules


def _module_files(name: str) -> tuple[str, ...]:
    path = name.replace(".", "/")
    return (f"{path}.lua", f"{path}/init.lua")


def _find_source(host: Host, candidates: tuple[str, ...], folders: Sequence[str] = ("",)) -> Answer:
    for folder in folders:
        for candidate in candidates:
            if found := host.access.source(candidate, folder):
                content, path = found
                return True, without_shebang(content), host.source_name(path)
    return (True, None)


def without_shebang(content: bytes) -> bytes:
    """Return Lua text without a byte order mark and with a `#!` line commented out, as Lua does."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    return b"--" + content if content.startswith(b"#") else content


def _module(host: Host, name: Any = None, *_: Any) -> Answer:
    module = _text(name, 1, "require")
    if host.access.in_phase and not host.access.loads_modules:
        raise LuaScriptError(
            f"module '{module}' was not loaded with the file: require it outside of functions, "
            "because modules are part of the recipe's key"
        )
    candidates, folders = _module_files(module), host.access.module_folders
    answer = _find_source(host, candidates, folders)
    if answer[1] is None:
        where = "beside the file" if len(folders) == 1 else "beside the file or in its bundle"
        raise LuaScriptError(f"module '{module}' not found: no {' or '.join(candidates)} {where}")
    return answer


def _source(host: Host, path: Any = None, *_: Any) -> Answer:
    name = _text(path, 1, "dofile")
    answer = _find_source(host, (name,))
    if answer[1] is None:
        return True, None, encode(f"cannot open {name}: no such file beside the loaded file")
    return answer


def _environment(host: Host, name: Any = None, *_: Any) -> Answer:
    module = _text(name, 1, "envy.loadenv")
    candidates = (module,) if module.endswith(".lua") else _module_files(module)
    answer = _find_source(host, candidates)
    if answer[1] is None:
        raise LuaScriptError(f"envy.loadenv: no {' or '.join(candidates)} beside the loaded file")
    return answer


# ------------------------------------------------------------------ envy.*


def _per_platform(host: Host, *keys: Any) -> Answer:
    platform = host.settings.platform
    names = sorted(_text(key, 1, "envy.per_platform") for key in keys)
    matching = [name for name in names if platform.matches(name)]
    if not matching:
        raise LuaScriptError(
            f"envy.per_platform has no value for {platform.tag}; "
            f"its keys are {', '.join(names) or 'none'}"
        )
    return True, encode(max(matching, key=lambda name: "-" in name))


def _template(host: Host, text: Any = None, values: Any = None, *_: Any) -> Answer:
    template = _text(text, 1, "envy.template")
    table = host.to_python(values, name="the values of envy.template")
    if not isinstance(table, Mapping):
        raise LuaScriptError("bad argument #2 to 'envy.template' (a table of values expected)")
    from envy.lua.template import fill_template

    return True, encode(fill_template(template, table))


def _path_function(name: str, function: Callable[[str], str]) -> Callable[..., Answer]:
    def answer(_host: Host, path: Any = None, *_: Any) -> Answer:
        return True, encode(function(_text(path, 1, f"envy.path.{name}")))

    return answer


def _path_join(_host: Host, *parts: Any) -> Answer:
    names = [_text(part, index, "envy.path.join") for index, part in enumerate(parts, 1)]
    return True, encode(os.path.join(*names) if names else "")  # noqa: PTH118 — keeps `a/` and `./`


# ------------------------------------------------------------------ ctx and other callables


def _field(host: Host, identifier: int, key: Any) -> Answer:
    """Return whether a name that is missing from the ctx table is one of its functions.

    Raises:
        LuaScriptError: the name is unknown or not available in this phase, or the phase has ended.
    """
    ctx = _active_ctx(host, identifier)
    name = decode(key) if isinstance(key, bytes) else str(key)
    if name in ctx.functions:
        return True, True
    if name in ctx.fields:
        return True, False
    if name in ctx.missing:
        raise LuaScriptError(ctx.missing[name])
    near = nearest(name, [*ctx.fields, *ctx.functions])
    where = " in this phase" if ctx.name == "ctx" else ""
    raise LuaScriptError(
        f"{ctx.name} has no field '{name}'{where}" + (f"; did you mean '{near}'?" if near else "")
    )


def _active_ctx(host: Host, identifier: int) -> CtxTable:
    ctx = host.contexts.get(identifier)
    if ctx is None:
        raise LuaScriptError("this ctx belongs to a phase that has ended")
    return ctx


def _ctx(host: Host, identifier: int, key: bytes, *arguments: Any) -> Answer:
    name, ctx = decode(key), _active_ctx(host, identifier)
    return _invoke(host, ctx.functions[name], f"{ctx.name}.{name}", arguments)


def _nil_argument(_host: Host, source: bytes, line: int, count: int) -> Answer:
    """Refuse a call `ctx.exec { …, nil }` whose last arguments are nil: the table does not say so.

    Raises:
        LuaScriptError: the call in this line of the source has more arguments than `count`.
    """
    if source[:1] == b"@":
        try:
            text = Path(decode(source[1:])).read_text("utf-8", "surrogateescape")
        except OSError:
            return True, None
        written = count_arguments(text, line, "exec")
        if written is not None and written > count:
            raise LuaScriptError(f"ctx.exec: argument {count + 1} is nil")
    return True, None


def _call(host: Host, identifier: int, *arguments: Any) -> Answer:
    if host.bridge is None:
        raise InternalError("a closed Lua state was used")
    return _invoke(host, host.bridge.callable(identifier), "the function", arguments)


def _invoke(
    host: Host, function: Callable[..., object], name: str, arguments: tuple[Any, ...]
) -> Answer:
    try:
        converted = [
            host.to_python(argument, name=f"argument #{index} of {name}")
            for index, argument in enumerate(arguments, 1)
        ]
        return True, host.to_lua(_apply(function, name, converted))
    except Cancelled:
        raise
    except OSError as error:
        host.last_error = EnvyError(f"{name}: {os_error_text(error)}", hint=os_error_hint(error))
        raise host.last_error from error
    except EnvyError as error:
        host.last_error = error
        raise


def _apply(function: Callable[..., object], name: str, arguments: list[LuaValue]) -> object:
    try:
        return function(*arguments)
    except TypeError:
        # Both a missing argument in Lua code and a bug in envy raise a TypeError.
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError as error:
            raise LuaScriptError(f"{name}: {error}") from error
        raise


_NATIVES: Mapping[bytes, Callable[..., Answer]] = {
    b"absent": _absent,
    b"call": _call,
    b"change": _change,
    b"clock": _clock,
    b"ctx": _ctx,
    b"environment": _environment,
    b"field": _field,
    b"getenv": _getenv,
    b"log": _log,
    b"print": _print,
    b"module": _module,
    b"nil_argument": _nil_argument,
    b"open": _open,
    b"os_version": _os_version,
    b"parked": _parked,
    b"path.basename": _path_function("basename", os.path.basename),
    b"path.dirname": _path_function("dirname", os.path.dirname),
    b"path.extension": _path_function("extension", lambda path: PurePath(path).suffix),
    b"path.join": _path_join,
    b"path.stem": _path_function("stem", lambda path: PurePath(path).stem),
    b"per_platform": _per_platform,
    b"source": _source,
    b"stdout": _stdout,
    b"template": _template,
}
