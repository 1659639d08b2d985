"""`ctx`: the table that the functions of a recipe receive, phase by phase.

The tables below list the fields and functions of each phase; each function is short and calls the
module that does the work. Relative paths are relative to the run directory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from envy.cache.names import ASSET, FETCH, STAGE, TMP
from envy.content import file_operations
from envy.errors import DeclarationError
from envy.execution.access import asset_of, product_of
from envy.execution.ctx_arguments import exec_words, extract_options, patch_options, require_text
from envy.execution.log import report
from envy.execution.own_paths import (
    fetched_file,
    input_part,
    listable,
    matches,
    own_folder_of,
    package_path,
    patch_file,
    readable,
)
from envy.execution.phase_run import PhaseRun, RunOptions, parse_run_options
from envy.host.process import Completed
from envy.lua.values import CtxTable, LuaValue
from envy.phase import RecipePhase

_FILE_FUNCTIONS = (
    "copy",
    "move",
    "remove",
    "exists",
    "mkdir",
    "symlink",
    "chmod",
    "write",
    "read",
    "glob",
    "replace",
    "patch",
    "ls",
)
_COMMON = (
    *("run", "exec", "quote", "asset", "product", "extract", "extract_all", "template"),
    *_FILE_FUNCTIONS,
)
_FUNCTIONS: Mapping[RecipePhase, tuple[str, ...]] = {
    RecipePhase.CHECK: ("run", "exec", "quote", "asset", "product", "exists"),
    RecipePhase.RECIPE_FETCH: ("fetch", "commit_fetch", *_COMMON),
    RecipePhase.FETCH: ("fetch", "commit_fetch", "uv", "locked_requirements", *_COMMON),
    RecipePhase.STAGE: ("uv", *_COMMON),
    RecipePhase.BUILD: ("uv", *_COMMON),
    RecipePhase.INSTALL: ("mark_install_complete", "uv", *_COMMON),
    RecipePhase.DEPLOY: ("run", "exec", "quote", "asset", "product"),
    RecipePhase.COMPLETION: ("run", "exec", "quote", "asset", "product", "exists"),
}
_USER_MANAGED_INSTALL = ("run", "exec", "quote", "asset", "product")
_DIRECTORIES: Mapping[RecipePhase, tuple[str, ...]] = {
    RecipePhase.RECIPE_FETCH: ("recipe_dir", "tmp_dir"),
    RecipePhase.FETCH: ("recipe_dir", "tmp_dir"),
    RecipePhase.STAGE: ("recipe_dir", "fetch_dir", "stage_dir"),
    RecipePhase.BUILD: ("recipe_dir", "fetch_dir", "stage_dir", "install_dir"),
    RecipePhase.INSTALL: ("recipe_dir", "fetch_dir", "stage_dir", "install_dir"),
    RecipePhase.DEPLOY: ("asset_dir",),
}
_ENTRY_FOLDERS = {
    "asset_dir": ASSET,
    "install_dir": ASSET,
    "fetch_dir": FETCH,
    "stage_dir": STAGE,
    "tmp_dir": TMP,
}
_WITH_CORES = frozenset({RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.INSTALL})


def make_ctx(run: PhaseRun) -> CtxTable:
    """Return the ctx of a phase: its fields, its functions, and why other names are missing."""
    user_managed = run.user_managed
    names = _FUNCTIONS[run.phase]
    if user_managed and run.phase is RecipePhase.INSTALL:
        names = _USER_MANAGED_INSTALL
    fields = _fields(run, user_managed=user_managed)
    return CtxTable(
        fields=fields,
        functions=_BoundFunctions(CtxFunctions(run), names),
        missing=_missing(run.phase, names, tuple(fields), user_managed=user_managed),
    )


class _BoundFunctions(Mapping[str, Callable[..., object]]):
    """The functions of a ctx by name, each bound on first use, since few are ever called."""

    __slots__ = ("_functions", "_names")

    def __init__(self, functions: CtxFunctions, names: Sequence[str]) -> None:
        self._functions = functions
        self._names = names

    def __getitem__(self, name: str) -> Callable[..., object]:
        if name not in self._names:
            raise KeyError(name)
        function: Callable[..., object] = getattr(self._functions, name)
        return function

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _fields(run: PhaseRun, *, user_managed: bool) -> dict[str, LuaValue]:
    recipe = run.recipe
    fields: dict[str, LuaValue] = {
        "identity": recipe.key.identity,
        "options": cast("LuaValue", dict(run.options)),
    }
    if user_managed:
        if run.phase is RecipePhase.INSTALL:
            fields["tmp_dir"] = recipe.placement.entry.at(TMP)
        return fields
    for name in _DIRECTORIES.get(run.phase, ()):
        fields[name] = _directory_of(run, name)
    if run.phase in _WITH_CORES:
        fields["cores"] = run.engine.services.cores
    return fields


def _directory_of(run: PhaseRun, name: str) -> str:
    """Return the folder that a field of ctx names."""
    if name == "recipe_dir":
        return str(run.base_dir)
    if name == "tmp_dir" and run.phase is RecipePhase.RECIPE_FETCH:
        return str(run.run_dir)
    return run.recipe.work_paths(run.phase).at(_ENTRY_FOLDERS[name])


@functools.cache
def _missing(
    phase: RecipePhase, functions: tuple[str, ...], fields: tuple[str, ...], *, user_managed: bool
) -> Mapping[str, str]:
    """Return, for each name that only other phases have, why this phase lacks it."""
    all_names = {name for names in _FUNCTIONS.values() for name in names}
    all_names |= {name for names in _DIRECTORIES.values() for name in names} | {"cores"}
    reasons = {}
    for name in all_names - {*functions, *fields}:
        if user_managed:
            reasons[name] = (
                f"ctx.{name} is not available: the recipe is user-managed (it has a check), so it "
                "has no folder in the cache; move what is downloaded or built into another recipe "
                "and depend on it"
            )
        else:
            phases = [
                other.label
                for other in RecipePhase
                if name in _FUNCTIONS.get(other, ()) + _DIRECTORIES.get(other, ())
                or (name == "cores" and other in _WITH_CORES)
            ]
            reasons[name] = (
                f"ctx.{name} is not available in {phase.label}, but in {', '.join(phases)}"
            )
    return reasons


class CtxFunctions:
    """The functions of ctx. Recipes call its public methods by their names."""

    def __init__(self, run: PhaseRun) -> None:
        self._phase_run = run

    # -- running things --------------------------------------------------------------------------

    def run(self, script: object = None, options: object = None) -> LuaValue:
        run = self._phase_run
        if not isinstance(script, str) and not (
            isinstance(script, list) and all(isinstance(line, str) for line in script)
        ):
            raise DeclarationError("ctx.run: the script must be a string, or an array of lines")
        parsed = parse_run_options(options, run, what="ctx.run", check=_checks(run))
        return _completed_table(run.run_script(script, parsed), parsed)

    def exec(self, argv: object = None, options: object = None) -> LuaValue:
        run = self._phase_run
        words = exec_words(argv)
        parsed = parse_run_options(options, run, what="ctx.exec", check=_checks(run))
        return _completed_table(run.run_program(words, parsed), parsed)

    def uv(self, words: object = None) -> None:
        from envy.execution.ctx_uv import run_uv

        run_uv(self._phase_run, exec_words(words, what="ctx.uv"))

    def locked_requirements(self) -> LuaValue:
        from envy.execution.ctx_uv import locked_requirements

        return locked_requirements(self._phase_run)

    def quote(self, text: object = None) -> LuaValue:
        return file_operations.quote(require_text("ctx.quote", text))

    def asset(self, query: object = None) -> LuaValue:
        run = self._phase_run
        return str(asset_of(run.recipe, run.engine, run.phase, query))

    def product(self, name: object = None) -> LuaValue:
        run = self._phase_run
        return product_of(run.recipe, run.engine, run.phase, name)

    def template(self, text: object = None, values: object = None) -> LuaValue:
        if not isinstance(values, dict):
            raise DeclarationError("ctx.template(text, values): values must be a table")
        from envy.lua.template import fill_template

        return fill_template(require_text("ctx.template", text), values)

    def mark_install_complete(self) -> None:
        self._phase_run.marked_complete = True

    # -- fetching and unpacking ------------------------------------------------------------------

    def fetch(self, spec: object = None) -> LuaValue:
        from envy.execution.ctx_fetch import fetch_for_ctx

        return fetch_for_ctx(self._phase_run, spec)

    def commit_fetch(self, *names: object) -> None:
        from envy.execution.ctx_fetch import commit_for_ctx

        commit_for_ctx(self._phase_run, names)

    def extract(self, name: object = None, options: object = None) -> LuaValue:
        from envy.execution.unpack import unpack_one

        run = self._phase_run
        archive = fetched_file(run, require_text("ctx.extract", name))
        strip, dest = extract_options(options)
        return unpack_one(run, archive, dest, strip=strip)

    def extract_all(self, options: object = None) -> LuaValue:
        from envy.execution.unpack import unpack_all

        strip, dest = extract_options(options)
        return unpack_all(self._phase_run, dest, strip=strip)

    # -- files -----------------------------------------------------------------------------------

    def copy(self, source: object = None, destination: object = None) -> None:
        name, target = require_text("ctx.copy", source), require_text("ctx.copy", destination)
        destination = self._destination("ctx.copy", target)
        origin = readable(self._phase_run, name)
        self._phase_run.note_tree(origin)
        file_operations.copy(
            origin,
            destination,
            into_directory=target.endswith("/"),
            contents=name == "." or name.endswith("/."),
            root=own_folder_of(self._phase_run, destination),
            part=input_part(self._phase_run, origin),
        )

    def move(self, source: object = None, destination: object = None) -> None:
        target = require_text("ctx.move", destination)
        file_operations.move(
            self._writable("ctx.move", source),
            self._destination("ctx.move", target),
            into_directory=target.endswith("/"),
        )

    def remove(self, path: object = None) -> LuaValue:
        return file_operations.remove(self._writable("ctx.remove", path))

    def exists(self, path: object = None) -> LuaValue:
        found = self._path(require_text("ctx.exists", path))
        self._phase_run.note_file(found)
        return file_operations.exists(found)

    def mkdir(self, path: object = None) -> None:
        file_operations.mkdir(self._writable("ctx.mkdir", path, follow=True))

    def symlink(self, target: object = None, link: object = None) -> None:
        file_operations.symlink(
            require_text("ctx.symlink", target), self._writable("ctx.symlink", link)
        )

    def chmod(self, path: object = None, mode: object = None) -> None:
        # A number stands for its decimal digits, as in chmod(f, 755): Lua has no octal literals.
        text = str(mode) if isinstance(mode, int) else require_text("ctx.chmod", mode)
        file_operations.chmod(self._writable("ctx.chmod", path, follow=True), text)

    def write(self, path: object = None, text: object = None) -> None:
        if not isinstance(text, str):
            raise DeclarationError("ctx.write(path, text): text must be a string")
        file_operations.write(self._writable("ctx.write", path, follow=True), text)

    def read(self, path: object = None) -> LuaValue:
        return file_operations.read(readable(self._phase_run, require_text("ctx.read", path)))

    def glob(self, pattern: object = None) -> LuaValue:
        text = require_text("ctx.glob", pattern)
        self._phase_run.note_names(self._phase_run.run_dir, text)
        return list(matches(self._phase_run, text))

    def replace(self, path: object = None, old: object = None, new: object = None) -> LuaValue:
        if not isinstance(new, str):
            raise DeclarationError("ctx.replace(path, old, new): new must be a string")
        return file_operations.replace(
            self._writable("ctx.replace", path, follow=True),
            require_text("ctx.replace", old),
            new,
        )

    def patch(self, patch: object = None, options: object = None) -> None:
        from envy.content.patch import apply_patch

        run = self._phase_run
        text_or_name = require_text("ctx.patch", patch)
        strip, fuzz = patch_options(options)
        inline = "\n" in text_or_name
        program = apply_patch(
            run.run_dir,
            run=functools.partial(_run_quietly, run),
            file=None if inline else patch_file(run, text_or_name),
            text=text_or_name if inline else "",
            strip=strip,
            fuzz=fuzz,
        )
        _warn_unless_in_key(run, program)

    def ls(self, path: object = None) -> LuaValue:
        folder = listable(self._phase_run, "." if path is None else require_text("ctx.ls", path))
        for pattern in ("*", ".*"):
            self._phase_run.note_names(folder, pattern)
        return list(file_operations.ls(folder))

    def _path(self, text: str) -> Path:
        return file_operations.resolve(self._phase_run.run_dir, text)

    def _writable(self, what: str, value: object, *, follow: bool = False) -> Path:
        """Return the real path of what is to be changed; see `package_path`."""
        path = self._path(require_text(what, value))
        return package_path(self._phase_run, path, follow=follow, reading=False)

    def _destination(self, what: str, target: str) -> Path:
        """Return where to copy or move to: a link to a folder means the folder."""
        path = self._writable(what, target.rstrip("/") or "/")
        return self._writable(what, str(path), follow=True) if path.is_dir() else path


def _checks(run: PhaseRun) -> bool:
    """Return whether a failing command is an error; in `check`, it means not satisfied."""
    return run.phase is not RecipePhase.CHECK


def _completed_table(completed: Completed, options: RunOptions) -> LuaValue:
    if not options.capture:
        return {"exit_code": completed.exit_code}  # the Lua side explains what it lacks
    return {
        "exit_code": completed.exit_code,
        "stdout": completed.stdout.decode("utf-8", "surrogateescape"),
        "stderr": completed.stderr.decode("utf-8", "surrogateescape"),
    }


def _run_quietly(run: PhaseRun, argv: Sequence[str], cwd: Path) -> Completed:
    options = RunOptions(cwd=cwd, capture=True, check=False, quiet=True)
    if argv[-1] == "--version":  # what it prints would be noise in the log
        return run.ask_program(argv, cwd)
    return run.run_program(list(argv), options)


def _warn_unless_in_key(run: PhaseRun, program: str) -> None:
    """Warn once for each recipe that patches with a program that is not in its key."""
    loaded = run.recipe.loaded_or_none
    if loaded is None or program in {name for name, _command in loaded.definition.host}:
        return
    services = run.engine.services
    services.memo.once(
        ("unkeyed patch", run.recipe.key),
        lambda: report(
            run.recipe,
            services,
            "warn",
            f"ctx.patch runs the {program} of this machine, which is not in the key of "
            f'{run.recipe.key.identity}: add host = {{ "{program}" }}',
        ),
    )


def fetch_names() -> tuple[str, ...]:
    """Return the names of the functions of ctx in the fetch phase."""
    return _FUNCTIONS[RecipePhase.FETCH]
