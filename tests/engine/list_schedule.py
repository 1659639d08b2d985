"""List schedules, computed step by step: the schedule of an engine that loses no time.

A recipe is a row of phases. It keeps its slot from one to the next while both are of one pool, and
gives it back where a gate is closed or the pool changes. A free slot goes to the recipe in its
queue that has the longest path before it.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

from envy.phase import RecipePhase


@dataclass
class Task:
    """One recipe: the durations of its phases, and the dependencies that each waits for."""

    seconds: dict[RecipePhase, float]
    needs: dict[str, RecipePhase] = field(default_factory=dict)  # by which phase
    untold: frozenset[RecipePhase] = frozenset({RecipePhase.CHECK})  # durations not stored

    def pool(self, phase: RecipePhase) -> str:
        around = {RecipePhase.CHECK, RecipePhase.FETCH}
        return "transfer" if phase in around and RecipePhase.FETCH in self.seconds else "work"


class ListSchedule:
    """Simulates a schedule: `starts` has the start of each phase, `makespan` the last end."""

    def __init__(self, tasks: Mapping[str, Task], slots: Mapping[str, int]) -> None:
        self._tasks = tasks
        self._free = dict(slots)
        self._queues: dict[str, list[tuple[float, str]]] = {pool: [] for pool in slots}
        self._running: list[tuple[float, str]] = []
        self._phases = {key: sorted(task.seconds) for key, task in tasks.items()}
        self._next = dict.fromkeys(tasks, 0)
        self._holds: dict[str, str] = {}
        self._dependents: dict[str, list[str]] = {key: [] for key in tasks}
        for key, task in tasks.items():
            for need in task.needs:
                self._dependents[need].append(key)
        self._after: dict[str, float] = {}
        self._complete: set[str] = set()
        self.starts: dict[tuple[str, RecipePhase], float] = {}
        self.makespan = 0.0
        for key in tasks:
            self._move(key)
        self._grant()
        while self._running:
            self.makespan, key = heapq.heappop(self._running)
            self._end_of_phase(key)
            self._grant()

    def path(self, key: str, phase: RecipePhase) -> float:
        """Return the time left from a phase on, for a task and the longest chain behind it."""
        task = self._tasks[key]
        if key not in self._after:
            self._after[key] = max(
                (self.path(one, self._tasks[one].needs[key]) for one in self._dependents[key]),
                default=0.0,
            )
        told = (row for row in task.seconds.items() if row[0] not in task.untold)
        return self._after[key] + sum(took for one, took in told if one >= phase)

    def _end_of_phase(self, key: str) -> None:
        self._next[key] += 1
        if self._next[key] < len(self._phases[key]):
            self._move(key)
            return
        self._complete.add(key)
        self._let_go(key)
        for dependent in self._dependents[key]:
            blocked = dependent not in self._holds and not self._is_queued(dependent)
            if blocked and dependent not in self._complete:
                self._move(dependent)

    def _move(self, key: str) -> None:
        """Begin the next phase of a task, queue it, or block it."""
        phase = self._phases[key][self._next[key]]
        task = self._tasks[key]
        due = {need for need, by in task.needs.items() if by <= phase}
        if not due <= self._complete:
            self._let_go(key)
        elif self._holds.get(key) == task.pool(phase):
            self._begin(key, phase)
        else:
            self._let_go(key)
            queue = self._queues[task.pool(phase)]
            heapq.heappush(queue, (-self.path(key, phase), key))

    def _grant(self) -> None:
        for pool, queue in self._queues.items():
            while queue and self._free[pool]:
                key = heapq.heappop(queue)[1]
                self._free[pool] -= 1
                self._holds[key] = pool
                self._begin(key, self._phases[key][self._next[key]])

    def _begin(self, key: str, phase: RecipePhase) -> None:
        self.starts[key, phase] = self.makespan
        took = self._tasks[key].seconds[phase]
        heapq.heappush(self._running, (self.makespan + took, key))

    def _let_go(self, key: str) -> None:
        pool = self._holds.pop(key, None)
        if pool is not None:
            self._free[pool] += 1

    def _is_queued(self, key: str) -> bool:
        return any(key == row[1] for queue in self._queues.values() for row in queue)
