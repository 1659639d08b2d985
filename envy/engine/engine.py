"""Engine: the recipes of one command, their coordination, lookups, and what is driven how far.

It owns all concurrency of recipes. The work itself is in the phases, the scheduling in
`coordination`, what the graph means in `resolution`, `keys` and `demand`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy import events as ev
from envy.cache.durations import Durations
from envy.cache.lease import Lease
from envy.declarations.key import Query, RecipeKey
from envy.declarations.query_match import prefer_exact
from envy.declarations.spec import CustomSource, RecipeSpec
from envy.engine import custom_sources, demand, entry_keys, priorities, resolution, usage, waits
from envy.engine.recipe_kind import RecipeKind
from envy.engine.scheduler_events import SchedulerEvents
from envy.errors import (
    AmbiguousQuery,
    Cancelled,
    DependencyFailed,
    EnvyError,
    GraphError,
    NotPlanned,
    PhaseFailed,
    QueryNotFound,
    RecipeError,
    SourceLocation,
    StoppedEarly,
)
from envy.execution.services import Services
from envy.graph.recipe import Edge, Outcome, Recipe
from envy.host.shell import Shell
from envy.lua.runtime import LuaState
from envy.lua.values import LuaValue
from envy.phase import RecipePhase
from envy.phases.table import STEPS, Steps
from envy.scheduler.coordination import Coordination
from envy.scheduler.coordinator import Coordinator
from envy.suggest import nearest


def is_left_out(failure: Exception | None) -> bool:
    """Whether a recipe did not fail, but is unknown because nothing may be installed."""
    root = failure.root if isinstance(failure, DependencyFailed) else failure
    return isinstance(root, NotPlanned)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one wanted recipe ended."""

    key: RecipeKey
    outcome: Outcome | None  # None: failed, aborted or cancelled
    user_managed: bool
    asset_dir: Path | None
    failure: Exception | None


class Engine:
    """One per command. Its methods are called from the command's thread, or by phases."""

    def __init__(
        self,
        services: Services,
        *,
        jobs: int,
        fail_fast: bool = False,
        aliases: Mapping[str, RecipeKey] | None = None,
        default_shell: LuaValue = None,
        shell_origin: SourceLocation | None = None,
        manifest_state: LuaState | None = None,
        installs: bool = True,
        steps: Steps = STEPS,
        durations: Durations | None = None,
        coordinator: Coordinator | None = None,
    ) -> None:
        self.services = services
        self.steps = steps
        self.durations = durations or Durations()
        self.recipes: dict[RecipeKey, Recipe] = {}
        self.coordination: dict[RecipeKey, Coordination] = {}
        self.roots: list[RecipeKey] = []
        self.held: dict[RecipeKey, Recipe] = {}  # whose source is a function, not yet run
        self.cancellation: Cancelled | None = None
        self.default_shell = default_shell
        self.shell_origin = shell_origin
        self.manifest_state = manifest_state
        self.shell: Shell | None = None  # for the scripts of most recipes, once resolved
        self.shell_exempt: set[RecipeKey] = set()
        self.resolved = False
        self.installs = installs  # False: a custom source whose tools are missing stays unknown
        self._held_before: set[RecipeKey] = set()
        self._aliases: dict[str, RecipeKey] = dict(aliases or {})
        self._fail_fast = fail_fast
        self.lease = Lease(services.layout)
        self.coordinator = coordinator or Coordinator()
        self.coordinator.observe(SchedulerEvents(services.events))
        self.work_pool = self.coordinator.new_pool("work", jobs, budget=services.jobserver)
        self.transfer_pool = self.coordinator.new_pool("transfer", services.fetch_jobs)
        self._kind = RecipeKind(self, work=self.work_pool, transfer=self.transfer_pool)

    # -- recipes and lookups ---------------------------------------------------------------------

    def ensure_recipe(self, spec: RecipeSpec, *, parent: RecipeKey | None = None) -> Recipe:
        """The one recipe for this key, made now if nobody asked for it before."""
        recipe = self.recipes.get(spec.key)
        if recipe is None:
            recipe = Recipe(key=spec.key, spec=spec)
            node = Coordination(spec.key.canonical, self._kind, recipe)
            self.coordinator.add(node)
            self.recipes[spec.key] = recipe
            self.coordination[spec.key] = node
            if self.services.events.detailed:
                self.services.events.emit(
                    ev.RecipeRegistered(recipe=spec.identity, key=spec.key.canonical)
                )
        recipe.declarations.append((parent, spec))
        return recipe

    def register_alias(self, alias: str, key: RecipeKey) -> None:
        """Let `alias` mean exactly this key.

        Raises:
            GraphError: it means another one already.
        """
        known = self._aliases.setdefault(alias, key)
        if known != key:
            raise GraphError(f"alias {alias!r} is both {known} and {key}")

    def recipe(self, key: RecipeKey) -> Recipe:
        """The recipe of a key that is in the graph."""
        return self.recipes[key]

    def find_exact(self, key: RecipeKey) -> Recipe | None:
        """The recipe of exactly this key, if it is in the graph."""
        return self.recipes.get(key)

    def aliases_of(self, key: RecipeKey) -> list[str]:
        """What the manifest calls a package, in order."""
        return sorted(alias for alias, named in self._aliases.items() if named == key)

    def aliased(self, name: str) -> Recipe | None:
        """The package that an alias of the manifest stands for."""
        key = self._aliases.get(name)
        return self.recipes.get(key) if key is not None else None

    def find_matches(self, query: str) -> list[Recipe]:
        """Every package that answers to a query, in key order. A manifest alias is exact."""
        aliased = self.aliased(query)
        if aliased is not None:
            return [aliased]
        asked = Query.parse(query)
        found = [
            recipe
            for key, recipe in self.recipes.items()
            if not recipe.excluded and asked.matches(key, alias=recipe.alias)
        ]
        return sorted(found, key=lambda recipe: recipe.key)

    def find_one(self, query: str) -> Recipe:
        """The one package that answers to a query.

        Raises:
            AmbiguousQuery: several do; QueryNotFound: none does.
        """
        found = prefer_exact(query, self.find_matches(query), lambda recipe: recipe.key.canonical)
        if len(found) == 1:
            return found[0]
        if found:
            raise AmbiguousQuery(query, candidates=[recipe.key.canonical for recipe in found])
        raise self._not_found(query)

    def _not_found(self, query: str) -> QueryNotFound:
        # In key order: recipes came into the graph in that of their fetches.
        names = sorted({key.name for key in self.recipes})
        known = [*self._aliases, *names, *sorted({key.identity for key in self.recipes})]
        near = nearest(query, known)
        failed = [key.canonical for key, node in self.coordination.items() if node.failure]
        hint = ""
        if failed:
            hint = f"not all recipes could be read ({', '.join(sorted(failed)[:3])})"
        elif near is None:
            hint = "packages here: " + (", ".join(names[:12]) or "none")
        return QueryNotFound(query, nearest=[near] if near else [], hint=hint)

    # -- driving ---------------------------------------------------------------------------------

    def resolve_graph(self, roots: Sequence[RecipeSpec]) -> None:
        """Fetch every recipe that the roots lead to, and judge the graph as a whole.

        Raises:
            GraphError: a cycle; DeclarationError: one key from two sources, a `local` recipe
            needed by another. A recipe that cannot be fetched fails itself and its dependents
            only.
        """
        resolution.resolve_graph(self, roots)
        self.resolved = True

    def start_recipe(self, recipe: Recipe) -> None:
        """Let a recipe that was just declared be fetched, at once or when its source can be."""
        if isinstance(recipe.spec.source, CustomSource):
            if recipe.key not in self._held_before:
                self._held_before.add(recipe.key)
                custom_sources.hold(self, recipe)
            return
        self.coordinator.raise_target(self.coordination[recipe.key], RecipePhase.RECIPE_FETCH)

    def wait_for_resolution_phase(self) -> None:
        """Block until every recipe that anybody declared has been fetched, or failed to be."""
        self.coordinator.wait_until_idle()
        self._raise_if_cancelled()

    def ensure_recipe_at_phase(self, key: RecipeKey, phase: RecipePhase) -> None:
        """Drive a recipe, and what it needs, until it has completed `phase`, or failed."""
        node = self.coordination[key]
        if phase > RecipePhase.RECIPE_FETCH:
            self.prepare([key])
            others = [self.coordination[one.key] for one in self.wanted() if one.key != key]
            self.coordinator.raise_targets(others, RecipePhase.COMPLETION)
        self.coordinator.raise_target(node, phase)
        self.coordinator.wait([node], phase)
        priorities.remember(self)
        self._raise_if_cancelled()

    def compute_keys(self, goals: Iterable[RecipeKey]) -> None:
        """Give the closure of the goals its entry keys, and look its entries up."""
        entry_keys.compute_keys(self, list(goals))

    def complete(self, goals: Iterable[RecipeKey]) -> None:
        """Set the goals, and all that is wanted for them, on their way to completion."""
        goals = list(goals)
        self.prepare(goals)
        usage.rely_upon(self)
        wanted = [self.coordination[key] for key in demand.wanted_closure(self, goals)]
        self.coordinator.raise_targets(wanted, RecipePhase.COMPLETION)

    def prepare(self, goals: Iterable[RecipeKey]) -> None:
        """Compute entry keys, look entries up, and decide what is wanted; runs no phase."""
        goals = list(goals)
        entry_keys.compute_keys(self, goals)
        demand.want(self, goals)

    def run_full(self, goals: Sequence[RecipeKey]) -> list[Result]:
        """Bring the goals, and all that is wanted for them, to completion.

        Returns a result for each wanted recipe, in key order; raises nothing for a failed one.
        """
        self.prepare(goals)
        with usage.recorded(self, goals):
            wanted = [self.coordination[recipe.key] for recipe in self.wanted()]
            self.coordinator.raise_targets(wanted, RecipePhase.COMPLETION)
            try:
                # What becomes wanted on the way may outlive whoever wanted it.
                while unfinished := self._unfinished():
                    self.coordinator.wait(unfinished, RecipePhase.COMPLETION)
            finally:
                self._explain_failures()
                priorities.remember(self)
        return self.results()

    def _unfinished(self) -> list[Coordination]:
        wanted = (self.coordination[recipe.key] for recipe in self.wanted())
        return [node for node in wanted if not node.ended]

    def wanted(self) -> list[Recipe]:
        """Every wanted recipe, in key order."""
        found = [recipe for recipe in self.recipes.values() if recipe.work.wanted]
        return sorted(found, key=lambda recipe: recipe.key)

    def results(self) -> list[Result]:
        """How each wanted recipe, and each that failed on the way to the goals, ended."""
        return [
            Result(
                key=recipe.key,
                outcome=recipe.work.outcome if self.is_complete(recipe.key) else None,
                user_managed=recipe.user_managed,
                asset_dir=recipe.asset_dir,
                failure=self.coordination[recipe.key].failure,
            )
            for recipe in sorted(self.recipes.values(), key=lambda recipe: recipe.key)
            if recipe.work.wanted
        ]

    def cancel(self, reason: Cancelled) -> None:
        """End the run: nothing more starts, children are ended. Called from any thread."""
        if self.cancellation is None:
            self.cancellation = reason
            self.coordinator.cancel(reason)
            self.services.children.terminate_all()

    def on_failure(self, failure: PhaseFailed) -> None:
        """With --fail-fast, the first failure ends the run."""
        if self._fail_fast and self.cancellation is None:
            self.cancel(StoppedEarly(f"stopped, because {failure.key} failed (--fail-fast)"))

    # -- what phases ask -------------------------------------------------------------------------

    def is_complete(self, key: RecipeKey) -> bool:
        """Whether a recipe has completed its last phase."""
        return self.coordination[key].complete

    def is_usable(self, key: RecipeKey) -> bool:
        """Whether a package is there: it was found, or has been completed."""
        return self.recipes[key].work.cached or self.is_complete(key)

    def stopped(self) -> bool:
        """Whether the run has been cancelled."""
        return self.cancellation is not None

    def wait_without_slot(self, recipe: Recipe, waiting_for: str, wait: Callable[[], None]) -> None:
        """Wait for a lock in this recipe's worker, with its slot given to somebody else."""
        started = time.monotonic()
        self.coordinator.without_slot(self.coordination[recipe.key], waiting_for, wait)
        recipe.work.away += time.monotonic() - started

    @contextlib.contextmanager
    def transfer_helpers(self, wanted: int) -> Iterator[int]:
        """Transfer slots for a batch, beside the recipe's own: up to so many, maybe none."""
        count = self.coordinator.borrow(self.transfer_pool, at_most=wanted)
        try:
            yield count
        finally:
            self.coordinator.give_back(self.transfer_pool, count)

    def require_build_dependencies(self, recipe: Recipe) -> None:
        """A recipe turned out to need work: its build dependencies are wanted now, too."""
        demand.want_for_work(self, recipe)

    def shell_for(self, recipe: Recipe) -> Shell:
        """The shell that the scripts of this recipe are written for."""
        return entry_keys.shell_for(self, recipe)

    def unsatisfied(self) -> list[str]:
        """The wanted user-managed packages that are not known to be satisfied, for the user."""
        found = []
        for recipe in self.wanted():
            node = self.coordination[recipe.key]
            if recipe.user_managed and not recipe.work.satisfied:
                if node.current_phase >= RecipePhase.CHECK and not node.ended:
                    found.append(recipe.key.canonical)
                elif not node.ended:
                    found.append(f"{recipe.key} (its check has not run yet)")
        return found

    # -- telling ---------------------------------------------------------------------------------

    def all_edges(self, key: RecipeKey) -> tuple[Edge, ...]:
        """What a recipe needs, and what its source needs before."""
        recipe = self.recipes[key]
        return recipe.edges + recipe.source_edges if recipe.source_edges else recipe.edges

    def describe_waits(self) -> list[str]:
        """A line for each recipe that is not at rest; may be asked from any thread."""
        return waits.describe_waits(self)

    def matches_platform(self, platforms: Sequence[str], origin: SourceLocation) -> bool:
        """Whether something with these `platforms` exists on this one."""
        platform = self.services.platform
        matches = [platform.matches(name, origin=origin) for name in platforms]
        return any(matches) or not matches

    def _explain_failures(self) -> None:
        """Add to each root failure who declared the recipe, and who needed it."""
        for key in self.coordination:
            self.failure_of(key)

    def _raise_if_cancelled(self) -> None:
        if self.cancellation is not None:
            raise self.cancellation

    def failures(self) -> list[RecipeError]:
        """Everything that has failed until now, wanted or not, in key order."""
        found = [self.failure_of(key) for key in sorted(self.recipes)]
        return [
            failure
            for failure in found
            if isinstance(failure, RecipeError) and not is_left_out(failure)
        ]

    def failure_of(self, key: RecipeKey) -> Exception | None:
        """What a recipe failed with, if it did."""
        failure = self.coordination[key].failure
        if isinstance(failure, PhaseFailed) and not failure.chain:
            failure.chain = resolution.declared_by(self, key)
        return failure

    def set_aside(self, key: RecipeKey, reason: str) -> None:
        """Leave a resting recipe alone, for the reason given, which is nobody's mistake."""
        error = NotPlanned(f"{key}: {reason}", key=key.canonical, phase=RecipePhase.CHECK.label)
        self.coordinator.fail(self.coordination[key], error)

    def left_out(self) -> list[NotPlanned]:
        """What was set aside because nothing may be installed, in key order."""
        nodes = [self.coordination[key] for key in sorted(self.recipes)]
        return [node.failure for node in nodes if isinstance(node.failure, NotPlanned)]

    def fail(self, key: RecipeKey, error: EnvyError, *, phase: RecipePhase) -> None:
        """Fail a resting recipe, for a reason that lies in the graph."""
        node = self.coordination[key]
        if node.failure is None:
            self.coordinator.fail(node, self._kind.failed(node, phase, error))
