"""What of the packages that goals need to run is installed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from envy.errors import EnvyError, RecipeError
from envy.execution.products import check_found_products

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.engine.engine import Engine
    from envy.graph.recipe import Recipe


def require_installed(engine: Engine, goals: Sequence[RecipeKey]) -> None:
    """Check that goals and everything they need to run are installed; install nothing.

    Raises:
        EnvyError: something is missing; RecipeError: a goal failed.
    """
    engine.prepare(goals)
    failures = [engine.failure_of(key) for key in goals]
    broken = next((failure for failure in failures if isinstance(failure, RecipeError)), None)
    if broken is not None:
        raise broken
    missing = missing_packages(engine, goals)
    if missing:
        raise EnvyError(
            f"not installed: {', '.join(recipe.key.canonical for recipe in missing)}",
            hint="install with `envy sync`",
        )
    for key in sorted(engine.graph.run_closure(goals)):
        recipe = engine.graph.recipes[key]
        if recipe.loaded_or_none is not None and not recipe.user_managed:
            check_found_products(recipe)


def missing_packages(engine: Engine, goals: Iterable[RecipeKey]) -> list[Recipe]:
    """Return the packages that goals need to run and that are not installed, by key.

    Whether a user-managed package is installed, only its check can say.
    """
    graph = engine.graph
    needed = [graph.recipes[key] for key in sorted(graph.run_closure(goals))]
    return [
        recipe
        for recipe in needed
        if (recipe.work.undeployed or not recipe.work.cached)
        and not engine.coordination.is_complete(recipe.key)
        and recipe.loaded_or_none is not None
        and not recipe.user_managed
    ]
