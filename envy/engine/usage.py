"""What a run uses of the cache: leased while it works, recorded when it is done.

Leases are written after entry keys are computed and before any entry is looked up in earnest (the
check phase looks again), so that what a check finds is still there when it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from envy.cache.recipes import lease_name
from envy.cache.usage import BUILD, RUN, UseSet, is_fresh, record_use
from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.graph.recipe import Recipe
from envy.interpreter import released

if TYPE_CHECKING:
    from envy.engine.engine import Engine


@contextlib.contextmanager
def recorded(engine: Engine, goals: Sequence[RecipeKey]) -> Iterator[None]:
    """Rely upon the entries of the goals from now on, and record in the end those that were used.

    What was used within the hour needs neither: gc spares what was used within a day.
    """
    layout = engine.services.layout
    if not (_all_cached(engine) and is_fresh(layout, _use_of(engine, goals))):
        rely_upon(engine)
    yield
    used = _use_of(engine, goals)
    if used.entries and not is_fresh(layout, used):
        record_use(layout, used)


def rely_upon(engine: Engine) -> None:
    """Lease every entry whose key is known, before it is looked up in earnest; and recipe files.

    Those may be loaded again later.
    """
    layout, recipes = engine.services.layout, engine.recipes.values()
    names = [
        recipe.placement.entry.name for recipe in recipes if recipe.placement_or_none is not None
    ]
    kept = {
        lease_name(layout, recipe.loaded.path)
        for recipe in recipes
        if recipe.loaded_or_none is not None
    }
    names += sorted(kept - {""})
    with released():
        engine.lease.hold(names)


def _all_cached(engine: Engine) -> bool:
    return all(recipe.work.cached for recipe in engine.recipes.values() if recipe.work.wanted)


def _use_of(engine: Engine, goals: Sequence[RecipeKey]) -> UseSet:
    """What the goals need to run, and what else was there to build them."""
    to_run = _run_closure(engine, goals)
    entries = {
        recipe.placement.entry.name: RUN if recipe.key in to_run else BUILD
        for recipe in engine.recipes.values()
        if recipe.work.wanted
        and recipe.placement_or_none is not None
        and _is_usable(engine, recipe)
    }
    everything = {key for key in engine.roots if not engine.recipes[key].excluded}
    return UseSet(
        project=str(engine.services.project_dir),
        whole=everything.issubset(goals) and all(map(engine.is_usable, to_run)),
        entries=entries,
    )


def _is_usable(engine: Engine, recipe: Recipe) -> bool:
    user_managed = recipe.user_managed
    return not user_managed and engine.is_usable(recipe.key)


def _run_closure(engine: Engine, goals: Iterable[RecipeKey]) -> set[RecipeKey]:
    found: set[RecipeKey] = set()
    pending = list(goals)
    while pending:
        key = pending.pop()
        if key not in found:
            found.add(key)
            pending += [
                edge.key for edge in engine.recipes[key].edges if edge.use is DependencyUse.RUN
            ]
    return found
