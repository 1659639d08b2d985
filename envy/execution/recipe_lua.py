"""The Lua state of a recipe's file: created, closed, and recreated when a phase needs it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from envy.declarations.definition import VERBS, RecipeDefinition
from envy.declarations.locations import SourceText
from envy.errors import DeclarationError, InternalError
from envy.execution.bundle_roots import root_above
from envy.execution.log import report as report_of
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.lua.runtime import LuaState
from envy.lua.sandbox import ReadLog, SandboxSettings
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def new_state(
    recipe: Recipe,
    engine: PhaseServices,
    base_dir: Path,
    *,
    report: Callable[[str, str], None] | None = None,
) -> LuaState:
    """Return a new Lua state for a file of a recipe, whose messages `report` gets."""
    services = engine.services
    report = report or functools.partial(report_of, recipe, services)
    return LuaState(
        SandboxSettings(
            platform=services.platform,
            environment=services.environment,
            should_stop=engine.stopped,
            on_log=report,
            on_stdout=functools.partial(report, "stdout"),
            steps=services.lua_steps,
        ),
        base_dir=base_dir,
        shared_dir=root_above(base_dir, services),
    )


def needs_functions(recipe: Recipe, phase: RecipePhase) -> bool:
    """Return whether a phase that is about to run may call a function of the recipe's file."""
    loaded = recipe.loaded_or_none
    if loaded is None or not loaded.function_names:
        return False
    if loaded.definition.user_managed:
        return phase > RecipePhase.RECIPE_FETCH
    if recipe.work.cached:
        return phase is RecipePhase.DEPLOY
    return RecipePhase.FETCH <= phase <= RecipePhase.DEPLOY


def ensure_functions(recipe: Recipe, engine: PhaseServices) -> None:
    """Load a recipe's functions again for a phase, if its Lua state was closed.

    The same text is loaded again, and only its functions are used: its data is already known.

    Raises:
        LuaScriptError: a module or a file that the recipe reads no longer exists.
        DeclarationError: a function is no longer a function, or a file that the recipe reads has
            changed since its key was computed.
    """
    loaded = recipe.loaded
    if recipe.functions.state is not None or not loaded.function_names:
        return
    state = recipe.functions.state = new_state(recipe, engine, loaded.recipe_dir)
    engine.services.open_states.add()
    state.load_file(loaded.path, loaded.text.encode("utf-8", "surrogateescape"))
    _check_unchanged(recipe, loaded.reads, state.reads)
    found = state.user_globals(loaded.function_names)
    for name in loaded.function_names:
        if not isinstance(found.get(name), LuaFunction):
            raise DeclarationError(
                f"`{name}` was a function when the recipe was loaded, but not when it was loaded "
                "a second time",
                origin=SourceText(loaded.path, loaded.text).at(name),
                hint="the file must define the same values each time it is loaded",
            )
    recipe.functions.live = cast("dict[str, LuaFunction]", found)


def live_function(recipe: Recipe, name: str) -> LuaFunction:
    """Return a function of the recipe's file, in the state that is open now.

    Raises:
        InternalError: the state was closed and was not recreated for this phase.
    """
    function = recipe.functions.live.get(name)
    if function is None:
        raise InternalError(f"{recipe.key}: `{name}` was called while its Lua state was closed")
    return function


def function_names(definition: RecipeDefinition) -> tuple[str, ...]:
    """Return the globals that phases call; a recipe of data alone has none."""
    names = [verb for verb in VERBS if isinstance(getattr(definition, verb), LuaFunction)]
    if definition.user_managed and isinstance(definition.products, LuaFunction):
        names.append("products")
    return tuple(names)


def functions_of(definition: RecipeDefinition, names: Sequence[str]) -> dict[str, LuaFunction]:
    """Return the functions of a file that has just been loaded, by name."""
    return {name: getattr(definition, name) for name in names}


def release_lua_state(recipe: Recipe, engine: PhaseServices) -> None:
    """Close a recipe's Lua state, and free its place among the open states."""
    if recipe.functions.state is not None:
        close_lua_state(recipe)
        engine.services.open_states.remove()


def close_lua_state(recipe: Recipe) -> None:
    """Close a recipe's Lua state if it is open; its functions end with it."""
    state = recipe.functions.state
    if state is not None:
        recipe.functions.state, recipe.functions.live = None, {}
        state.close()


def _check_unchanged(recipe: Recipe, before: ReadLog, now: ReadLog) -> None:
    """Check that the second load read the same files, since the key covers only the first."""
    for path, digest in now.files.items():
        if before.files.get(path, digest) != digest:
            raise DeclarationError(
                f"{path}, which {recipe.key} reads, changed while envy was running",
                hint="run the command again",
            )
