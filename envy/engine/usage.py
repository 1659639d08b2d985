"""Usage: leases the entries of a run while it works, and records them at its end.

Leases are written after entry keys are computed and before the check phase looks entries up again,
so that an entry found by a check still exists when it is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from envy.cache.layout import CacheLayout
from envy.cache.lease import Lease
from envy.cache.recipes import lease_name
from envy.cache.usage import BUILD, RUN, UseSet, is_fresh, record_use
from envy.declarations.key import RecipeKey
from envy.engine.recipe_coordination import RecipeCoordination
from envy.graph.recipe import Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.interpreter import released


class Usage:
    """Leases and records the entries that the recipes of a project use."""

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        lease: Lease,
        layout: CacheLayout,
        manifest: str,
    ) -> None:
        self._graph = graph
        self._coordination = coordination
        self._lease = lease
        self._layout = layout
        self._manifest = manifest

    @contextlib.contextmanager
    def recorded(self, goals: Sequence[RecipeKey]) -> Iterator[None]:
        """Lease the entries of the goals from now on, and record those that were used at the end.

        Entries used within the last hour need neither: gc keeps what was used within a day.
        """
        if not (self._all_cached() and is_fresh(self._layout, self._use_of(goals))):
            self.rely_upon()
        yield
        used = self._use_of(goals)
        if used.entries and not is_fresh(self._layout, used):
            record_use(self._layout, used)

    def rely_upon(self) -> None:
        """Lease every entry whose key is known, before the check phase looks it up.

        Recipe files are leased too, because they may be loaded again later.
        """
        recipes = self._graph.recipes.values()
        names = [row.placement.entry.name for row in recipes if row.placement_or_none is not None]
        kept = {
            lease_name(self._layout, recipe.loaded.path)
            for recipe in recipes
            if recipe.loaded_or_none is not None
        }
        names += sorted(kept - {""})
        with released():
            self._lease.hold(names)

    def _all_cached(self) -> bool:
        recipes = self._graph.recipes.values()
        return all(recipe.work.cached for recipe in recipes if recipe.work.wanted)

    def _use_of(self, goals: Sequence[RecipeKey]) -> UseSet:
        """Return the entries that the goals need to run, and those that were used to build them."""
        recipes = self._graph.recipes
        to_run = set(self._graph.run_closure(goals))
        entries = {
            recipe.placement.entry.name: RUN if recipe.key in to_run else BUILD
            for recipe in recipes.values()
            if recipe.work.wanted
            and recipe.placement_or_none is not None
            and not recipe.user_managed
            and self._is_usable(recipe)
        }
        everything = {key for key in self._graph.roots if not recipes[key].excluded}
        return UseSet(
            manifest=self._manifest,
            whole=everything.issubset(goals)
            and all(self._is_usable(recipes[key]) for key in to_run),
            entries=entries,
        )

    def _is_usable(self, recipe: Recipe) -> bool:
        """Return whether a package was found in the cache, or has been completed."""
        return recipe.work.cached or self._coordination.is_complete(recipe.key)
