"""Finding the packages that a command is about, once the graph is resolved."""

from __future__ import annotations

from envy.cli.wiring import Session
from envy.engine.engine import Engine
from envy.errors import EnvyError, GraphError, RecipeError
from envy.graph.recipe import Recipe


def locate(session: Session, query: str) -> Recipe:
    """The one package with an asset that a query names.

    Raises:
        GraphError: no package answers, or several do, or it has no asset.
    """
    engine = session.engine
    engine.resolve_graph(session.manifest.packages)
    recipe = engine.find_one(query)
    failure = engine.failure_of(recipe.key)
    if failure is not None:
        raise failure
    if recipe.user_managed:
        raise GraphError(
            f"{recipe.key} is user-managed: it changes the machine and has no folder in the cache",
            hint="run its programs by name, or with `envy run`",
        )
    if recipe.excluded:
        raise GraphError(f"{recipe.key} is not for {session.services.platform.tag}")
    return recipe


def require_installed(engine: Engine, recipes: list[Recipe]) -> None:
    """See that packages and what they need to run are there, installing nothing.

    Raises:
        EnvyError: something is missing.
    """
    engine.prepare([recipe.key for recipe in recipes])
    failures = [engine.failure_of(recipe.key) for recipe in recipes]
    broken = next((failure for failure in failures if isinstance(failure, RecipeError)), None)
    if broken is not None:
        raise broken
    missing = [
        recipe.key.canonical
        for recipe in engine.wanted()
        if (recipe.work.undeployed or not recipe.work.cached)
        and recipe.loaded_or_none is not None
        and not recipe.user_managed
    ]
    if missing:
        raise EnvyError(
            f"not installed: {', '.join(missing)}",
            hint="install with `envy sync`, or leave out --no-install",
        )
