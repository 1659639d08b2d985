"""RecipeMaker: creates the recipes of the graph from declarations, and starts their fetches.

A recipe with a custom source is held: it is in the graph, but its file cannot be fetched before the
dependencies of its source are complete (envy.engine.custom_sources).
"""

from __future__ import annotations

from envy.declarations.bundles import Bundle
from envy.declarations.key import RecipeKey
from envy.declarations.spec import CustomSource, DependencyKind, DependencyUse, RecipeSpec
from envy.engine.recipe_coordination import RecipeCoordination
from envy.errors import EnvyError
from envy.graph.recipe import Edge, Recipe, Reference
from envy.graph.recipe_graph import RecipeGraph
from envy.host.platform import Platform
from envy.phase import RecipePhase
from envy.phases.recipe_fetch import dependencies_on_platform


class RecipeMaker:
    """Creates one recipe for each key, however often it is declared; needs the interpreter slot."""

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: RecipeCoordination,
        platform: Platform,
        bundles: tuple[Bundle, ...] = (),
    ) -> None:
        self.held: dict[RecipeKey, Recipe] = {}  # their custom sources have not been run
        self._graph = graph
        self._coordination = coordination
        self._platform = platform
        self._bundles = bundles
        self._held_before: set[RecipeKey] = set()

    def ensure(self, spec: RecipeSpec, *, parent: RecipeKey | None = None) -> Recipe:
        """Return the recipe of this key, which is created if it is not in the graph yet."""
        recipe = self._graph.recipes.get(spec.key) or self._create(spec)
        recipe.declarations.append((parent, spec))
        return recipe

    def _create(self, spec: RecipeSpec) -> Recipe:
        recipe = self._graph.add(spec)
        self._coordination.add(recipe)
        return recipe

    def start(self, recipe: Recipe) -> None:
        """Start the fetch of a declared recipe now, or hold it until its custom source can run."""
        if not isinstance(recipe.spec.source, CustomSource):
            self._coordination.raise_targets([recipe.key], RecipePhase.RECIPE_FETCH)
        elif recipe.key not in self._held_before:
            self._held_before.add(recipe.key)
            self._hold(recipe, recipe.spec.source)

    def declare(self, spec: RecipeSpec, *, parent: RecipeKey) -> Recipe:
        """Return the recipe that `parent` depends on, which is started if it is new.

        A recipe that is in the graph has been started, or is a root, which the resolution starts.
        """
        recipe = self._graph.recipes.get(spec.key)
        if recipe is None:
            recipe = self._create(spec)
            recipe.declarations.append((parent, spec))
            self.start(recipe)
        else:
            recipe.declarations.append((parent, spec))
        return recipe

    def _hold(self, recipe: Recipe, source: CustomSource) -> None:
        """Declare the dependencies of a recipe's source; a later stage fetches the recipe."""
        self.held[recipe.key] = recipe
        try:
            here = dependencies_on_platform(
                recipe.key, self._platform, self._bundles, source.dependencies
            )
        except EnvyError as error:
            # A mistake of the recipe itself, not of the first recipe that needs it.
            self._coordination.fail(recipe.key, error, phase=RecipePhase.RECIPE_FETCH)
            return
        for position, dependency in here:
            spec = dependency.spec
            if dependency.kind is not DependencyKind.STRONG or spec is None:
                self._graph.add_reference(
                    Reference(recipe.key, position, dependency, of_source=True)
                )
                continue
            self.declare(spec, parent=recipe.key)
            edge = Edge(
                spec.key,
                RecipePhase.RECIPE_FETCH,
                DependencyUse.RUN,
                "source",
                dependency.origin,
                dependency.product,
                dependency.exports,
            )
            self._graph.add_edge(recipe.key, edge, of_source=True)
