"""The Lua state of a recipe's file: made, closed, and made again when its functions are needed."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from envy.declarations.definition import VERBS, RecipeDefinition
from envy.declarations.locations import SourceText
from envy.errors import DeclarationError
from envy.execution.log import tell
from envy.execution.services import Engine
from envy.graph.recipe import Recipe
from envy.lua.runtime import LuaState
from envy.lua.sandbox import ReadLog, SandboxSettings
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase


def new_state(recipe: Recipe, engine: Engine, base_dir: Path) -> LuaState:
    """A Lua state for a file that belongs to a recipe."""
    services = engine.services
    return LuaState(
        SandboxSettings(
            platform=services.platform,
            environment=services.environment,
            should_stop=engine.stopped,
            on_log=functools.partial(tell, recipe, services),
            on_stdout=functools.partial(tell, recipe, services, "stdout"),
        ),
        base_dir=base_dir,
    )


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


def function_names(definition: RecipeDefinition) -> list[str]:
    """The globals of a recipe that are called after it was loaded; data alone needs no Lua."""
    names = [verb for verb in VERBS if isinstance(getattr(definition, verb), LuaFunction)]
    if definition.user_managed and isinstance(definition.products, LuaFunction):
        names.append("products")
    return names


def drop_lua(recipe: Recipe, engine: Engine) -> None:
    """Close a recipe's Lua state, which it needs no more, or not for long."""
    if recipe.lua is not None:
        close_lua(recipe)
        engine.services.lua_room.give_back()


def close_lua(recipe: Recipe) -> None:
    if recipe.lua is not None:
        recipe.lua.close()
        recipe.lua = None


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
