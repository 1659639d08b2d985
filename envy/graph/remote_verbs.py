"""Which verbs of a recipe with `remote` can run on a server, judged before anything runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.graph.recipe import Edge, Recipe
from envy.lua.values import LuaFunction
from envy.phase import RecipePhase

REMOTE_PHASES = (RecipePhase.BUILD, RecipePhase.INSTALL)


def why_here(
    recipe: Recipe, phase: RecipePhase, dependencies: Iterable[Recipe], *, system: str, root: str
) -> str:
    """Return why a verb runs here in any case, as the end of a sentence; "" if it need not.

    `dependencies` are those that the phase may use, with what they need to run; `system` is the
    system of this machine, and `root` the path of its cache.
    """
    definition, verb = recipe.loaded.definition, phase.label
    if isinstance(getattr(definition, verb), LuaFunction):
        return f"`{verb}` is a function, and only scripts run on a server"
    for name in ("secret_env", "pass_env"):
        if getattr(definition, name):
            return f"it has `{name}`, and variables of this machine are not sent to a server"
    if system != "linux":
        return "only scripts for Linux run on a server"
    if os.path.realpath(root) != root:
        return f"the path of the cache, {root}, leads through a link"
    return next(filter(None, map(_why_not_sent, dependencies)), "")


def _why_not_sent(dependency: Recipe) -> str:
    if dependency.user_managed:
        return f"it depends on {dependency.key}, which is installed on this machine only"
    loaded = dependency.loaded_or_none
    if loaded is not None and loaded.definition.writable:
        return f"it depends on {dependency.key}, whose files may change"
    return ""


def dependencies_by(
    recipe: Recipe,
    phase: RecipePhase,
    edges_of: Callable[[RecipeKey], Iterable[Edge]],
    recipe_of: Callable[[RecipeKey], Recipe],
) -> list[Recipe]:
    """Return the dependencies that a phase may use, with what they need to run, nearest first."""
    found: dict[RecipeKey, None] = {}
    waiting = [edge.key for edge in edges_of(recipe.key) if edge.needed_by <= phase]
    for key in waiting:  # which grows
        if key not in found:
            found[key] = None
            waiting += [e.key for e in edges_of(key) if e.use is DependencyUse.RUN]
    return [recipe_of(key) for key in found]
