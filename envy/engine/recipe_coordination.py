"""RecipeCoordination: the scheduler's record of each recipe, by key.

The satellites of the engine drive, block and fail recipes through it, in terms of keys. The kind of
the nodes (envy.engine.recipe_kind) decides how a failure is reported.
"""

from __future__ import annotations

from collections.abc import Iterable

from envy.declarations.key import RecipeKey
from envy.errors import NotPlanned
from envy.graph.recipe import Edge, Recipe
from envy.phase import RecipePhase
from envy.scheduler.coordination import Coordination, NodeKind
from envy.scheduler.coordinator import Coordinator


class RecipeCoordination(dict[RecipeKey, Coordination]):
    """One Coordination for each recipe of the graph."""

    __slots__ = ("_coordinator", "_kind")

    def __init__(self, coordinator: Coordinator, kind: NodeKind) -> None:
        super().__init__()
        self._coordinator = coordinator
        self._kind = kind

    def add(self, recipe: Recipe) -> None:
        """Add a recipe to the scheduler; it rests until its target is raised."""
        node = Coordination(recipe.key.canonical, self._kind, recipe)
        self._coordinator.add(node)
        self[recipe.key] = node

    # -- what has happened -------------------------------------------------------------------------

    def failure(self, key: RecipeKey) -> Exception | None:
        """Return the failure of a recipe, or None."""
        return self[key].failure

    def failed(self) -> list[RecipeKey]:
        """Return the recipes that have failed."""
        return [key for key, node in self.items() if node.failure is not None]

    def is_fetched(self, key: RecipeKey) -> bool:
        """Return whether a recipe has completed recipe_fetch."""
        return self[key].current_phase >= RecipePhase.RECIPE_FETCH

    def is_complete(self, key: RecipeKey) -> bool:
        """Return whether a recipe has completed its last phase."""
        return self[key].complete

    # -- driving -----------------------------------------------------------------------------------

    def raise_targets(self, keys: Iterable[RecipeKey], phase: RecipePhase) -> None:
        """Run the recipes until `phase`, inclusive."""
        self._coordinator.raise_targets([self[key] for key in keys], phase)

    def add_gate(
        self, key: RecipeKey, phase: RecipePhase, dependencies: Iterable[RecipeKey]
    ) -> None:
        """Make `phase` of a recipe wait until other recipes are complete."""
        self._coordinator.add_gate(self[key], phase, [self[one] for one in dependencies])

    def add_gates(self, key: RecipeKey, gates: Iterable[tuple[Edge, RecipePhase]]) -> None:
        """For each of the `gates`, make a phase of a recipe wait for the dependency of an edge."""
        node, add_gate = self[key], self._coordinator.add_gate
        for edge, phase in gates:
            add_gate(node, phase, (self[edge.key],))

    def wait(self, keys: Iterable[RecipeKey], phase: RecipePhase) -> None:
        """Block until each of the recipes has completed `phase` or failed."""
        self._coordinator.wait([self[key] for key in keys], phase)

    def wait_until_idle(self) -> None:
        """Block until every recipe rests at its target, is blocked, or has failed."""
        self._coordinator.wait_until_idle()

    # -- failing -----------------------------------------------------------------------------------

    def fail(self, key: RecipeKey, error: Exception, *, phase: RecipePhase) -> None:
        """Fail a resting recipe because of a mistake in the graph, unless it has failed already."""
        node = self[key]
        if node.failure is None:
            self._coordinator.fail(node, self._kind.failed(node, phase, error))

    def abort(self, key: RecipeKey, *, dependency: RecipeKey, phase: RecipePhase) -> None:
        """Fail a resting recipe because a dependency has failed."""
        node = self[key]
        self._coordinator.fail(node, self._kind.aborted(node, phase, self[dependency]))

    def set_aside(self, key: RecipeKey, reason: str) -> None:
        """Exclude a resting recipe from the run; `reason` is not an error of the recipe."""
        error = NotPlanned(f"{key}: {reason}", key=key.canonical, phase=RecipePhase.CHECK.label)
        self._coordinator.fail(self[key], error)
