"""How the time of a run was spent: `envy sync --profile`.

The listener collects spans and edges; the profile is computed from them when the run is over.

Each moment of wall time is divided equally among the phases that run in it. The critical path is
the longest chain of phases that could not have overlapped, however many slots there were: the
phases of one recipe, and before each the phases of the dependencies it waited for. No schedule of
these phases is shorter than that path, or than the work of a pool divided by its slots: the larger
of the two is the lower bound.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from envy.console.spans import GATE, LOCK, PHASE, QUEUE, SLOT, Span, SpanBuilder
from envy.events import DependencyAdded, Stamped
from envy.phase import LABELS, RecipePhase

_PHASES = {label: phase for phase, label in LABELS.items()}


@dataclass(slots=True)
class PhaseFigures:
    """All phases of one name, in seconds; `wall` is their share of the wall time."""

    count: int = 0
    seconds: float = 0.0
    wall: float = 0.0
    longest: float = 0.0
    longest_key: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A recipe on the critical path, and the seconds of its phases."""

    key: str
    phases: tuple[tuple[RecipePhase, float], ...]

    @property
    def seconds(self) -> float:
        """The seconds of all its phases."""
        return sum(seconds for _, seconds in self.phases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The figures of a run, in seconds."""

    wall: float
    phases: Mapping[RecipePhase, PhaseFigures]
    idle: float  # wall time during which no phase ran
    slots: Mapping[str, int]
    busy: Mapping[str, float]  # by pool: the time its slots were in use, added up
    waits: Mapping[str, float]  # by kind of wait, all recipes added up
    path: tuple[Step, ...]

    @property
    def critical(self) -> float:
        """The length of the critical path."""
        return sum(step.seconds for step in self.path)

    @property
    def bound(self) -> float:
        """The lower bound: no schedule of the same phases is shorter."""
        shares = [self.busy.get(pool, 0.0) / count for pool, count in self.slots.items()]
        return max([self.critical, *shares])


@dataclass(slots=True)
class _Row:
    """A phase of a recipe; `lock_seconds` is the time it waited for locks."""

    key: str
    phase: RecipePhase
    start: float
    end: float
    lock_seconds: float
    ready: float = 0.0  # the length of the longest chain that ends with this phase
    before: "_Row | None" = None  # the phase before this one in that chain

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.start - self.lock_seconds)


@dataclass(slots=True)
class _Collected:
    rows: list[_Row] = field(default_factory=list)
    busy: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    waits: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    lock_seconds: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    needs: dict[str, dict[str, RecipePhase]] = field(default_factory=lambda: defaultdict(dict))


class Profiler:
    """The listener behind `--profile`."""

    explaining = False

    def __init__(self, began: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Observe a run that began at the time `began` of this clock."""
        self._clock = clock
        self._began = began
        self._ended: float | None = None
        self._spans = SpanBuilder()
        self._found = _Collected()

    def on_event(self, stamped: Stamped) -> None:
        """Record spans that have ended, and dependencies."""
        event = stamped.event
        if isinstance(event, DependencyAdded):
            by = _RECIPE_FETCH if event.kind == "source" else event.needed_by
            known = self._found.needs[event.parent].get(event.dependency, by)
            self._found.needs[event.parent][event.dependency] = min(known, by)
        for span in self._spans.on_event(event, self._clock()):
            self._take(span)

    def close(self) -> None:
        """End the spans that are still open now."""
        self._ended = self._clock()
        for span in self._spans.close(self._ended):
            self._take(span)

    def profile(self, slots: Mapping[str, int]) -> Profile:
        """Return the profile of the run; `slots` is the number of slots in each pool."""
        ended = self._clock() if self._ended is None else self._ended
        rows = self._found.rows
        figures = {phase: PhaseFigures() for phase in sorted({row.phase for row in rows})}
        for row in rows:
            figure = figures[row.phase]
            figure.count += 1
            figure.seconds += row.seconds
            if row.seconds >= figure.longest:
                figure.longest, figure.longest_key = row.seconds, row.key
        idle = _share_wall(rows, figures, self._began, ended)
        return Profile(
            wall=ended - self._began,
            phases=figures,
            idle=idle,
            slots=slots,
            busy=self._found.busy,
            waits=self._found.waits,
            path=_critical_path(rows, self._found.needs),
        )

    def _take(self, span: Span) -> None:
        found = self._found
        if span.kind == PHASE:
            lock_seconds = found.lock_seconds.pop(span.key, 0.0)
            found.rows.append(
                _Row(span.key, _PHASES[span.name], span.start, span.end, lock_seconds)
            )
        elif span.kind == SLOT:
            found.busy[span.name] += span.seconds
        elif span.kind in {GATE, LOCK, QUEUE}:
            found.waits[span.kind] += span.seconds
            if span.kind == LOCK:
                found.lock_seconds[span.key] += span.seconds


_RECIPE_FETCH = RecipePhase.RECIPE_FETCH


def _share_wall(
    rows: list[_Row], figures: Mapping[RecipePhase, PhaseFigures], began: float, ended: float
) -> float:
    """Divide each moment among the phases that run in it; return the time without any phase."""
    changes = sorted(
        [(row.start, 1, row.phase) for row in rows] + [(row.end, -1, row.phase) for row in rows]
    )
    running: dict[RecipePhase, int] = defaultdict(int)
    count, before, idle = 0, began, 0.0
    for moment, change, phase in changes:
        passed = moment - before
        if count and passed:
            for current, number in running.items():
                figures[current].wall += passed * number / count
        elif passed:
            idle += passed
        running[phase] += change
        count += change
        before = moment
    return idle + max(0.0, ended - before)


def _critical_path(
    rows: list[_Row], needs: Mapping[str, Mapping[str, RecipePhase]]
) -> tuple[Step, ...]:
    """Return the longest chain of phases, each of which had to wait for the one before it."""
    own: dict[str, _Row] = {}  # the last phase of each recipe that has ended
    longest: _Row | None = None
    # The phases that a phase waited for ended before it began, so they precede it in this order.
    for row in sorted(rows, key=lambda row: (row.start, row.end)):
        waited_for = [own[row.key]] if row.key in own else []
        for need, by in needs.get(row.key, {}).items():
            if by <= row.phase and need in own and own[need].end <= row.start:
                waited_for.append(own[need])
        row.before = max(waited_for, key=lambda one: one.ready, default=None)
        row.ready = row.seconds + (row.before.ready if row.before else 0.0)
        own[row.key] = row
        if longest is None or row.ready > longest.ready:
            longest = row
    return _steps(longest)


def _steps(last: _Row | None) -> tuple[Step, ...]:
    chain: list[_Row] = []
    row = last
    while row is not None:
        chain.append(row)
        row = row.before
    grouped: list[tuple[str, list[tuple[RecipePhase, float]]]] = []
    for row in reversed(chain):
        if not grouped or grouped[-1][0] != row.key:
            grouped.append((row.key, []))
        grouped[-1][1].append((row.phase, row.seconds))
    return tuple(Step(key, tuple(phases)) for key, phases in grouped)
