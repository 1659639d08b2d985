"""The ingredients of a recipe's entry key, gathered when its graph is resolved.

Files of the recipe's folder and of the project are named relative to the recipe, so that a recipe
has the same key on another machine and after its project is moved.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
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
from envy.execution.services import PhaseServices
from envy.execution.unpinned import pinned
from envy.graph.recipe import Recipe
from envy.host.shell import Shell
from envy.keying.host_programs import host_versions
from envy.lua.values import LuaFunction


def ingredients_of(
    recipe: Recipe,
    engine: PhaseServices,
    *,
    inputs: Mapping[Path, str],
    declared: Sequence[SourceItem],
    shell: Shell,
    dependency_keys: Sequence[str],
) -> Ingredients:
    """Return everything that decides the content of the entry.

    `inputs` are the declared files with their digests; `declared` are the sources of `fetch`.

    Raises:
        DeclarationError: a local source does not exist; FetchError: a git ref cannot be resolved;
        ScriptFailed: a program of `host` is missing.
    """
    definition = recipe.loaded.definition
    services = engine.services
    sources = tuple(_source(item, recipe, engine) for item in declared)
    passed = {name: services.environment.get(name) for name in definition.pass_env}
    _note_evidence(recipe, inputs, passed)
    platform = services.platform
    runs_scripts = definition.build is not None or definition.install is not None
    abi = "" if definition.portable or not runs_scripts else _abi(engine)
    return Ingredients(
        identity=recipe.key.identity,
        options_text=serialise_options(definition.options) if definition.options else "",
        recipe_digest=recipe.loaded.digest,
        reads_files=_reads(recipe, engine),
        reads_variables=_read_variables(recipe),
        inputs={_portable_name(path, recipe, engine): digest for path, digest in inputs.items()},
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
    """Add the evidence of the key, besides what was read while the recipe was loaded."""
    definition = recipe.loaded.definition
    evidence = recipe.evidence
    evidence.trees.update({str(path): digest for path, digest in inputs.items()})
    top = str(recipe.loaded.recipe_dir)
    for pattern in definition.inputs:
        evidence.globs[top, pattern] = match_digest(top, pattern)
    evidence.note_variables(passed)


def user_managed_key(recipe: Recipe) -> str:
    """Return the key of a user-managed recipe, which does not depend on the machine's state."""
    text = f"{recipe.key.canonical}\n{recipe.loaded.digest}"
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()


def _abi(engine: PhaseServices) -> str:
    platform = engine.services.platform
    if platform.libc:
        return f"{platform.libc}-{platform.libc_version}"
    return f"{platform.os}-{platform.os_version.split('.')[0]}"


def _uses_shell(recipe: Recipe) -> bool:
    definition = recipe.loaded.definition
    # A function may run scripts too; data never does.
    return any(
        isinstance(verb, str | LuaFunction)
        for verb in (definition.fetch, definition.stage, definition.build, definition.install)
    )


def _reads(recipe: Recipe, engine: PhaseServices) -> dict[str, str | None]:
    reads = recipe.loaded.reads.files
    own = recipe.loaded.path
    return {
        _portable_name(path, recipe, engine): digest
        for path, digest in reads.items()
        if path != own
    }


def _read_variables(recipe: Recipe) -> dict[str, str | None]:
    secret, read = recipe.loaded.definition.secret_env, recipe.loaded.reads.variables
    return {name: value for name, value in read.items() if name not in secret}


def _portable_name(path: Path, recipe: Recipe, engine: PhaseServices) -> str:
    for folder in (recipe.loaded.recipe_dir, engine.services.project_dir):
        if path.is_relative_to(folder):
            return Path(os.path.relpath(path, recipe.loaded.recipe_dir)).as_posix()
    return path.as_posix()


def input_digests(recipe: Recipe) -> dict[Path, str]:
    """Return the declared local files and folders with the digests of their content.

    Raises:
        DeclarationError: a pattern matches nothing.
    """
    definition, folder = recipe.loaded.definition, recipe.loaded.recipe_dir
    found: dict[Path, str] = {}
    for pattern in definition.inputs:
        names = file_operations.glob(folder, pattern)
        if not names:
            raise DeclarationError(
                f"`inputs` names {pattern!r}, but there is no such file in {folder}",
                origin=location_in_file(definition.path, "inputs"),
                hint="name files or folders beside the recipe, or patterns such as patches/*.patch",
            )
        for name in names:
            path = folder / name
            found[path] = digest_tree(path)
    return found


def _source(item: SourceItem, recipe: Recipe, engine: PhaseServices) -> str:
    """Return a declared source as pinned text: with its digest, commit or file content."""
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
                f"the source {path} does not exist",
                origin=item.origin,
                hint=f"a relative source is relative to {item.base_dir}",
            )
        digest = recipe.evidence.trees[str(path)] = digest_tree(path)
        return f"{_portable_name(path, recipe, engine)} {digest} {sorted(pins.items())}"
    if scheme is Scheme.GIT:
        item = pinned(item, recipe, engine)
    if scheme is Scheme.PYPI and item.kind == "wheel":
        # The libc decides which wheel of the release is used.
        pins = {**pins, "libc": engine.services.platform.libc}
    return f"{location(item)} {sorted(pins.items())}"
