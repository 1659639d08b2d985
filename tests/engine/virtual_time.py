"""Runs of the real engine on a virtual clock: phases sleep, and the clock jumps.

The clock advances when every node that has a slot sleeps and no thread computes; then it wakes the
node whose time comes first. Everything in between happens at one moment.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Mapping
from dataclasses import replace

from engine.in_memory import InMemory
from engine.worlds import World

from envy.cache.durations import Durations, Measured
from envy.graph.recipe import Recipe
from envy.interpreter import InterpreterSlot, released
from envy.phase import RecipePhase
from envy.scheduler.coordinator import Coordinator
from envy.scheduler.pool import Pool

WORKING = (
    RecipePhase.FETCH,
    RecipePhase.STAGE,
    RecipePhase.BUILD,
    RecipePhase.INSTALL,
    RecipePhase.DEPLOY,
)
Seconds = Mapping[RecipePhase, float]


class VirtualClock:
    """A clock that is also the interpreter slot's lock, and so sees when no thread computes."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pools: list[Pool] = []
        self._guard = threading.Lock()
        self._taken = False
        self._turns: list[threading.Lock] = []
        self._sleepers: list[tuple[float, int, threading.Lock]] = []
        self._order = 0

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass, with the interpreter slot, which the caller holds, released."""
        wake = threading.Lock()
        wake.acquire()
        with self._guard:
            self._order += 1
            heapq.heappush(self._sleepers, (self.now + seconds, self._order, wake))
        with released():
            wake.acquire()

    def acquire(self) -> bool:
        """Wait for a turn to compute."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._turns.append(turn)
        turn.acquire()
        return True

    def release(self) -> None:
        """Let the next thread compute; advance the clock if every node with a slot sleeps."""
        with self._guard:
            if self._turns:
                self._turns.pop(0).release()
                return
            self._taken = False
            busy = sum(pool.busy for pool in self.pools)
            if self._sleepers and len(self._sleepers) == busy:
                self.now, _, wake = heapq.heappop(self._sleepers)
                wake.release()


class TimedRun(InMemory):
    """A run of a world whose phases take the given seconds, which are also its known durations."""

    def __init__(
        self,
        world: World,
        seconds: Mapping[str, Seconds],
        *,
        jobs: int,
        durations: Durations | None = None,
    ) -> None:
        self.clock = VirtualClock()
        self.starts: dict[tuple[str, RecipePhase], float] = {}
        self._seconds = seconds
        super().__init__(
            world,
            seed=0,
            jobs=jobs,
            coordinator=Coordinator(interpreter=InterpreterSlot(self.clock)),
            durations=remembered(seconds) if durations is None else durations,
        )
        self.clock.pools = [self.engine.work_pool, self.engine.transfer_pool]

    def take_time(self, recipe: Recipe, phase: RecipePhase) -> None:
        """Sleep."""
        took = self._seconds.get(recipe.key.canonical, {}).get(phase, 0.0)
        if took:
            self.starts[recipe.key.canonical, phase] = self.clock.now
            self.clock.sleep(took)

    def _find_entry(self, recipe: Recipe, engine, dependency_keys) -> None:
        super()._find_entry(recipe, engine, dependency_keys)
        if RecipePhase.FETCH not in self._seconds.get(recipe.key.canonical, {}):
            recipe.placement = replace(recipe.placement, sources=())


def remembered(seconds: Mapping[str, Seconds]) -> Durations:
    """Return Durations that know only these; entry keys are those of runs in memory."""
    durations = Durations()
    durations.learn(
        (
            Measured(key, key, [row.get(phase, 0.0) for phase in WORKING])
            for key, row in seconds.items()
        ),
        seconds,
    )
    return durations
