"""The real engine on a random world: its phases run in memory, its threads are real.

The schedule is drawn from a seed: which thread gets the interpreter slot when it is released, and
in which order nodes are granted slots of the pools. The phases release it often. For every other
seed the work pool has a budget that refuses some of its slots for a while.
"""

from __future__ import annotations

import _thread
import contextlib
import random
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from engine.worlds import Need, World
from loaded import loaded_recipe

from envy.cache.durations import Durations
from envy.cache.layout import CacheLayout
from envy.declarations.definition import RecipeDefinition
from envy.declarations.key import RecipeKey
from envy.declarations.products import Product
from envy.declarations.sources import SourceItem
from envy.declarations.spec import Address, CustomSource, Dependency, DependencyKind, RecipeSpec
from envy.engine.engine import Engine
from envy.engine.goals import Result
from envy.engine.project import Project
from envy.errors import EnvyError, SourceLocation
from envy.events import EventBus, Stamped
from envy.execution.services import Services
from envy.graph.recipe import Outcome, Placement, Recipe
from envy.host.children import Children
from envy.host.platform import Platform
from envy.interpreter import InterpreterSlot, released
from envy.phase import RecipePhase
from envy.phases.recipe_fetch import declare
from envy.phases.table import Steps
from envy.scheduler.coordinator import Coordinator
from envy.scheduler.pool import Pool

ELSEWHERE = ("windows",)
NOWHERE = Path("/nowhere")
CACHE = CacheLayout(Path("/dev/null/cache"))  # a path where nothing can be written


class SeededLock:
    """A lock whose next holder is drawn at random from the waiting threads."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: list[threading.Lock] = []

    def acquire(self) -> bool:
        """Take the lock, or wait until this thread is drawn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()
        return True

    def release(self) -> None:
        """Hand the lock to a waiting thread, or free it."""
        with self._guard:
            if self._waiting:
                self._waiting.pop(self._dice.randrange(len(self._waiting))).release()
            else:
                self._taken = False


class SeededPool(Pool):
    """A pool whose queue is served in an order drawn at random."""

    __slots__ = ("_dice",)

    def __init__(self, name: str, size: int, dice: random.Random) -> None:
        super().__init__(name, size)
        self._dice = dice

    def enqueue(self, node) -> None:
        """Put a node at a random position of the queue."""
        after = node.path_after
        node.path_after += self._dice.random() - node.priority
        super().enqueue(node)
        node.path_after = after


class FickleBudget:
    """A budget that refuses at random, and asks to try again from a thread of its own."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._ask_again = lambda: None
        self._asking = False

    def on_freed(self, ask_again) -> None:
        self._ask_again = ask_again

    def cover(self, running: int) -> bool:
        if running == 1 or self._dice.random() < 0.6:
            return True
        if not self._asking:  # under the coordinator's lock, like all methods here
            self._asking = True
            _thread.start_new_thread(self._free, ())
        return False

    def _free(self) -> None:
        self._asking = False
        self._ask_again()

    def could_cover(self, running: int) -> bool:
        return running == 1 or self._dice.random() < 0.6

    def settle(self, running: int) -> None:
        pass

    def reason(self) -> str:
        return "of a whim"


@dataclass
class Recording:
    """A listener that keeps the events it receives."""

    rows: list[Stamped] = field(default_factory=list)

    def on_event(self, stamped: Stamped) -> None:
        self.rows.append(stamped)

    def close(self) -> None:
        pass


class Nobody:
    """A terminal without a user."""

    def consent(self, list_packages) -> None:
        pass

    def lent(self):
        return contextlib.nullcontext()


class Specs:
    """The specs that a manifest and recipes for a world would be parsed into."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._made: dict[str, RecipeSpec] = {}

    def of(self, key: str) -> RecipeSpec:
        """Return the spec of a recipe, which is always the same object."""
        if key in self._made:
            return self._made[key]
        blueprint = self._world.recipes[key]
        parsed = RecipeKey.parse(key)
        origin = SourceLocation(NOWHERE / f"{key}.lua")
        source: SourceItem | CustomSource
        if blueprint.source is None:
            source = SourceItem(source=f"{parsed.identity}.lua", base_dir=NOWHERE)
        else:
            source = CustomSource(dependencies=(), fetch=Address(origin.path, ()), origin=origin)
        spec = RecipeSpec(
            identity=parsed.identity, options=parsed.options, source=source, origin=origin
        )
        self._made[key] = spec
        if blueprint.source is not None:
            # Its dependencies may lead back to it: the engine has to find such cycles.
            needs = tuple(self.dependency(key, need, i) for i, need in enumerate(blueprint.source))
            object.__setattr__(source, "dependencies", needs)
        return spec

    def dependency(self, owner: str, need: Need, position: int) -> Dependency:
        """Return an entry of `dependencies`."""
        spec = self.of(need.target) if need.target else None
        if spec is not None and not need.fallback_here:
            spec = RecipeSpec(
                identity=spec.identity,
                options=spec.options,
                source=spec.source,
                platforms=ELSEWHERE,
                origin=spec.origin,
            )
        return Dependency(
            spec=spec,
            needed_by=need.needed_by,
            use=need.use,
            kind=DependencyKind(need.kind),
            query=need.query,
            product=need.product,
            platforms=() if need.here else ELSEWHERE,
            origin=SourceLocation(NOWHERE / f"{owner}.lua", position + 1),
        )


class InMemory:
    """The phases of a world, and everything else that an engine needs."""

    def __init__(
        self,
        world: World,
        *,
        seed: int,
        jobs: int,
        fail_fast: bool = False,
        coordinator: Coordinator | None = None,
        durations: Durations | None = None,
    ) -> None:
        self.world = world
        self.specs = Specs(world)
        self.recording = Recording()
        self.results: list[Result] = []
        self.phases_run = 0
        self.cancel_at = 0  # the number of begun phases at which the run is cancelled
        self._dice = random.Random(seed)
        coordinator = coordinator or Coordinator(
            interpreter=InterpreterSlot(SeededLock(random.Random(seed))),
            make_pool=lambda name, size: SeededPool(name, size, self._dice),
        )
        self.engine = Engine(
            _services(
                self.recording, jobs, FickleBudget(random.Random(seed)) if seed % 2 else None
            ),
            Project(aliases={name: RecipeKey.parse(key) for name, key in world.aliases.items()}),
            jobs=jobs,
            fail_fast=fail_fast,
            steps=Steps(
                phases={phase: self._phase(phase) for phase in RecipePhase if phase >= 0},
                find_entry=self._find_entry,
                is_source_fetched=lambda recipe, _engine: self._blueprint(recipe).brought,
            ),
            durations=durations,
            coordinator=coordinator,
        )

    def run(self) -> None:
        """Resolve the world and complete its goals."""
        engine = self.engine
        with engine.coordinator.interpreter.running():
            engine.resolve_graph([self.specs.of(key) for key in self.world.roots])
            goals = engine.graph.roots
            if self.world.goals is not None:
                goals = [RecipeKey.parse(key) for key in self.world.goals]
            self.results = engine.run_full(
                [key for key in goals if not engine.graph.recipes[key].excluded]
            )

    def _blueprint(self, recipe: Recipe):
        return self.world.recipes[recipe.key.canonical]

    def _phase(self, phase: RecipePhase):
        work = {
            RecipePhase.RECIPE_FETCH: self._recipe_fetch,
            RecipePhase.CHECK: self._check,
            RecipePhase.INSTALL: self._install,
            RecipePhase.COMPLETION: self._completion,
        }.get(phase)

        def run(recipe: Recipe, engine: Engine) -> None:
            self.phases_run += 1
            if self.phases_run == self.cancel_at:
                self.on_cancel()
            self._let_others()
            blueprint = self._blueprint(recipe)
            if blueprint.fails_in is phase and not blueprint.fails_late:
                raise EnvyError(f"{recipe.key} fails in {phase.label}")
            if work is not None:
                work(recipe, blueprint)
            self.take_time(recipe, phase)
            self._let_others()

        return run

    def on_cancel(self) -> None:
        """Called at the phase of `cancel_at`; a test replaces it."""

    def take_time(self, recipe: Recipe, phase: RecipePhase) -> None:
        """Take the time of a phase, which is none; a test replaces it."""

    def _let_others(self) -> None:
        for _ in range(self._dice.randrange(3)):
            with released():
                time.sleep(0)

    def _recipe_fetch(self, recipe: Recipe, blueprint) -> None:
        key = recipe.key.canonical
        definition = RecipeDefinition(
            identity=recipe.key.identity,
            path=NOWHERE / f"{key}.lua",
            dependencies=tuple(
                self.specs.dependency(key, need, i) for i, need in enumerate(blueprint.needs)
            ),
            alias=blueprint.alias,
            user_managed=blueprint.user_managed,
            excluded=blueprint.excluded,
        )
        provides = dict.fromkeys(blueprint.products, Product(path="bin/it"))
        recipe.loaded = loaded_recipe(definition, provides=provides)
        if blueprint.fails_late:
            raise EnvyError(f"{recipe.key} fails late in recipe_fetch")
        if not blueprint.excluded:
            declare(recipe, self.engine, definition.dependencies)

    def _find_entry(self, recipe: Recipe, _engine, dependency_keys) -> None:
        blueprint = self._blueprint(recipe)
        assert all(dependency_keys), "a key was asked for before those of the dependencies"
        self._let_others()
        if blueprint.keyless:
            raise EnvyError(f"{recipe.key} has no key")
        key = recipe.key.canonical
        recipe.placement = Placement(
            entry_key=key,
            entry=CACHE.entry(recipe.key.identity, "linux", "0" * 64),
            asset_dir=NOWHERE / key,
        )
        recipe.work.cached = blueprint.cached

    def _check(self, recipe: Recipe, blueprint) -> None:
        if blueprint.user_managed:
            recipe.work.satisfied = blueprint.satisfied
            if not recipe.work.satisfied:
                self.engine.require_build_dependencies(recipe)
        elif recipe.work.cached and blueprint.gone:
            self.engine.require_build_dependencies(recipe)

    def _install(self, recipe: Recipe, blueprint) -> None:
        recipe.work.satisfied = blueprint.user_managed
        recipe.work.outcome = Outcome.CHANGED if blueprint.user_managed else Outcome.INSTALLED

    def _completion(self, recipe: Recipe, blueprint) -> None:
        if recipe.work.outcome is None:
            recipe.work.outcome = Outcome.SATISFIED if blueprint.user_managed else Outcome.CACHED


def _services(recording: Recording, jobs: int, budget: FickleBudget | None) -> Services:
    return Services(
        platform=Platform(os="linux", arch="x86_64"),
        environment={},
        project_dir=NOWHERE,
        layout=CACHE,
        events=EventBus([recording]),
        children=Children(),
        terminal=Nobody(),
        cores=jobs,
        fetch_jobs=1 + jobs % 2,
        stamp="now",
        jobserver=budget,
    )
