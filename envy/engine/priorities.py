"""Priorities: the recipe with the longest remaining path goes first, by earlier durations.

The priorities of recipes are computed when they become wanted, in one pass over their edges. A path
leads through gates: a recipe that waits for another only from its install on adds only the time
from its install on to the path.

For a package that was never built, each phase with work counts as the average duration of the
phases that are remembered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.cache.durations import Durations, Measured, Seconds
from envy.engine.record import add_duration, expect
from envy.graph.algorithms import dependencies_first
from envy.graph.recipe import Edge, Outcome, Recipe
from envy.masking import masked
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.declarations.key import RecipeKey
    from envy.graph.recipe_graph import RecipeGraph
    from envy.scheduler.coordination import Coordination

# Seconds. A shorter phase ends before another slot could be granted.
BRIEF = 0.01
# Seconds that envy itself takes for a package, so that longer chains of brief packages go first.
_OWN = 0.001
_REMEMBERED = tuple(range(RecipePhase.FETCH, RecipePhase.COMPLETION))
_MADE = frozenset({Outcome.INSTALLED, Outcome.CHANGED, Outcome.UNCONFIRMED})
# A path that grows late, and by a smaller factor, is not passed on to the dependencies.
_NOTABLE = 1.1

Gates = Callable[[Recipe], Iterable[tuple[Edge, RecipePhase]]]


class Priorities:
    """Sets the priorities of the recipes of a run, and stores how long they took."""

    def __init__(
        self,
        graph: RecipeGraph,
        coordination: Mapping[RecipeKey, Coordination],
        durations: Durations,
    ) -> None:
        self._graph = graph
        self._coordination = coordination
        self._durations = durations

    def prioritise(self, fresh: Sequence[Recipe], gates: Gates) -> None:
        """Set the priorities of newly wanted recipes.

        `gates` returns which edges of a recipe close a gate, and before which phase.
        """
        self._expect(fresh)
        wanted = {recipe.key: list(gates(recipe)) for recipe in fresh}
        order = dependencies_first(
            sorted(wanted), lambda key: [edge.key for edge, _ in wanted[key] if edge.key in wanted]
        )
        for key in reversed(order):
            above = self._coordination[key]
            for edge, phase in wanted[key]:
                below, path = self._coordination[edge.key], above.path_from(phase)
                if edge.key not in wanted:
                    self._lengthen(below, path, gates)
                elif path > below.path_after:
                    below.path_after = path

    def put_before(
        self, recipe: Recipe, edges: Iterable[tuple[Edge, RecipePhase]], gates: Gates
    ) -> None:
        """Put dependencies on the path of a recipe that turned out to need work."""
        self._expect([recipe])
        node = self._coordination[recipe.key]
        for edge, phase in edges:
            self._lengthen(self._coordination[edge.key], node.path_from(phase), gates)

    def remember(self) -> None:
        """Store how long each package took that this run has built."""
        measured = [
            Measured(masked(recipe.key.canonical), recipe.entry_key, recipe.work.took or ())
            for recipe in self._graph.recipes.values()
            if recipe.work.outcome in _MADE
        ]
        if measured:
            self._durations.learn(measured, (masked(key.canonical) for key in self._graph.recipes))

    def _lengthen(self, node: Coordination, path: float, gates: Gates) -> None:
        """Lengthen the path after a node that already has a priority, and its dependencies'."""
        pending = [(node, path)]
        while pending:
            node, path = pending.pop()
            before, node.path_after = node.path_after, max(node.path_after, path)
            recipe: Recipe = node.subject
            if path > before * _NOTABLE and recipe.work.wanted and not node.ended:
                pending += [
                    (self._coordination[edge.key], node.path_from(phase))
                    for edge, phase in gates(recipe)
                ]

    def _expect(self, recipes: Sequence[Recipe]) -> None:
        """Set on each node how much work is left from each phase on."""
        at_work = [recipe for recipe in recipes if not recipe.work.cached]
        for recipe in at_work:
            expect(recipe, self._durations.recall(masked(recipe.key.canonical), recipe.entry_key))
        unit = _seconds_of_a_phase((recipe, recipe.work.expected) for recipe in at_work)
        known: dict[Seconds, tuple[float, ...]] = {}  # thousands have the same
        for recipe in recipes:
            seconds = _seconds(recipe, unit)
            if seconds not in known:
                known[seconds] = _from_each_phase(seconds)
            self._coordination[recipe.key].work_from = known[seconds]


def note_duration(recipe: Recipe, phase: int, seconds: float) -> None:
    """Note the duration of a phase, without its waits for locks and slots."""
    if phase in _REMEMBERED and seconds >= _OWN / 2:
        position = phase - RecipePhase.FETCH
        add_duration(recipe, position, seconds, phases=len(_REMEMBERED))


def fetches_briefly(recipe: Recipe) -> bool:
    """Return whether the last fetch of a recipe was brief, so that it needs no transfer slot."""
    return recipe.work.expected is not None and sum(recipe.work.expected[:1]) < BRIEF


# -- estimates for the phases of a recipe ----------------------------------------------------------


def _seconds(recipe: Recipe, unit: float) -> Seconds:
    if recipe.work.cached:
        return (0.0,) * (len(_REMEMBERED) - 1) + (unit if recipe.work.undeployed else 0.0,)
    if recipe.work.expected is not None:
        return tuple(recipe.work.expected)
    return _estimated(recipe, unit)


def _estimated(recipe: Recipe, unit: float) -> Seconds:
    """Return the estimate for a package that was never built: `unit` per phase with work."""
    return tuple(unit if has else 0.0 for has in _busy_phases(recipe))


def _seconds_of_a_phase(recalled: Iterable[tuple[Recipe, Seconds | None]]) -> float:
    """Return the average duration of a phase with work, among those that are remembered."""
    total, phases = 0.0, 0
    for recipe, seconds in recalled:
        if seconds is not None:
            total += sum(seconds)
            phases += sum(_busy_phases(recipe))
    return total / phases if total and phases else 1.0


def _busy_phases(recipe: Recipe) -> tuple[bool, ...]:
    """Return, for each of fetch, stage, build, install and deploy, whether it has work."""
    if recipe.loaded_or_none is None:
        return (False,) * len(_REMEMBERED)
    definition = recipe.loaded.definition
    # A recipe without an entry key has failed, and counts as a recipe that fetches.
    sources = recipe.placement.sources if recipe.placement_or_none is not None else None
    fetches = not recipe.user_managed and (sources is None or bool(sources))
    return (
        fetches,
        definition.stage is not None or bool(sources),
        definition.build is not None,
        True,  # install always publishes
        definition.deploy is not None,
    )


def _from_each_phase(seconds: Seconds) -> tuple[float, ...]:
    """Return the time left from each phase on, from recipe_fetch to after the last phase."""
    left = [0.0, _OWN]
    padded = [*seconds, *[0.0] * (len(_REMEMBERED) - len(seconds))]
    for second in reversed(padded):
        left.append(left[-1] + second)
    left += [left[-1], left[-1]]  # check and recipe_fetch
    return tuple(reversed(left))


# -- estimates for the whole graph -----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """How long each package would take if nothing were installed yet.

    `work_from` has for each phase, from recipe_fetch on, the time of that phase and all after it:
    in seconds if `is_measured`, otherwise each phase with work counts as 1.
    """

    work_from: Mapping[RecipeKey, Sequence[float]]
    is_measured: bool


def forecast(durations: Durations, recipes: Iterable[Recipe]) -> Forecast:
    """Estimate every phase of the recipes as the scheduler would for packages not yet installed."""
    recalled = [
        (recipe, durations.recall(masked(recipe.key.canonical), recipe.entry_key))
        for recipe in recipes
    ]
    unit = _seconds_of_a_phase(recalled)
    return Forecast(
        work_from={
            recipe.key: _from_each_phase(
                _estimated(recipe, unit) if seconds is None else tuple(seconds)
            )
            for recipe, seconds in recalled
        },
        is_measured=any(seconds is not None for _, seconds in recalled),
    )
