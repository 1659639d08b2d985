"""Engine: puts together the parts that resolve and complete the recipes of one command.

The work itself is in the phases, the scheduling in `scheduler`. Each rule about the graph has a
satellite of its own, a class that gets the parts it needs and never the engine.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from envy.cache.durations import Durations
from envy.cache.lease import Lease
from envy.declarations.key import RecipeKey
from envy.declarations.spec import RecipeSpec
from envy.engine.binding import bind_round
from envy.engine.cancellation import Cancellation
from envy.engine.custom_sources import CustomSources
from envy.engine.default_shell import DefaultShell
from envy.engine.demand import Demand
from envy.engine.entry_keys import EntryKeys
from envy.engine.failures import Failures
from envy.engine.goals import Goals, Result
from envy.engine.priorities import Priorities
from envy.engine.project import Project
from envy.engine.recipe_coordination import RecipeCoordination
from envy.engine.recipe_kind import RecipeKind
from envy.engine.recipe_maker import RecipeMaker
from envy.engine.record import add_time_away
from envy.engine.resolution import Resolution
from envy.engine.scheduler_events import SchedulerEvents
from envy.engine.undecided import Undecided
from envy.engine.usage import Usage
from envy.errors import Cancelled, GraphError, NotPlanned, RecipeError
from envy.execution.services import Services
from envy.graph.distances import find_nearest
from envy.graph.recipe import Recipe, Reference
from envy.graph.recipe_graph import RecipeGraph
from envy.phase import RecipePhase
from envy.phases.table import STEPS, Steps
from envy.scheduler.coordinator import Coordinator

if TYPE_CHECKING:
    from envy.engine.shared_entries import SharedEntries
    from envy.host.shell import Shell


class Engine:
    """One per command. Its methods are called from the command's thread, or by phases."""

    def __init__(
        self,
        services: Services,
        project: Project | None = None,
        *,
        jobs: int,
        fail_fast: bool = False,
        installs: bool = True,
        steps: Steps = STEPS,
        durations: Durations | None = None,
        coordinator: Coordinator | None = None,
        undecided: Undecided | None = None,
        on_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Build the parts; `installs`: the tools of custom sources may be installed."""
        project = project or Project()
        self.services = services
        self.durations = durations or Durations()
        self._undecided = undecided
        self.lease = Lease(services.layout)
        self.graph = RecipeGraph(services.events, aliases=project.aliases)
        self.coordinator = coordinator or Coordinator()
        self.coordinator.observe(SchedulerEvents(services.events))
        self.work_pool = self.coordinator.new_pool("work", jobs, budget=services.jobserver)
        self.transfer_pool = self.coordinator.new_pool("transfer", services.fetch_jobs)
        self._cancellation = Cancellation(
            self.coordinator, services.children, fail_fast=fail_fast, on_stop=on_stop
        )
        self.coordination = self._coordinate(steps)
        self._maker = RecipeMaker(
            self.graph, self.coordination, services.platform, services.bundles
        )
        self._failures = Failures(self.graph, self.coordination)
        self._shell, self._demand, self._goals = self._plan(project, steps)
        self._resolution = self._resolve_with(project, steps, installs=installs)

    def _coordinate(self, steps: Steps) -> RecipeCoordination:
        kind = RecipeKind(
            self,
            steps.phases,
            self._cancellation,
            work=self.work_pool,
            transfer=self.transfer_pool,
            on_end=self._begin_upload,
        )
        return RecipeCoordination(self.coordinator, kind)

    def _plan(self, project: Project, steps: Steps) -> tuple[DefaultShell, Demand, Goals]:
        graph, coordination, services = self.graph, self.coordination, self.services
        priorities = Priorities(graph, coordination, self.durations)
        demand = Demand(graph, coordination, priorities, services.events)
        keys = EntryKeys(
            graph,
            coordination,
            lambda recipe, needed: steps.find_entry(recipe, self, needed),
            ask_ahead=lambda recipes: steps.ask_ahead(recipes, self),
        )
        self.shared = self._share(demand)
        shell = DefaultShell(
            graph,
            project,
            services.platform,
            keys=keys,
            failures=self._failures,
            find_one=self.find_one,
        )
        goals = Goals(
            coordination,
            keys=keys,
            shell=shell,
            demand=demand,
            priorities=priorities,
            usage=Usage(graph, coordination, self.lease, services.layout, project.manifest),
            failures=self._failures,
            cancellation=self._cancellation,
            sharing=self.shared,
        )
        return shell, demand, goals

    def _share(self, demand: Demand) -> SharedEntries | None:
        """Return what takes entries from depots; None, without an import, if there are none."""
        if self.services.sharing is None:
            return None
        from envy.engine.shared_entries import SharedEntries

        return SharedEntries(demand, self, self.services.sharing)

    def _begin_upload(self, recipe: Recipe) -> None:
        if self.shared is not None:
            self.shared.uploads.begin(recipe)

    def _resolve_with(self, project: Project, steps: Steps, *, installs: bool) -> Resolution:
        graph, coordination, services = self.graph, self.coordination, self.services

        def bind(references: Sequence[Reference]) -> bool:
            return bind_round(
                graph,
                references,
                coordination=coordination,
                maker=self._maker,
                events=services.events,
                platform=services.platform,
            )

        custom_sources = CustomSources(
            graph,
            coordination,
            self._maker,
            self._goals,
            is_source_fetched=lambda recipe: steps.is_source_fetched(recipe, self),
            installs=installs,
        )
        return Resolution(
            graph,
            coordination,
            self._maker,
            custom_sources,
            bind_round=bind,
            wait_for_fetches=self._wait_for_fetches,
            platform_tag=services.platform.tag,
            overrides=project.overrides,
        )

    def _wait_for_fetches(self) -> None:
        self._goals.wait_for_fetches()
        if self._undecided is not None:
            self._undecided.decide(self.graph.recipes.values())

    # -- what commands ask -------------------------------------------------------------------------

    def resolve_graph(self, roots: Sequence[RecipeSpec]) -> None:
        """Fetch every recipe that the roots lead to, and check the graph as a whole.

        If a recipe cannot be fetched, only that recipe and its dependents fail.

        Raises:
            GraphError: a cycle, or references that are ambiguous or match nothing.
            DeclarationError: one key from two sources.
        """
        self._resolution.resolve(roots)
        self._goals.is_resolved = True

    @property
    def is_resolved(self) -> bool:
        """Whether the whole graph is known."""
        return self._goals.is_resolved

    def find_one(self, query: str) -> Recipe:
        """Return the only package that matches a query.

        Raises:
            AmbiguousQuery: several match; QueryNotFound: none does.
        """
        return self.graph.find_one(query, failed=self.coordination.failed)

    def find_nearest(self, query: str) -> Recipe:
        """Return the package nearest to the manifest that a query of the user matches.

        Raises:
            AmbiguousQuery: several are equally near; QueryNotFound: none matches.
        """
        return find_nearest(self.graph, query, failed=self.coordination.failed)

    def checked_goals(self, queries: Sequence[str]) -> list[RecipeKey]:
        """Return the keys that queries on the command line mean; all roots when there is no query.

        Raises:
            GraphError: a query means no package, or several, or one for another platform.
        """
        recipes = self.graph.recipes
        if not queries:
            return [key for key in self.graph.roots if not recipes[key].excluded]
        goals = [self.find_nearest(query).key for query in queries]
        for key in goals:
            if recipes[key].excluded:
                raise GraphError(f"{key} is not for {self.services.platform.tag}")
        return goals

    def compute_keys(self, goals: Iterable[RecipeKey]) -> None:
        """Compute the entry keys of the goals' closure, and look its entries up."""
        self._goals.compute_keys(goals)

    def prepare(self, goals: Iterable[RecipeKey]) -> None:
        """Compute entry keys, look entries up, and decide what is wanted; run no phase."""
        self._goals.prepare(goals)

    def run_full(self, goals: Sequence[RecipeKey]) -> list[Result]:
        """Complete the goals and everything that is wanted for them.

        Returns a result for each wanted recipe, in key order; raises nothing for a failed one.
        """
        return self._goals.run(goals)

    def complete_tools(self, tools: Iterable[RecipeKey]) -> None:
        """Complete packages that envy itself runs while it locks, and wait for that."""
        self._goals.complete(tools)
        self._goals.wait_for_fetches()

    def run_until(self, goal: RecipeKey, phase: RecipePhase) -> None:
        """Run a recipe until `phase`, inclusive, after everything that these phases wait for."""
        needed = [edge.key for edge in self.graph.edges(goal) if edge.needed_by <= phase]
        self._goals.run_until(goal, phase, needed)

    def wanted(self) -> list[Recipe]:
        """Return every wanted recipe, in key order."""
        return self._demand.wanted()

    def failures(self) -> list[RecipeError]:
        """Return every failure so far, of wanted recipes and others, in key order."""
        return self._failures.all()

    def failure_of(self, key: RecipeKey) -> Exception | None:
        """Return the failure of a recipe, with the path of recipes that led to it; or None."""
        return self._failures.of(key)

    def left_out(self) -> list[NotPlanned]:
        """Return the recipes that were set aside because nothing may be installed, in key order."""
        return self._failures.left_out()

    @property
    def cancellation(self) -> Cancelled | None:
        """The reason why the run was ended early; None if it was not."""
        return self._cancellation.reason

    def cancel(self, reason: Cancelled) -> None:
        """End the run: start nothing more, terminate children. May be called from any thread."""
        self._cancellation.cancel(reason)

    def describe_waits(self) -> list[str]:
        """Return a line for each recipe that is not at rest; may be called from any thread."""
        from envy.engine.waits import describe_waits

        rows = describe_waits(
            self.graph, self.coordinator.activity(), self.services.children.running()
        )
        return rows + (self.shared.uploads.describe_waits() if self.shared is not None else [])

    def close(self) -> None:
        """End what still runs, and release the lease."""
        try:
            if self.shared is not None:
                self.shared.uploads.finish(is_cancelled=self.stopped())
        finally:
            self.lease.release()

    # -- what phases ask (envy.execution.services) -------------------------------------------------

    def declare_recipe(self, spec: RecipeSpec, *, parent: RecipeKey) -> None:
        """Add a dependency of `parent` to the graph unless it is in it, and start its fetch."""
        self._maker.declare(spec, parent=parent)

    def stopped(self) -> bool:
        """Return whether the run has been cancelled."""
        return self._cancellation.reason is not None

    def pause(self, seconds: float) -> None:
        """Wait for a time, or until the run is cancelled."""
        self._cancellation.pause(seconds)

    def wait_without_slot(self, recipe: Recipe, waiting_for: str, wait: Callable[[], None]) -> None:
        """Wait for a lock in this recipe's worker, with its slot released for other recipes."""
        started = time.monotonic()
        self.coordinator.without_slot(self.coordination[recipe.key], waiting_for, wait)
        add_time_away(recipe, time.monotonic() - started)

    @contextlib.contextmanager
    def transfer_helpers(self, wanted: int) -> Iterator[int]:
        """Borrow up to `wanted` more transfer slots for a batch; yield how many, perhaps 0."""
        count = self.coordinator.borrow(self.transfer_pool, at_most=wanted)
        try:
            yield count
        finally:
            self.coordinator.give_back(self.transfer_pool, count)

    def take_late(self, recipe: Recipe) -> bool:
        """Take a missing entry, whose lock is held, if a depot has it by now; return whether."""
        return self.shared is not None and self.shared.take_late(recipe)

    def require_build_dependencies(self, recipe: Recipe) -> None:
        """Also want the build dependencies of a recipe that turned out to need work."""
        self._demand.want_for_work(recipe)

    def shell_for(self, recipe: Recipe) -> Shell:
        """Return the shell that the scripts of this recipe are written for."""
        return self._shell.shell_for(recipe)

    def awaited_by(self, recipe: Recipe) -> list[RecipeKey]:
        """Return the wanted recipes with work to do that need this one, in key order."""
        return self._demand.awaited_by(recipe)

    def unsatisfied(self) -> list[str]:
        """Return the wanted user-managed packages that are not known to be satisfied, as text."""
        return self._demand.unsatisfied()
