"""Demand: decides once, after resolution, which packages the goals of a command want.

A goal wants its `use = "run"` closure, and, if its entry is missing or not deployed, also its
direct `use = "build"` dependencies with their run closures. Entries have been looked up before, so
a cached package never causes its compilers to be installed; gates concern only phases that run. A
package that turns out to need work later (its entry has been removed, or the check of a
user-managed package fails) wants the rest then.

A user-managed package has no entry: its check decides. The dependencies of its check are wanted at
once, the build dependencies of later phases only when the check fails.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.engine.priorities import Priorities
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.record import mark_missing, mark_wanted
from envy.events import EventBus, PackagesWanted
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase


class Demand:
    """Decides which packages are wanted, and closes their gates."""

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        priorities: Priorities,
        events: EventBus,
    ) -> None:
        self._events = events
        self._graph = graph
        self._coordination = coordination
        self._priorities = priorities

    def would_want(
        self, goals: Iterable[RecipeKey], is_missing: Callable[[Recipe], bool]
    ) -> list[Recipe]:
        """Return what `want` would mark as wanted if only these entries were missing."""
        recipes = self._graph.recipes

        def wanted_by(key: RecipeKey) -> Iterator[RecipeKey]:
            recipe = recipes[key]
            for edge in self._graph.edges(key):
                if edge.use is DependencyUse.RUN or (
                    _is_wanted_for(recipe, edge) if recipe.user_managed else is_missing(recipe)
                ):
                    yield edge.key

        return [recipes[key] for key in dependencies_first(goals, wanted_by)]

    def want(self, goals: Iterable[RecipeKey]) -> list[Recipe]:
        """Mark the closure of `goals` as wanted, and close its gates; return the newly wanted."""
        recipes = self._graph.recipes
        fresh: list[Recipe] = []
        pending = [recipes[key] for key in reversed(list(goals))]
        while pending:
            recipe = pending.pop()
            if recipe.work.wanted:
                continue
            mark_wanted(recipe)
            fresh.append(recipe)
            pending += [
                recipes[edge.key]
                for edge in self._graph.edges(recipe.key)
                if _is_wanted_for(recipe, edge)
            ]
        self._priorities.prioritise(fresh, self._gates)
        for recipe in fresh:
            self._coordination.add_gates(recipe.key, self._gates(recipe))
        if fresh and self._events.hears(PackagesWanted):
            missing = sum(not one.work.cached or one.work.undeployed for one in fresh)
            self._events.emit(PackagesWanted(packages=len(fresh), missing=missing))
        return fresh

    def want_for_work(self, recipe: Recipe) -> None:
        """Want the build dependencies of a recipe, because its check found that it needs work."""
        edges = self._graph.edges(recipe.key)
        late = [edge for edge in edges if self._is_late(recipe, edge)]
        mark_missing(recipe)
        # Its check is running now, so the earliest phase that can still wait is fetch.
        gates = [(edge, max(edge.needed_by, RecipePhase.FETCH)) for edge in late]
        self._priorities.put_before(recipe, gates, self._gates)
        fresh = self.want([edge.key for edge in late])
        self._coordination.raise_targets([one.key for one in fresh], RecipePhase.COMPLETION)
        self._coordination.add_gates(recipe.key, gates)

    def wanted(self) -> list[Recipe]:
        """Return every wanted recipe, in key order."""
        found = [recipe for recipe in self._graph.recipes.values() if recipe.work.wanted]
        return sorted(found, key=lambda recipe: recipe.key)

    def wanted_closure(self, goals: Iterable[RecipeKey]) -> list[RecipeKey]:
        """Return the goals and the wanted recipes of their closure, dependencies first.

        Other recipes may be wanted for another reason.
        """
        recipes = self._graph.recipes
        return dependencies_first(
            goals,
            lambda key: [
                edge.key for edge in self._graph.edges(key) if recipes[edge.key].work.wanted
            ],
        )

    def unsatisfied(self) -> list[str]:
        """Return the wanted user-managed packages that are not known to be satisfied, as text."""
        found = []
        for recipe in self.wanted():
            node = self._coordination[recipe.key]
            if node.ended or not recipe.user_managed or recipe.work.satisfied:
                continue
            has_checked = node.current_phase >= RecipePhase.CHECK
            found.append(
                recipe.key.canonical if has_checked else f"{recipe.key} (its check has not run yet)"
            )
        return found

    def awaited_by(self, recipe: Recipe) -> list[RecipeKey]:
        """Return the wanted recipes with work to do that need a recipe, in key order."""
        return [
            other.key
            for other in self.wanted()
            if not other.work.cached
            and any(edge.key == recipe.key for edge in self._graph.all_edges(other.key))
        ]

    def _is_late(self, recipe: Recipe, edge: Edge) -> bool:
        if recipe.work.cached:
            return not self._coordination.is_complete(edge.key)
        return not _is_wanted_for(recipe, edge)

    def _gates(self, recipe: Recipe) -> Iterator[tuple[Edge, RecipePhase]]:
        """Yield the edges a recipe waits for, with the phase; if cached, only for the last ones."""
        earliest = RecipePhase.RECIPE_FETCH
        if recipe.work.cached:
            earliest = RecipePhase.DEPLOY if recipe.work.undeployed else RecipePhase.COMPLETION
        for edge in self._graph.edges(recipe.key):
            if _is_wanted_for(recipe, edge):
                yield edge, max(edge.needed_by, earliest)


def _is_wanted_for(recipe: Recipe, edge: Edge) -> bool:
    """Return whether an edge makes its dependency wanted, as known before any phase runs."""
    if edge.use is DependencyUse.RUN:
        return True
    if recipe.user_managed:
        return edge.needed_by <= RecipePhase.CHECK
    return not recipe.work.cached or recipe.work.undeployed
