"""`t`: what the tests of a recipe may call, and what they see of an installed recipe.

docs/recipe-tests.md describes each function; the table at the end names them all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from envy.declarations.manifest_text import lua_text
from envy.declarations.option_text import OptionValue
from envy.declarations.sources import SourceItem
from envy.engine.engine import Engine
from envy.errors import DeclarationError, EnvyError
from envy.graph.recipe import Recipe
from envy.keying.declared_sources import answered_sources
from envy.lua.values import CtxTable, LuaFunction, LuaValue
from envy.testing.drivers.recipe.arguments import (
    files_of,
    function_of,
    options_of,
    package_of,
    reply_of,
    served_of,
    text_of,
)
from envy.testing.drivers.recipe.assertions import Assertions
from envy.testing.drivers.recipe.scripted import Call
from envy.testing.drivers.recipe.world import World, raise_failure

_SOURCE_FIELDS = {
    one.name: one.default
    for one in dataclasses.fields(SourceItem)
    if one.name not in {"base_dir", "headers", "origin", "signature"}
}
_MOST_READ = 64 << 20


class Vocabulary:
    """The functions of `t` for one test; its public methods are called by their names."""

    def __init__(
        self, world: World, call: Callable[..., object], say: Callable[[str], None]
    ) -> None:
        self._world = world
        self._call = call
        self._say = say
        self.assertions = Assertions(call)

    def table(self) -> CtxTable:
        """Return `t`."""
        functions: dict[str, Callable[..., object]] = {}
        functions |= {name: getattr(self.assertions, name) for name in ASSERTIONS}
        functions |= {name: getattr(self, name) for name in FUNCTIONS}
        return CtxTable(functions=functions, name="t")

    # -- what the recipe finds -------------------------------------------------------------------

    def platform(self, name: object = None) -> None:
        self._world.set_platform(text_of("t.platform", name))

    def env(self, name: object = None, value: object = None) -> None:
        variable = text_of("t.env", name)
        if value is None:
            self._world.variables.pop(variable, None)
            return
        if not isinstance(value, str):
            raise DeclarationError("t.env: the value must be a text, or nil to unset the variable")
        self._world.variables[variable] = value

    def serve(self, uri: object = None, response: object = None) -> None:
        self._world.transport.serve(text_of("t.serve", uri), served_of(response))

    def answer(self, part: object = None, reply: object = None) -> None:
        if not isinstance(part, str):
            text_of("t.answer", part)
        self._world.programs.answer(str(part), reply_of(reply, self._ask))

    def _ask(self, function: LuaFunction, call: object) -> object:
        """Call a function of the test from a thread of the engine."""
        assert isinstance(call, Call)
        row = _call_row(call)
        return self._world.thread.ask(lambda: self._call(function, row))

    def allow_programs(self) -> None:
        self._world.allows_programs = True

    def program(self, name: object = None, text: object = None) -> None:
        """Write a program into the first folder of PATH."""
        word = text_of("t.program", name)
        if "/" in word or word in {".", ".."}:
            raise DeclarationError(f"t.program: {word!r} is not the name of a program")
        content = text_of("t.program", text, "its second argument")
        path = self._world.programs_folder / word
        path.write_text(
            content if content.startswith("#!") else f"#!/bin/sh\n{content}\n", encoding="utf-8"
        )
        path.chmod(0o755)

    def package(self, identity: object = None, table: object = None) -> None:
        """Let another recipe of this identity stand in for a dependency."""
        name = text_of("t.package", identity)
        folder = self._world.folder / "stand-ins"
        folder.mkdir(exist_ok=True)
        path = folder / f"{name.replace('/', '_')}.lua"
        path.write_text(_stand_in(name, package_of(table)), encoding="utf-8")
        self._world.stand_ins[name] = path

    def fixture(self, name: object = None) -> str:
        """Return the content of a file beside the test."""
        path = self._world.under_test.tests.parent / text_of("t.fixture", name)
        self._world.read.add(str(path))
        return _read(path, f"t.fixture: {name}")

    # -- running the recipe ----------------------------------------------------------------------

    def load(self, options: object = None) -> dict[str, object]:
        """Return what the recipe declares; run none of its phases."""
        given = options_of("t.load", options)
        return self._world.with_recipe(given, _declared)

    def install(self, options: object = None) -> dict[str, object]:
        """Install the recipe and what it needs; return what it declares, and what came of it."""
        return self._world.with_recipe(options_of("t.install", options), self._installed)

    def _installed(self, engine: Engine, recipe: Recipe) -> dict[str, object]:
        if recipe.excluded:
            tag = engine.services.platform.tag
            raise EnvyError(f"{recipe.key} is not for {tag}", hint="t.load returns `excluded`")
        engine.run_full([recipe.key])
        raise_failure(engine, recipe.key)
        found = _declared(engine, recipe)
        found["outcome"] = recipe.work.outcome.value if recipe.work.outcome is not None else ""
        asset = recipe.asset_dir
        if asset is None:
            found["products"] = dict(recipe.work.products)
            return found
        found["asset"] = str(asset)
        found["files"] = _names(asset)
        functions: dict[str, object] = {
            "read": lambda name=None: _read(asset / text_of("read", name), f"read: {name}"),
            "is_executable": lambda name=None: _is_executable(asset, name),
        }
        return {**found, **functions}

    # -- what happened ---------------------------------------------------------------------------

    def requests(self) -> LuaValue:
        return list(self._world.transport.requests)

    def calls(self) -> LuaValue:
        return [_call_row(call) for call in self._world.programs.calls]

    def messages(self) -> LuaValue:
        return [{"level": level, "text": text} for level, text in self._world.messages()]

    def events(self, kind: object = None) -> list[dict[str, object]]:
        wanted = None if kind is None else text_of("t.events", kind)
        rows = [stamped.as_json() for stamped in self._world.recorder.rows
                if wanted is None or stamped.event.name == wanted]  # fmt: skip
        return [_plain_row(row) for row in rows]

    def log(self, *values: object) -> None:
        from envy.testing.drivers.recipe.comparison import shown

        self._say(" ".join(each if isinstance(each, str) else shown(each) for each in values))

    def write(self, name: object = None, text: object = None) -> None:
        """Write a file of the project, in which the recipe is installed."""
        files = files_of("t.write", {text_of("t.write", name): text})
        from envy.testing.drivers.recipe.scripted import write_files

        write_files(self._world.project, files)

    def each_platform(self, function: object = None) -> None:
        """Call a function for each platform that envy knows, by name."""
        called = function_of("t.each_platform", function)
        from envy.host.named_platforms import NAMED_PLATFORMS

        before = self._world.platform
        for name in sorted(NAMED_PLATFORMS):
            self._world.set_platform(name)
            self._call(called, name)
        self._world.platform = before


ASSERTIONS = ("equal", "ok", "contains", "error_contains", "fail", "skip")
FUNCTIONS = (
    *("platform", "each_platform", "env", "serve", "answer", "allow_programs", "program"),
    *("package", "fixture", "write", "load", "install"),
    *("requests", "calls", "messages", "events", "log"),
)


def _declared(engine: Engine, recipe: Recipe) -> dict[str, object]:
    """Return what a recipe declares for its options, as a table."""
    definition = recipe.loaded.definition
    row: dict[str, object] = {
        "identity": recipe.key.identity,
        "key": recipe.key.canonical,
        "options": dict(definition.options),
        "about": dict(definition.about),
        "platform": engine.services.platform.tag,
        "excluded": definition.excluded,
        "user_managed": definition.user_managed,
        "products": {name: one.path for name, one in recipe.provides.items()},
        "host": [name for name, _command in definition.host],
    }
    if definition.excluded:
        return row
    sources = answered_sources(recipe)
    if sources is not None:  # it is nil if `fetch` is a function that acts
        row["sources"] = [_source_row(item) for item in sources]
    exports = recipe.loaded.exports
    row["exports"] = {
        name: value
        for name, value in (
            ("path", list(exports.path)),
            ("env", dict(exports.env)),
            ("cmake_prefix", list(exports.cmake_prefix)),
            ("pkg_config", list(exports.pkg_config)),
        )
        if value
    }
    row["dependencies"] = [
        {"recipe": edge.key.canonical, "use": edge.use.value, "needed_by": edge.needed_by.label}
        for edge in engine.graph.edges(recipe.key)
    ]
    wanted = definition.requirements
    if wanted is not None:
        row["requirements"] = {"lines": list(wanted.lines), "python": wanted.python}
    if definition.alias:
        row["alias"] = definition.alias
    return row


def _source_row(item: SourceItem) -> dict[str, object]:
    """Return the fields of a source that differ from their defaults."""
    row: dict[str, object] = {}
    for name, default in _SOURCE_FIELDS.items():
        value = getattr(item, name)
        if value != default:
            row[name] = list(value) if isinstance(value, tuple) else value
    if item.signature is not None:
        row["signed"] = True
    return row


def _call_row(call: Call) -> dict[str, LuaValue]:
    return {
        "command": call.command,
        "text": call.text,
        "argv": list(call.argv),
        "cwd": str(call.cwd),
        "env": dict(call.environment),
        "recipe": call.recipe,
        "phase": call.phase,
        "exit_code": call.exit_code,
        "answered": call.answered,
    }


def _plain_row(row: Mapping[str, object]) -> dict[str, object]:
    plain = (str, int, float, bool, list, dict)
    return {name: value if isinstance(value, plain) else str(value)
            for name, value in row.items() if value is not None}  # fmt: skip


def _stand_in(identity: str, table: Mapping[str, object]) -> str:
    """Return a recipe that installs files, and nothing else."""
    products = table.get("products", {})
    files = files_of("t.package", table.get("files", {}))
    paths = products.values() if isinstance(products, dict) else ()
    for path in paths:  # a product is a program, unless the test says what it is
        name = path if isinstance(path, str) else str(dict(path).get("path", ""))
        files.setdefault(name, b"#!/bin/sh\n")
    rows = "".join(
        f"  ctx.write({lua_text(name)}, {lua_text(content.decode('utf-8', 'surrogateescape'))})\n"
        + (f'  ctx.chmod({lua_text(name)}, "755")\n' if content.startswith(b"#!") else "")
        for name, content in files.items()
    )
    declared = "".join(
        f"{name} = {lua_text(cast('OptionValue', table[name]))}\n"
        for name in ("products", "exports", "alias")
        if table.get(name)
    )
    return (
        f"identity = {lua_text(identity)}\n{declared}"
        f"install = function(ctx)\n{rows}  ctx.mark_install_complete()\nend\n"
    )


def _names(folder: Path) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _read(path: Path, what: str) -> str:
    try:
        if path.stat().st_size > _MOST_READ:
            raise EnvyError(f"{what}: the file is larger than {_MOST_READ} bytes")
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except OSError as error:
        raise EnvyError(f"{what}: {error.strerror}") from error


def _is_executable(folder: Path, name: object) -> bool:
    path = folder / text_of("is_executable", name)
    try:
        return bool(path.stat().st_mode & 0o100)
    except OSError as error:
        raise EnvyError(f"is_executable: {name}: {error.strerror}") from error
