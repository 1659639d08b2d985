"""CustomSources: recipes whose source is a function with dependencies.

Such a recipe is held until those dependencies are complete. A stage runs every custom fetch whose
closure is bound and contains no other held recipe, and waits for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from envy.declarations.key import RecipeKey
from envy.engine.binding import missing_text
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.recipe_maker import RecipeMaker
from envy.errors import MissingReferences, NotPlanned
from envy.execution.entry_lock import needs_deploy
from envy.graph.recipe import Recipe, Reference
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase


class ToolBuilder(Protocol):
    """Builds the tools of custom sources while the graph is resolved."""

    def exempt_tools(self, tools: Iterable[RecipeKey]) -> None:
        """Let tools use the built-in shell, if the manifest's cannot be known yet."""

    def compute_keys(self, goals: Iterable[RecipeKey]) -> None:
        """Compute the entry keys of the goals' closure, and look its entries up."""

    def prepare(self, goals: Iterable[RecipeKey]) -> None:
        """Compute entry keys and decide what is wanted; run no phase."""

    def complete(self, goals: Iterable[RecipeKey]) -> None:
        """Start completing the goals and everything that is wanted for them."""

    def wait_for_fetches(self) -> None:
        """Block until every declared recipe has been fetched, or has failed."""


class CustomSources:
    """Runs the custom fetches of held recipes in stages.

    Without `installs`, no tool is built: a source whose tools are missing stays unknown.
    """

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        maker: RecipeMaker,
        tools: ToolBuilder,
        *,
        is_source_fetched: Callable[[Recipe], bool],
        installs: bool = True,
    ) -> None:
        self._graph = graph
        self._coordination = coordination
        self._held = maker.held
        self._tools = tools
        self._is_source_fetched = is_source_fetched
        self._installs = installs

    @property
    def any_held(self) -> bool:
        """Whether a recipe is held because its custom source has not been run."""
        return bool(self._held)

    def early_references(self) -> list[Reference]:
        """Return the open references in the closures of held sources' dependencies."""
        return self._graph.open_references(
            key
            for key in self._graph.closure(self._held)
            # The file of a held recipe is not loaded: all its references are those of its source.
            if key in self._held or self._graph.recipes[key].loaded_or_none is not None
        )

    def run_stage(self) -> None:
        """Run every custom fetch that can be run now, and wait for all of them.

        Raises:
            MissingReferences: none can be run; names each held recipe, and what it lacks.
        """
        self._drop_failed()
        if not self._held:
            return
        ready = [recipe for recipe in self._in_order() if self._is_ready(recipe)]
        if not ready:
            raise self._stuck()
        for recipe in ready:
            del self._held[recipe.key]
        tools = [key for recipe in ready for key in self._tools_of(recipe)]
        self._tools.exempt_tools(tools)
        # For all of them before any runs: which keys can be computed must not depend on the order.
        self._tools.compute_keys(tools)
        waiting = [recipe for recipe in ready if not self._has_recipe(recipe)]
        if not self._installs:
            unplanned = {recipe.key for recipe in waiting if self._set_aside(recipe)}
            ready = [recipe for recipe in ready if recipe.key not in unplanned]
            waiting = [recipe for recipe in waiting if recipe.key not in unplanned]
        for recipe in waiting:
            self._coordination.add_gate(
                recipe.key, RecipePhase.RECIPE_FETCH, self._tools_of(recipe)
            )
        self._tools.complete([key for recipe in waiting for key in self._tools_of(recipe)])
        self._coordination.raise_targets([one.key for one in ready], RecipePhase.RECIPE_FETCH)
        self._tools.wait_for_fetches()

    def _tools_of(self, recipe: Recipe) -> list[RecipeKey]:
        return [edge.key for edge in self._graph.source_edges(recipe.key)]

    def _has_recipe(self, recipe: Recipe) -> bool:
        """Return whether the cache has the result of a custom fetch, which then needs no tools."""
        recipes = self._graph.recipes
        known = all(recipes[key].entry_key for key in self._tools_of(recipe))
        return known and self._is_source_fetched(recipe)

    def _set_aside(self, recipe: Recipe) -> bool:
        """Leave a recipe out of a plan if its source needs tools that are not installed."""
        lacking = self._missing_tools(self._tools_of(recipe))
        if lacking:
            self._coordination.set_aside(
                recipe.key, f"its source needs {', '.join(lacking)} before it can be fetched"
            )
        return bool(lacking)

    def _missing_tools(self, tools: Sequence[RecipeKey]) -> list[str]:
        """Return the packages that must be installed, or checked, before these are complete."""
        self._tools.prepare(tools)
        needed = self._graph.run_closure(tools)
        return [str(key) for key in sorted(needed) if not self._is_there(key)]

    def _is_there(self, key: RecipeKey) -> bool:
        recipe, failure = self._graph.recipes[key], self._coordination.failure(key)
        if failure is not None:
            # The recipe that needs it reports the failure.
            return not isinstance(failure, NotPlanned)
        return recipe.work.cached and not needs_deploy(recipe)

    def _drop_failed(self) -> None:
        for key in list(self._held):
            if self._coordination.failure(key) is not None:
                del self._held[key]

    def _in_order(self) -> list[Recipe]:
        return [self._held[key] for key in sorted(self._held)]

    def _is_ready(self, recipe: Recipe) -> bool:
        """Return whether the closure of a source is bound, and contains no held recipe."""
        if self._graph.open_references([recipe.key]):
            return False
        keys = self._graph.closure(self._tools_of(recipe))
        return self._held.keys().isdisjoint(keys) and not self._graph.open_references(keys)

    def _stuck(self) -> MissingReferences:
        rows = []
        for recipe in self._in_order():
            keys = self._graph.closure([recipe.key])
            lacking = self._graph.open_references(keys)
            waits = [key for key in keys if key in self._held and key != recipe.key]
            rows += [
                f"{recipe.key} cannot be fetched: nothing answers to {text}"
                for text in missing_text(self._graph, lacking)
            ]
            if not lacking and waits:
                rows.append(f"{recipe.key} cannot be fetched: it waits for {waits[0]}")
        return MissingReferences(rows)
