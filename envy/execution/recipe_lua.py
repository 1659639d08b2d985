"""The Lua state of a recipe's file: made, closed, and made again when its functions are needed."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from envy.declarations.definition import VERBS, RecipeDefinition
from envy.declarations.locations import SourceText
from envy.errors import DeclarationError, InternalError
from envy.execution.log import report
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.lua.runtime import LuaState
from envy.lua.sandbox import ReadLog, SandboxSettings
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def new_state(recipe: Recipe, engine: PhaseServices, base_dir: Path) -> LuaState:
    """A Lua state for a file that belongs to a recipe."""
    services = engine.services
    return LuaState(
        SandboxSettings(
            platform=services.platform,
            environment=services.environment,
            should_stop=engine.stopped,
            on_log=functools.partial(report, recipe, services),
            on_stdout=functools.partial(report, recipe, services, "stdout"),
        ),
        base_dir=base_dir,
    )


def needs_functions(recipe: Recipe, phase: RecipePhase) -> bool:
    """Whether a phase that is about to run may call a function of the recipe's file."""
    loaded = recipe.loaded_or_none
    if loaded is None or not loaded.function_names:
        return False
    if loaded.definition.user_managed:
        return phase > RecipePhase.RECIPE_FETCH
    if recipe.work.cached:
        return phase is RecipePhase.DEPLOY
    return RecipePhase.FETCH <= phase <= RecipePhase.DEPLOY


def ensure_functions(recipe: Recipe, engine: PhaseServices) -> None:
    """Have the functions of a recipe back for a phase, if its Lua state was closed since.

    The same text is loaded once more, and nothing but its functions is taken: the data is known.

    Raises:
        LuaScriptError: a module or a file that it reads is not there any more.
        DeclarationError: what was a function is none this time, or what it reads is another than
            its key was made of.
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
                f"`{name}` was a function when the recipe was loaded, and is none when it is "
                "loaded a second time",
                origin=SourceText(loaded.path, loaded.text).at(name),
                hint="let the file define the same, each time it is loaded",
            )
    recipe.functions.live = cast("dict[str, LuaFunction]", found)


def live_function(recipe: Recipe, name: str) -> LuaFunction:
    """A function of the recipe's file, in the state that is open now.

    Raises:
        InternalError: the state was closed, and not made again for this phase.
    """
    function = recipe.functions.live.get(name)
    if function is None:
        raise InternalError(f"{recipe.key}: `{name}` is called while its Lua state is closed")
    return function


def function_names(definition: RecipeDefinition) -> tuple[str, ...]:
    """The globals of a recipe that are called after it was loaded; data alone needs no Lua."""
    names = [verb for verb in VERBS if isinstance(getattr(definition, verb), LuaFunction)]
    if definition.user_managed and isinstance(definition.products, LuaFunction):
        names.append("products")
    return tuple(names)


def functions_of(definition: RecipeDefinition, names: Sequence[str]) -> dict[str, LuaFunction]:
    """The functions of a file that has just been loaded, by name."""
    return {name: getattr(definition, name) for name in names}


def release_lua_state(recipe: Recipe, engine: PhaseServices) -> None:
    """Close a recipe's Lua state, which it needs no more, or not for long."""
    if recipe.functions.state is not None:
        close_lua_state(recipe)
        engine.services.open_states.remove()


def close_lua_state(recipe: Recipe) -> None:
    """Close a recipe's Lua state, if it is open; its functions end with it."""
    state = recipe.functions.state
    if state is not None:
        recipe.functions.state, recipe.functions.live = None, {}
        state.close()


def _check_unchanged(recipe: Recipe, before: ReadLog, now: ReadLog) -> None:
    """What is built goes by a key of what was read first; it must not be of anything else."""
    for path, digest in now.files.items():
        if before.files.get(path, digest) != digest:
            raise DeclarationError(
                f"{path}, which {recipe.key} reads, was changed while envy was running",
                hint="run the command again",
            )
