"""Custom sources: a function of the declaring file fetches the recipe, with its own tools.

The function runs in a Lua state of its own, which loads the declaring file again: lupa holds a
state's lock during a Python callback, and the parent's state may be in use. The fetched recipe is
kept in the cache under a name made from everything it depends on, so that the function runs once.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import cast

from blake3 import blake3

from envy.cache.names import DIGITS, RECIPE_FILE
from envy.cache.recipes import find_recipe_files
from envy.cache.trees import digest_file
from envy.content.atomic import temporary_beside
from envy.declarations.spec import CustomSource
from envy.errors import DeclarationError, FetchError, InternalError
from envy.execution.entry_lock import acquire_lock, release_lock
from envy.execution.phase_run import PhaseRun
from envy.execution.recipe_lua import new_state
from envy.execution.services import PhaseServices
from envy.execution.verbs import call_function
from envy.graph.recipe import Recipe
from envy.lua.runtime import LuaState
from envy.lua.values import LuaFunction, LuaValue
from envy.phase import RecipePhase
from envy.transport.digests import ExpectedDigest, verify_content


def custom_folder(recipe: Recipe, engine: PhaseServices) -> Path:
    """Return the folder of a custom source's recipe, named after everything that decides it."""
    source = _source(recipe)
    graph = engine.graph
    tools = sorted(graph.recipes[edge.key].entry_key for edge in graph.source_edges(recipe.key))
    text = "\0".join(
        [
            digest_file(source.fetch.file),
            ".".join(str(key) for key in source.fetch.keys),
            recipe.key.canonical,
            source.sha256,
            *tools,
        ]
    )
    name = blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]
    return engine.services.layout.recipes_dir(recipe.key.identity, name)


def is_source_fetched(recipe: Recipe, engine: PhaseServices) -> bool:
    """Return whether the source's recipe is in the cache; its tools must have their entry keys."""
    return _is_kept(custom_folder(recipe, engine), engine)


def _is_kept(folder: Path, engine: PhaseServices) -> bool:
    return find_recipe_files(engine.services.layout, folder) and (folder / RECIPE_FILE).is_file()


def fetch_custom(recipe: Recipe, engine: PhaseServices) -> Path:
    """Run the function unless its recipe is in the cache, and return the recipe file.

    Raises:
        FetchError: the function committed no recipe.lua. Errors of the function propagate.
    """
    folder = custom_folder(recipe, engine)
    if not _is_kept(folder, engine):
        layout = engine.services.layout
        lock = acquire_lock(recipe, engine, layout.lock_path(recipe.key.identity, folder.name))
        since = time.monotonic()
        try:
            if not _is_kept(folder, engine):
                _run(recipe, engine, folder)
        finally:
            release_lock(recipe, engine, lock, since)
    return folder / RECIPE_FILE


def _run(recipe: Recipe, engine: PhaseServices, folder: Path) -> None:
    source = _source(recipe)
    with temporary_beside(folder) as temporary:
        fetch_dir, tmp_dir = temporary / "fetch", temporary / "tmp"
        fetch_dir.mkdir(parents=True)
        tmp_dir.mkdir()
        state = new_state(recipe, engine, source.fetch.file.parent)
        try:
            state.load_file(source.fetch.file)
            function = _function(recipe, engine, state)
            with PhaseRun(
                recipe,
                engine,
                RecipePhase.RECIPE_FETCH,
                run_dir=tmp_dir,
                base_dir=source.fetch.file.parent,
                fetch_dir=fetch_dir,
            ) as run:
                call_function(run, function)
        finally:
            recipe.work.fetched = {}
            state.close()
        _verify(fetch_dir / RECIPE_FILE, source)
        fetch_dir.rename(folder)


def _verify(path: Path, source: CustomSource) -> None:
    if not path.is_file():
        raise FetchError(
            f"the custom source committed no {RECIPE_FILE}",
            uri=str(source.origin),
            hint=f'commit it under that name: ctx.commit_fetch("{RECIPE_FILE}")',
        )
    if source.sha256:
        expected = ExpectedDigest(algorithm="sha256", hexdigest=source.sha256)
        verify_content(path.read_bytes(), [expected], uri=RECIPE_FILE)


def _function(recipe: Recipe, engine: PhaseServices, state: LuaState) -> LuaFunction:
    """Return the fetch function, from a state that has loaded the declaring file again."""
    address = _source(recipe).fetch
    value: object = state.user_globals()
    for position, key in enumerate(address.keys):
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and isinstance(key, int) and key <= len(value):
            value = value[key - 1]
        else:
            value = None
        if isinstance(value, LuaFunction) and position == 0 and len(address.keys) > 1:
            value = state.call(value, _options_of_declarer(recipe, engine))
    if not isinstance(value, LuaFunction):
        raise DeclarationError(
            "the custom source is missing when its file is loaded a second time",
            origin=_source(recipe).origin,
            hint="the file must define the same values each time it is loaded",
        )
    return value


def _options_of_declarer(recipe: Recipe, engine: PhaseServices) -> LuaValue:
    """Return the options of the recipe whose `dependencies` function declared this recipe."""
    for parent, spec in recipe.declarations:
        if spec is recipe.spec and parent is not None:
            return cast("LuaValue", dict(engine.graph.recipes[parent].options))
    return {}


def _source(recipe: Recipe) -> CustomSource:
    source = recipe.spec.source
    if not isinstance(source, CustomSource):
        raise InternalError(f"{recipe.key} has no custom source")
    return source
