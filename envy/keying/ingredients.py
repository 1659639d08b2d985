"""The ingredients of a recipe's entry key, gathered when its graph is resolved.

Files of the recipe's folder and of the project are named relative to the recipe, so that a recipe
has the same key on another machine and after its project is moved.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping, Sequence
from pathlib import Path

from blake3 import blake3

from envy.cache.entry_key import Ingredients, as_json
from envy.cache.trees import digest_tree
from envy.content.folder_walk import NotTaken, rules_of
from envy.declarations.option_text import serialise_options
from envy.declarations.sources import (
    FOLDER_FIELDS,
    Scheme,
    SourceItem,
    local_path,
    location,
    scheme_of,
)
from envy.errors import DeclarationError
from envy.execution.bundle_roots import own_folder
from envy.execution.secrets import secrets_in_key
from envy.execution.services import PhaseServices, Services
from envy.graph.recipe import Recipe
from envy.host.shell import Shell
from envy.keying.host_programs import host_versions
from envy.locking.subjects import locked_file
from envy.lua.values import LuaFunction
from envy.masking import Secrets


def ingredients_of(
    recipe: Recipe,
    engine: PhaseServices,
    *,
    inputs: Mapping[str, str],
    sources: Sequence[str],
    shell: Shell,
    dependency_keys: Sequence[str],
) -> Ingredients:
    """Return everything that decides the content of the entry, secrets included.

    `inputs` are the declared files with their digests; `sources` are those of `fetch`, pinned.

    Raises:
        ScriptFailed: a program of `host` is missing.
    """
    definition = recipe.loaded.definition
    services = engine.services
    passed = {name: services.environment.get(name) for name in definition.pass_env}
    recipe.evidence.note_variables(passed)
    platform = services.platform
    runs_scripts = definition.build is not None or definition.install is not None
    abi = "" if definition.portable or not runs_scripts else _abi(engine)
    return Ingredients(
        identity=recipe.key.identity,
        options_text=serialise_options(definition.options) if definition.options else "",
        recipe_digest=recipe.loaded.digest,
        reads_files=_reads(recipe, engine),
        reads_variables=_read_variables(recipe),
        inputs={_portable_name(Path(p), recipe, engine): digest for p, digest in inputs.items()},
        sources=tuple(sources),
        platform=platform.tag,
        abi=abi,
        host=host_versions(recipe, engine),
        pass_env=passed,
        shell=_portable_shell(shell, engine) if _uses_shell(recipe) else "",
        dependencies=tuple(sorted(dependency_keys)),
    )


def key_text(found: Ingredients, secrets: Secrets) -> str:
    """Return the text that the key is made of, which is stored: JSON without secrets."""
    text = as_json(found)
    return as_json(secrets.masked_data(found)) if secrets.may_be_in_json(text) else text


def user_managed_key(recipe: Recipe, services: Services) -> str:
    """Return the key of a user-managed recipe, which does not depend on the machine's state."""
    canonical = secrets_in_key(recipe, services).masked(recipe.key.canonical)
    text = f"{canonical}\n{recipe.loaded.digest}"
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()


def _abi(engine: PhaseServices) -> str:
    platform = engine.services.platform
    if platform.libc:
        return f"{platform.libc}-{platform.libc_version}"
    return f"{platform.os}-{platform.os_version.split('.')[0]}"


def _portable_shell(shell: Shell, engine: PhaseServices) -> str:
    """Return the shell as text, in which the path of the cache is not this machine's."""
    root = f"{engine.services.layout.root}/"
    parts = (shell.inline, shell.file, (shell.prologue,))
    inline, file, prologue = (
        tuple(word.replace(root, "{cache}/") for word in part) for part in parts
    )
    return repr((inline, file, prologue[0]))


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
    recipe_dir, services = recipe.loaded.recipe_dir, engine.services
    for folder in (own_folder(recipe_dir, services), services.project_dir):
        if path.is_relative_to(folder):
            return Path(os.path.relpath(path, recipe_dir)).as_posix()
    return path.as_posix()


def pinned_source(item: SourceItem, recipe: Recipe, engine: PhaseServices) -> str:
    """Return a declared source as pinned text: with its digest, commit or file content.

    Raises:
        DeclarationError: a local source does not exist; FetchError: a git ref cannot be resolved.
    """
    pins: Mapping[str, object] = {
        name: value
        for name in ("dest", "executable", "extract", "strip", "subdir", "into", "python", "kind")
        if (value := getattr(item, name)) not in ("", None)
    }
    if item.overlay:
        pins = {**pins, "overlay": True}
    if item.signature is not None:
        pins = {**pins, "signature": item.signature.pin}
    scheme = scheme_of(item.source)
    if scheme in {Scheme.LOCAL, Scheme.FILE}:
        path = local_path(item)
        if not path.exists():
            raise DeclarationError(
                f"the source {path} does not exist",
                origin=item.origin,
                hint=f"a relative source is relative to {item.base_dir}",
            )
        digest = _digest_of_local(item, path, recipe)
        return f"{_portable_name(path, recipe, engine)} {digest} {sorted(pins.items())}"
    if scheme is Scheme.GIT:
        from envy.execution.unpinned import pinned

        item = pinned(item, recipe, engine)
    if item.shrinkwrap:
        pins = {**pins, "shrinkwrap": True}
    if item.shrinkwrap or (scheme is Scheme.PYPI and item.kind == "wheel"):
        # The libc decides which wheel of a release is used, and which packages it needs.
        pins = {**pins, "libc": engine.services.platform.libc}
    locked = locked_file(engine.services.lock, recipe.key, item)
    if locked is not None and not item.has_digest:
        # Content that is verified against the lock is another than whatever was there before.
        pins = {**pins, "locked": locked.digest}
    return f"{location(item)} {sorted(pins.items())}"


def _digest_of_local(item: SourceItem, path: Path, recipe: Recipe) -> str:
    """Return the digest of a local source: of a folder, of what is taken of it."""
    rules = ""
    if path.is_dir():
        from envy.transport.source_tree import inner_folder

        path = inner_folder(path, item.subdir, item.source) if item.subdir else path
        rules = rules_of(exclude=item.exclude, follow=item.follow, history=item.vcs)
        if item.only:
            raise DeclarationError(
                f"the source {path} is a folder, and `only` is for archives",
                origin=item.origin,
                hint="leave files of a folder out with `exclude`",
            )
    elif field := next((name for name in FOLDER_FIELDS if getattr(item, name)), ""):
        raise DeclarationError(
            f"the source {path} is a file, and `{field}` is for folders",
            origin=item.origin,
            hint=f"remove `{field}`",
        )
    try:
        digest = digest_tree(path, rules)
    except NotTaken as error:
        raise DeclarationError(
            f"the source {error.why}", origin=item.origin, hint=error.hint
        ) from None
    recipe.evidence.trees[str(path), rules] = digest
    return digest
