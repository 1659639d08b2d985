"""recipe_fetch: get the recipe file, load it, and declare what it depends on."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from blake3 import blake3

from envy import events as ev
from envy.atomic import temporary_beside
from envy.cache.recipes import find_kept
from envy.cache.trees import read_file
from envy.errors import DeclarationError, FetchError
from envy.file_digest import file_digest
from envy.lua.convert import LuaFunction
from envy.lua.sandbox import ReadLog
from envy.origins import SourceText, place_of_function
from envy.phase import RecipePhase
from envy.phases.custom_source import fetch_custom, new_state
from envy.phases.declared_fetch import ask_for_sources
from envy.phases.surface import Engine
from envy.phases.transfer import fetch_context
from envy.phases.work import release_lock, take_lock
from envy.recipe import Edge, Recipe, Reference
from envy.recipe_definition import VERBS, RecipeDefinition, parse_definition
from envy.recipe_key import RecipeKey
from envy.recipe_spec import CustomSource, Dependency, Kind, Use, check_local_rule
from envy.recipe_tables import Exports, parse_exports, parse_products
from envy.sources import Scheme, SourceItem, local_path, location, scheme_of
from envy.transport.digests import expected_digests, verify_content


def run_recipe_fetch_phase(recipe: Recipe, engine: Engine) -> None:
    """Load the recipe file and declare its dependencies.

    Raises:
        FetchError: the file could not be brought here; DeclarationError: it breaks a rule.
        LuaScriptError: it could not be run.
    """
    path, text = _read(recipe, _recipe_file(recipe, engine))
    recipe.path = path
    recipe.recipe_dir = path.parent
    recipe.digest = blake3(text).hexdigest()
    recipe.text = decoded = text.decode("utf-8", "surrogateescape")
    recipe.definition = definition = _load(recipe, engine, path, text, decoded)
    recipe.excluded = definition.excluded
    recipe.exports = _exports(definition, path, decoded)
    for warning in definition.warnings:
        engine.services.events.emit(
            ev.LogMessage(recipe=recipe.key.identity, level="warn", message=warning)
        )
    recipe.provides = _provides(recipe, engine)
    _note_evidence(recipe)
    if isinstance(definition.fetch, LuaFunction) and not recipe.excluded:
        recipe.fetch_answer = ask_for_sources(recipe, engine, definition.fetch)
    if not function_names(definition) or not engine.services.lua_room.take():
        _close_lua(recipe)
    if not recipe.excluded:
        declare(recipe, engine, definition.dependencies)


def needs_functions(recipe: Recipe, phase: RecipePhase) -> bool:
    """Whether a phase that is about to run may call a function of the recipe's file."""
    definition = recipe.definition
    if definition is None or not function_names(definition):
        return False
    if definition.user_managed:
        return phase > RecipePhase.RECIPE_FETCH
    if recipe.cached:
        return phase is RecipePhase.DEPLOY
    return RecipePhase.FETCH <= phase <= RecipePhase.DEPLOY


def have_functions(recipe: Recipe, engine: Engine) -> None:
    """Have the functions of a recipe back for a phase, if its Lua state was closed since.

    The same text is loaded once more, and nothing but its functions is taken: the data is known.

    Raises:
        LuaScriptError: a module or a file that it reads is not there any more.
        DeclarationError: what was a function is none this time, or what it reads is another than
            its key was made of.
    """
    definition = recipe.definition
    assert definition is not None
    names = function_names(definition)
    if recipe.lua is not None or not names:
        return
    assert recipe.path is not None
    recipe.lua = new_state(recipe, engine, recipe.path.parent)
    engine.services.lua_room.exceed()
    recipe.lua.load_file(recipe.path, recipe.text.encode("utf-8", "surrogateescape"))
    _check_same(recipe, recipe.reads, recipe.lua.reads)
    found = recipe.lua.user_globals(names)
    for name in names:
        if not isinstance(found.get(name), LuaFunction):
            raise DeclarationError(
                f"`{name}` was a function when the recipe was loaded, and is none when it is "
                "loaded a second time",
                origin=SourceText(recipe.path, recipe.text).at(name),
                hint="let the file define the same, each time it is loaded",
            )
    recipe.definition = replace(definition, **cast("dict[str, Any]", found))


def _load(
    recipe: Recipe, engine: Engine, path: Path, content: bytes, text: str
) -> RecipeDefinition:
    recipe.lua = new_state(recipe, engine, path.parent)
    recipe.lua.load_file(path, content)
    recipe.reads = recipe.lua.reads
    return parse_definition(
        recipe.lua.user_globals(),
        spec=recipe.spec,
        path=path,
        text=text,
        platform=engine.services.platform,
    )


def _check_same(recipe: Recipe, before: ReadLog | None, now: ReadLog) -> None:
    """What is built goes by a key of what was read first; it must not be of anything else."""
    if before is None:
        return
    for path, digest in now.files.items():
        if before.files.get(path, digest) != digest:
            raise DeclarationError(
                f"{path}, which {recipe.key} reads, was changed while envy was running",
                hint="run the command again",
            )


def _note_evidence(recipe: Recipe) -> None:
    """What was read to load the recipe: while it stays the same, so does the recipe."""
    evidence = recipe.evidence
    assert recipe.reads is not None
    assert recipe.definition is not None
    evidence.files[str(recipe.path)] = recipe.digest
    # What it says while it loads, it says in each run.
    evidence.lasting = evidence.lasting and recipe.reads.lasting and not recipe.definition.warnings
    evidence.files.update({str(path): digest for path, digest in recipe.reads.files.items()})
    evidence.note_variables(recipe.reads.variables)


# -- the file ------------------------------------------------------------------------------------


def _recipe_file(recipe: Recipe, engine: Engine) -> Path:
    """The recipe's file on this machine, or a folder that holds it, if it is local.

    A remote one is kept in the cache by its source.
    """
    item = recipe.spec.source
    assert item is not None
    if isinstance(item, CustomSource):
        return fetch_custom(recipe, engine)
    scheme = scheme_of(item.source)
    if scheme in {Scheme.LOCAL, Scheme.FILE}:
        return local_path(item)
    layout = engine.services.layout
    pinned = item
    if scheme is Scheme.GIT:
        pinned = _pin(item, recipe, engine)
        # A branch may have moved by the next run.
        recipe.evidence.lasting = pinned.ref == item.ref
    name = blake3(location(pinned).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = layout.recipes_dir(recipe.key.identity, name)
    if scheme is Scheme.HTTP and not (item.sha256 or item.blake3):
        recipe.evidence.lasting = False  # what is there may be another by the next run
    if not find_kept(layout, folder):
        folder = _fetch_recipe(recipe, engine, pinned, folder)
    return _inside(folder, recipe)


def _pin(item: SourceItem, recipe: Recipe, engine: Engine) -> SourceItem:
    from envy.transport import resolve_ref

    return replace(item, ref=resolve_ref(item, fetch_context(recipe, engine)))


def _fetch_recipe(recipe: Recipe, engine: Engine, item: SourceItem, folder: Path) -> Path:
    """Bring a remote recipe to `folder`, whole or not at all, once for all processes.

    What is there is never replaced, since another process may be reading it: a file without digest
    is fetched each time, and kept in a folder of its own for each content.
    """
    import os
    import time

    from envy.phases.transfer import fetch_batch

    layout = engine.services.layout
    lock = take_lock(recipe, engine, layout.lock_path(recipe.key.identity, folder.name))
    since = time.monotonic()
    try:
        if find_kept(layout, folder):
            return folder
        with temporary_beside(folder) as making:
            [fetched] = fetch_batch(recipe, engine, [item], making)
            if fetched.path.is_dir():
                content = fetched.path
            else:
                content = making
                fetched.path.rename(making / "recipe.lua")
                if not (item.sha256 or item.blake3):
                    folder = folder.with_name(f"{folder.name}-{fetched.sha256[:16]}")
            if not find_kept(layout, folder):
                os.utime(content)  # an archive may say that it is old
                content.rename(folder)
            return folder
    except OSError as error:
        raise FetchError(
            f"cannot keep the recipe in the cache: {error}", uri=item.source
        ) from error
    finally:
        release_lock(recipe, engine, lock, since)


def _inside(folder: Path, recipe: Recipe) -> Path:
    """The recipe file in a folder: `recipe.lua`, or one named after its identity."""
    names = ("recipe.lua", f"{recipe.key.identity}.lua")
    for name in names:
        if (folder / name).is_file():
            return folder / name
        # Should it come to be there, it is the one.
        recipe.evidence.files[str(folder / name)] = file_digest(str(folder / name))
    raise DeclarationError(
        f"{folder} holds neither {names[0]} nor {names[1]}",
        origin=recipe.spec.origin,
        hint='name the folder within the source that does: subdir = "…"',
    )


def _read(recipe: Recipe, path: Path) -> tuple[Path, bytes]:
    """The recipe file that a path leads to, and what it holds."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            path = _inside(path, recipe)
            status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            # A pipe would be waited for.
            raise DeclarationError(
                f"the recipe file {path} is not a plain file", origin=recipe.spec.origin
            )
        text = read_file(str(path), status.st_size)
    except FileNotFoundError:
        raise DeclarationError(
            f"there is no recipe file {path}", origin=recipe.spec.origin, hint=_hint(path, recipe)
        ) from None
    except OSError as error:
        raise DeclarationError(
            f"cannot read the recipe file {path}: {error.strerror}", origin=recipe.spec.origin
        ) from error
    item = recipe.spec.source
    if isinstance(item, SourceItem) and scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE}:
        verify_content(text, expected_digests(item), uri=item.source)
    return path, text


def _hint(path: Path, recipe: Recipe) -> str:
    from envy.suggest import nearest

    names = [found.name for found in path.parent.glob("*.lua")] if path.parent.is_dir() else []
    near = nearest(path.name, names)
    if near:
        return f"did you mean {near}?"
    return f"write it, or change the source of {recipe.key.identity}"


# -- its content ---------------------------------------------------------------------------------


def _exports(definition: RecipeDefinition, path: Path, text: str) -> Exports:
    """The exports; a function of the options is asked now, since it depends on nothing else."""
    exports = definition.exports
    if not isinstance(exports, LuaFunction):
        return exports
    value = exports.state.call(exports, dict(definition.options))
    return parse_exports(value, SourceText(path, text).at("exports"))


def _provides(recipe: Recipe, engine: Engine) -> dict[str, str]:
    """The products by name, relative to the asset; of a function of the options, asked now.

    What a user-managed package's function says is known only when its check holds.
    """
    definition = recipe.definition
    assert definition is not None
    products = definition.products
    if not isinstance(products, LuaFunction):
        return dict(products)
    if definition.user_managed:
        return {}
    value = products.state.call(products, dict(definition.options))
    return dict(
        parse_products(
            value,
            platform=engine.services.platform,
            user_managed=False,
            origin=place_of_function(products),
        )
    )


def dependencies_here(
    recipe: Recipe, engine: Engine, dependencies: Iterable[Dependency]
) -> list[tuple[int, Dependency]]:
    """The dependencies that exist on this platform, each with its position in the list.

    Judged before the first one is declared, so that a mistake leaves no half of them behind.

    Raises:
        DeclarationError: one of them may not be.
    """
    here = []
    for position, dependency in enumerate(dependencies):
        if engine.is_here(dependency.platforms, dependency.origin):
            if dependency.spec is not None:
                check_local_rule(recipe.key, dependency.spec.key, dependency.origin)
            here.append((position, dependency))
    return here


def declare(recipe: Recipe, engine: Engine, dependencies: Iterable[Dependency]) -> None:
    """Make an edge for each dependency; two entries for one key make one, the stricter of both."""
    edges: dict[RecipeKey, Edge] = {}
    here = dependencies_here(recipe, engine, dependencies)
    for position, dependency in here:
        spec = dependency.spec
        if dependency.kind is not Kind.STRONG or spec is None:
            recipe.references.append(Reference(recipe.key, position, dependency, of_source=False))
            continue
        edge = Edge(
            spec.key,
            dependency.needed_by,
            dependency.use,
            dependency.kind.value,
            spec.origin,
            dependency.product,
        )
        known = edges.get(spec.key)
        if known is not None:
            use = Use.RUN if Use.RUN in {known.use, edge.use} else Use.BUILD
            needed_by = RecipePhase(min(known.needed_by, edge.needed_by))
            product = known.product or edge.product
            edge = Edge(spec.key, needed_by, use, known.kind, known.origin, product)
        edges[spec.key] = edge
        child = engine.ensure_recipe(spec, parent=recipe.key)
        engine.start_recipe(child)
        if engine.services.events.detailed:
            engine.services.events.emit(
                ev.DependencyAdded(
                    parent=recipe.key.canonical,
                    dependency=spec.key.canonical,
                    kind=dependency.kind.value,
                    needed_by=dependency.needed_by,
                )
            )
    recipe.edges = tuple(edges.values())


def function_names(definition: RecipeDefinition) -> list[str]:
    """The globals of a recipe that are called after it was loaded; data alone needs no Lua."""
    names = [verb for verb in VERBS if isinstance(getattr(definition, verb), LuaFunction)]
    if definition.user_managed and isinstance(definition.products, LuaFunction):
        names.append("products")
    return names


def drop_lua(recipe: Recipe, engine: Engine) -> None:
    """Close a recipe's Lua state, which it needs no more, or not for long."""
    if recipe.lua is not None:
        _close_lua(recipe)
        engine.services.lua_room.give_back()


def _close_lua(recipe: Recipe) -> None:
    if recipe.lua is not None:
        recipe.lua.close()
        recipe.lua = None
