"""Entry keys of the resolved graph, the look-up of entries, and the manifest's default shell.

A key is computed when all edges of a recipe's closure are bound, before any work of its own, in an
order in which dependencies come first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from envy.declarations.key import RecipeKey
from envy.declarations.locations import location_of_function
from envy.declarations.spec import DependencyUse
from envy.errors import DependencyFailed, EnvyError, GraphError
from envy.graph.recipe import Edge, Recipe
from envy.host.shell import Shell, builtin_shell, shell_from_value
from envy.lua.values import CtxTable, LuaFunction
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.engine.engine import Engine


def compute_keys(engine: Engine, goals: Iterable[RecipeKey]) -> None:
    """Give every recipe of the goals' closure its entry key, and look its entry up.

    A recipe whose key cannot be computed fails, and so does whatever depends on it.
    """
    # A function that chooses the shell asks for packages: it is called when all are known.
    if engine.shell is None and (
        engine.resolved or not isinstance(engine.default_shell, LuaFunction)
    ):
        engine.shell = _default_shell(engine)
    for key in _closure(engine, goals):
        recipe = engine.graph.recipes[key]
        if not recipe.entry_key and engine.coordination[key].failure is None:
            _compute_key(engine, recipe)


def shell_for(engine: Engine, recipe: Recipe) -> Shell:
    """The manifest's shell, but for what that shell itself is made of."""
    if engine.shell is None or recipe.key in engine.shell_exempt:
        return builtin_shell(engine.services.platform)
    return engine.shell


def _closure(engine: Engine, goals: Iterable[RecipeKey]) -> list[RecipeKey]:
    return engine.graph.build_closure(goals)


def _compute_key(engine: Engine, recipe: Recipe) -> None:
    node = engine.coordination[recipe.key]
    for edge in engine.graph.edges(recipe.key):
        dependency = engine.coordination[edge.key]
        if dependency.failure is not None:
            engine.coordinator.fail(node, node.kind.aborted(node, RecipePhase.CHECK, dependency))
            return
    keys = [engine.graph.recipes[edge.key].entry_key for edge in engine.graph.edges(recipe.key)]
    try:
        engine.steps.find_entry(recipe, engine, keys)
    except EnvyError as error:
        engine.fail(recipe.key, error, phase=RecipePhase.CHECK)


# -- the default shell ---------------------------------------------------------------------------


def _default_shell(engine: Engine) -> Shell:
    """The shell that the manifest asks for; its packages become build dependencies of the rest.

    Raises:
        EnvyError: the value is no shell, or its function names no package of the graph.
    """
    value = engine.default_shell
    platform = engine.services.platform
    if value is None:
        return builtin_shell(platform)
    if not isinstance(value, LuaFunction):
        return shell_from_value(value, engine.shell_origin)
    used: list[RecipeKey] = []

    def asset(query: object) -> str:
        recipe = engine.find_one(str(query))
        if recipe.loaded_or_none is None or recipe.user_managed:
            raise GraphError(f"default_shell: {recipe.key} has no asset of its own")
        engine.shell_exempt.update(_closure(engine, [recipe.key]))
        compute = _closure(engine, [recipe.key])
        for key in compute:
            if not engine.graph.recipes[key].entry_key and not engine.coordination[key].failure:
                _compute_key(engine, engine.graph.recipes[key])
        failure = engine.failure_of(recipe.key)
        if failure is not None or recipe.asset_dir is None:
            root = failure.root if isinstance(failure, DependencyFailed) else failure
            raise GraphError(f"default_shell: {recipe.key} cannot be had: {root}")
        used.append(recipe.key)
        return str(recipe.asset_dir)

    state = value.state
    ctx = CtxTable(fields={"platform": platform.tag}, functions={"asset": asset}, missing={})
    answer = state.call_with_ctx(value, ctx, {})
    shell = shell_from_value(answer, location_of_function(value))
    _let_all_depend_on(engine, used)
    return shell


def _let_all_depend_on(engine: Engine, packages: list[RecipeKey]) -> None:
    for key, recipe in engine.graph.recipes.items():
        if key in engine.shell_exempt:
            continue
        known = {edge.key for edge in engine.graph.edges(key)}
        for package in packages:
            if package not in known:
                edge = Edge(
                    package, RecipePhase.CHECK, DependencyUse.BUILD, "shell", recipe.spec.origin
                )
                engine.graph.add_edge(key, edge)
