"""What a test passes to the functions of `t`, strictly parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from envy.declarations import fields
from envy.errors import DeclarationError
from envy.lua.values import LuaFunction
from envy.testing.drivers.recipe.scripted import ProgramAnswer, Served

_SERVED = frozenset({"content", "files", "executable", "error", "wrong_digest", "commit"})
_ANSWER = frozenset({"exit_code", "stdout", "stderr", "files"})
_PACKAGE = frozenset({"files", "products", "exports", "alias"})


def text_of(what: str, value: object, name: str = "its first argument") -> str:
    """Return a text that is not empty."""
    if isinstance(value, str) and value:
        return value
    given = '""' if value == "" else fields.describe(value)
    raise DeclarationError(f"{what}: {name} must be a text, not {given}")


def table_of(what: str, value: object, known: frozenset[str], name: str) -> Mapping[str, object]:
    """Return a table with no other fields than these; nil is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise DeclarationError(f"{what}: {name} must be a table, not {fields.describe(value)}")
    fields.check_known(value, known, what=what, origin=None)
    return value


def options_of(what: str, value: object) -> Mapping[str, object]:
    """Return the options of a recipe: a table with names, or nothing."""
    if value is None or value == {}:
        return {}
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        given = "an array" if isinstance(value, list) else fields.describe(value)
        raise DeclarationError(
            f"{what}: the options must be a table with names, not {given}",
            hint='such as { version = "1.0" }',
        )
    return value


def function_of(what: str, value: object) -> LuaFunction:
    """Return a function."""
    if isinstance(value, LuaFunction):
        return value
    raise DeclarationError(
        f"{what}: its first argument must be a function, not {fields.describe(value)}",
        hint="such as function() t.install() end",
    )


def served_of(value: object) -> Served:
    """Return what `t.serve` lets a source be."""
    what = "t.serve"
    if isinstance(value, str):
        return Served(content=_bytes(value))
    if not isinstance(value, dict):
        raise DeclarationError(
            f"{what}: a response is a string or a table, not {fields.describe(value)}",
            hint='such as "content", { files = { … } } or { error = "404 Not Found" }',
        )
    fields.check_known(value, _SERVED, what="a response of t.serve", origin=None)
    kinds = [name for name in ("content", "files", "error", "wrong_digest") if name in value]
    if len(kinds) != 1:
        raise DeclarationError(
            f"{what}: a response has one of `content`, `files`, `error` and `wrong_digest`, "
            f"and this one has {' and '.join(f'`{name}`' for name in kinds) or 'none'}"
        )
    return Served(
        content=_bytes(fields.text(value, "content", origin=None)) if "content" in value else None,
        files=files_of(what, value["files"]) if "files" in value else None,
        executable=frozenset(
            fields.texts(value, "executable", origin=None) if "executable" in value else ()
        ),
        error=fields.text(value, "error", origin=None) or ("it failed" if "error" in value else ""),
        wrong_digest=fields.flag(value, "wrong_digest", origin=None),
        commit=fields.text(value, "commit", origin=None),
    )


def answer_of(value: object) -> ProgramAnswer:
    """Return the answer of a program: what it prints, or a table with more."""
    if value is None:
        return ProgramAnswer()
    if isinstance(value, str):
        return ProgramAnswer(stdout=value)
    table = table_of("an answer of t.answer", value, _ANSWER, "it")
    code = table.get("exit_code", 0)
    if type(code) is not int or not 0 <= code < 256:
        raise DeclarationError("t.answer: `exit_code` must be a number from 0 to 255")
    return ProgramAnswer(
        exit_code=code,
        stdout=fields.text(table, "stdout", origin=None),
        stderr=fields.text(table, "stderr", origin=None),
        files=files_of("t.answer", table.get("files", {})),
    )


def reply_of(
    value: object, call: Callable[[LuaFunction, object], object]
) -> Callable[..., ProgramAnswer]:
    """Return what answers a program: `value`, or what it returns if it is a function."""
    if not isinstance(value, LuaFunction):
        answer = answer_of(value)
        return lambda _call: answer
    function = value
    return lambda made: answer_of(call(function, made))


def files_of(what: str, value: object) -> dict[str, bytes]:
    """Return the contents of files by their paths."""
    is_table = isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(content, str) for name, content in value.items()
    )
    if not is_table:
        raise DeclarationError(
            f"{what}: `files` must be a table of contents by path",
            hint='such as files = { ["bin/tool"] = "#!/bin/sh\\n" }',
        )
    table = cast("dict[str, str]", value)
    return {name: _bytes(content) for name, content in table.items()}


def package_of(value: object) -> Mapping[str, object]:
    """Return the table of `t.package`."""
    table = table_of("t.package", value, _PACKAGE, "its second argument")
    files_of("t.package", table.get("files", {}))
    products = table.get("products", {})
    fields_are_products = isinstance(products, dict) and all(
        isinstance(name, str) and isinstance(one, str | dict) for name, one in products.items()
    )
    if not fields_are_products:
        raise DeclarationError(
            "t.package: `products` must be a table of paths by name",
            hint='such as products = { tool = "bin/tool" }',
        )
    return table


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
