"""What goes into the entry key of a recipe, gathered when its graph is resolved.

Files of the recipe's folder and of the project are named relative to the recipe, so that the same
recipe gives the same key on another machine, and in a project that was moved.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from blake3 import blake3

from envy.answers.facts import match_digest
from envy.cache.entry_key import Ingredients
from envy.cache.trees import digest_tree
from envy.content import file_operations
from envy.declarations.locations import location_in_file
from envy.declarations.option_text import serialise_options
from envy.declarations.sources import Scheme, SourceItem, local_path, location, scheme_of
from envy.errors import DeclarationError
from envy.execution.services import Engine
from envy.execution.transfer import fetch_context
from envy.graph.recipe import Recipe
from envy.host.shell import Shell
from envy.keying.declared_sources import declared_sources
from envy.keying.host_programs import host_versions
from envy.lua.values import LuaFunction


def ingredients_of(
    recipe: Recipe, engine: Engine, *, shell: Shell, dependency_keys: Sequence[str]
) -> Ingredients:
    """Everything that decides what the entry will hold.

    Raises:
        DeclarationError: an input is not there; FetchError: a git ref cannot be resolved;
        ScriptFailed: a program of `host` is missing.
    """
    definition = recipe.definition
    services = engine.services
    assert definition is not None
    inputs = _inputs(recipe)
    recipe.input_files = frozenset(inputs)
    recipe.sources = declared_sources(recipe, engine)
    sources = tuple(_source(item, recipe, engine) for item in recipe.sources or ())
    passed = {name: services.environment.get(name) for name in definition.pass_env}
    _note_evidence(recipe, inputs, passed)
    platform = services.platform
    runs_scripts = definition.build is not None or definition.install is not None
    abi = "" if definition.portable or not runs_scripts else _abi(engine)
    return Ingredients(
        identity=recipe.key.identity,
        options_text=serialise_options(definition.options) if definition.options else "",
        recipe_digest=recipe.digest,
        reads_files=_reads(recipe, engine),
        reads_variables=_read_variables(recipe),
        inputs={_named(path, recipe, engine): digest for path, digest in inputs.items()},
        sources=sources,
        platform=platform.tag,
        abi=abi,
        host=host_versions(recipe, engine),
        pass_env=passed,
        shell=repr((shell.inline, shell.file, shell.prologue)) if _uses_shell(recipe) else "",
        dependencies=tuple(sorted(dependency_keys)),
    )


def _note_evidence(
    recipe: Recipe, inputs: Mapping[Path, str], passed: Mapping[str, str | None]
) -> None:
    """What the key was worked out from, beside what loading the recipe read."""
    definition = recipe.definition
    assert definition is not None
    evidence = recipe.evidence
    evidence.trees.update({str(path): digest for path, digest in inputs.items()})
    top = str(recipe.recipe_dir)
    for pattern in definition.inputs:
        evidence.globs[top, pattern] = match_digest(top, pattern)
    evidence.note_variables(passed)
    if definition.host:
        evidence.lasting = False  # only asking these programs again tells their versions


def key_of_user_managed(recipe: Recipe) -> str:
    """What stands for a user-managed recipe in the keys of others: not the machine's state."""
    text = f"{recipe.key.canonical}\n{recipe.digest}"
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()


def _abi(engine: Engine) -> str:
    platform = engine.services.platform
    if platform.libc:
        return f"{platform.libc}-{platform.libc_version}"
    return f"{platform.os}-{platform.os_version.split('.')[0]}"


def _uses_shell(recipe: Recipe) -> bool:
    definition = recipe.definition
    assert definition is not None
    # A function may run scripts, too; data alone never does.
    return any(
        isinstance(verb, str | LuaFunction)
        for verb in (definition.fetch, definition.stage, definition.build, definition.install)
    )


def _reads(recipe: Recipe, engine: Engine) -> dict[str, str | None]:
    reads = recipe.reads.files if recipe.reads else {}
    own = recipe.path
    return {_named(path, recipe, engine): digest for path, digest in reads.items() if path != own}


def _read_variables(recipe: Recipe) -> dict[str, str | None]:
    secret = recipe.definition.secret_env if recipe.definition else ()
    read = recipe.reads.variables if recipe.reads else {}
    return {name: value for name, value in read.items() if name not in secret}


def _named(path: Path, recipe: Recipe, engine: Engine) -> str:
    assert recipe.recipe_dir is not None
    for folder in (recipe.recipe_dir, engine.services.project_dir):
        if path.is_relative_to(folder):
            return Path(os.path.relpath(path, recipe.recipe_dir)).as_posix()
    return path.as_posix()


def _inputs(recipe: Recipe) -> dict[Path, str]:
    """The declared local files and folders, with what is in them."""
    definition = recipe.definition
    assert definition is not None
    assert recipe.recipe_dir is not None
    found: dict[Path, str] = {}
    for pattern in definition.inputs:
        names = file_operations.glob(recipe.recipe_dir, pattern)
        if not names:
            raise DeclarationError(
                f"`inputs` names {pattern!r}, and there is no such file in {recipe.recipe_dir}",
                origin=location_in_file(definition.path, "inputs"),
                hint="name files or folders beside the recipe; patterns such as patches/*.patch",
            )
        for name in names:
            path = recipe.recipe_dir / name
            found[path] = digest_tree(path)
    return found


def _source(item: SourceItem, recipe: Recipe, engine: Engine) -> str:
    """One declared source, pinned: its digest, its commit, or what the local file holds."""
    pins: Mapping[str, object] = {
        name: value
        for name in ("dest", "executable", "extract", "strip", "subdir", "into", "python", "kind")
        if (value := getattr(item, name)) not in ("", None)
    }
    scheme = scheme_of(item.source)
    if scheme in {Scheme.LOCAL, Scheme.FILE}:
        path = local_path(item)
        if not path.exists():
            raise DeclarationError(
                f"there is no {path} to fetch",
                origin=item.origin,
                hint=f"a relative source is relative to {item.base_dir}",
            )
        digest = recipe.evidence.trees[str(path)] = digest_tree(path)
        return f"{_named(path, recipe, engine)} {digest} {sorted(pins.items())}"
    if scheme is Scheme.GIT:
        from envy.transport import resolve_ref

        pinned = replace(item, ref=resolve_ref(item, fetch_context(recipe, engine)))
        if pinned.ref != item.ref:
            recipe.evidence.lasting = False  # a branch or a tag may have moved by the next run
        item = pinned
        return f"{location(item)} submodules={item.submodules} {sorted(pins.items())}"
    if scheme is Scheme.PYPI and item.kind == "wheel":
        # It decides which wheel of the release is taken.
        pins = {**pins, "libc": engine.services.platform.libc}
    return f"{location(item)} {sorted(pins.items())}"
