"""EntryKeys: computes the entry keys of the resolved graph, and looks entries up.

A key is computed when all references in the closure of a recipe are bound, before any phase of the
recipe after recipe_fetch, and after the keys of its dependencies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from envy.declarations.key import RecipeKey
from envy.engine.recipe_coordination import RecipeCoordination
from envy.errors import EnvyError
from envy.graph.recipe import Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.keying.find_entry import SourcesFailed
from envy.phase import RecipePhase


class EntryKeys:
    """Computes entry keys. `find_entry` gets a recipe and the entry keys of its dependencies.

    `ask_ahead` gets all recipes whose keys are computed next.
    """

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        find_entry: Callable[[Recipe, Sequence[str]], None],
        *,
        ask_ahead: Callable[[Iterable[Recipe]], None] = lambda _: None,
    ) -> None:
        self._graph = graph
        self._coordination = coordination
        self._find_entry = find_entry
        self._ask_ahead = ask_ahead

    def compute(self, goals: Iterable[RecipeKey]) -> None:
        """Compute the entry key of every recipe in the goals' closure, and look its entry up.

        A recipe whose key cannot be computed fails, and so does everything that depends on it.
        """
        recipes, coordination = self._graph.recipes, self._coordination
        due = [
            recipes[key]
            for key in self._graph.build_closure(goals)
            if not recipes[key].entry_key and coordination[key].failure is None
        ]
        self._ask_ahead(due)
        for recipe in due:
            if coordination[recipe.key].failure is None:
                self._compute(recipe)

    def _compute(self, recipe: Recipe) -> None:
        needed = [edge.key for edge in self._graph.edges(recipe.key)]
        for key in needed:
            if self._coordination[key].failure is not None:
                self._coordination.abort(recipe.key, dependency=key, phase=RecipePhase.CHECK)
                return
        recipes = self._graph.recipes
        try:
            self._find_entry(recipe, [recipes[key].placement.entry_key for key in needed])
        except SourcesFailed as failed:
            # Nothing was fetched, but the mistake is one of `fetch`.
            self._coordination.fail(recipe.key, failed.cause, phase=RecipePhase.FETCH)
        except (EnvyError, OSError) as error:
            self._coordination.fail(recipe.key, error, phase=RecipePhase.CHECK)
