"""The profile of a run."""

import itertools

import pytest

from envy import events as ev
from envy.console.profile import Profiler
from envy.console.profile_text import profile_lines
from envy.events import Stamped
from envy.phase import RecipePhase

CHECK, FETCH, BUILD, INSTALL = (
    RecipePhase.CHECK,
    RecipePhase.FETCH,
    RecipePhase.BUILD,
    RecipePhase.INSTALL,
)


class Run:
    """A profiler fed with events at given times; the run begins at zero."""

    def __init__(self):
        self.now = 0.0
        self.profiler = Profiler(0.0, clock=lambda: self.now)
        self._count = itertools.count(1)

    def emit(self, at, event):
        self.now = at
        self.profiler.on_event(Stamped(next(self._count), at, event))

    def needs(self, parent, dependency, by=CHECK, kind="strong"):
        self.emit(
            self.now,
            ev.DependencyAdded(parent=parent, dependency=dependency, kind=kind, needed_by=by),
        )

    def phase(self, key, phase, start, end, pool="work"):
        """Return the events of a phase with its own slot, with their times."""
        recipe_fields = {"recipe": key, "key": key}
        return [
            (start, ev.SlotAcquired(pool=pool, wait_ms=0, **recipe_fields)),
            (start, ev.PhaseStart(phase=phase, **recipe_fields)),
            (end, ev.PhaseComplete(phase=phase, duration_ms=0, **recipe_fields)),
            (end, ev.SlotReleased(pool=pool, hold_ms=0, **recipe_fields)),
        ]

    def happens(self, *phases):
        rows = [row for phase in phases for row in phase]
        for at, event in sorted(rows, key=lambda row: row[0]):
            self.emit(at, event)

    def ends(self, at, **slots):
        self.now = at
        self.profiler.close()
        return self.profiler.profile(slots or {"work": 2, "transfer": 8})


@pytest.fixture
def run():
    return Run()


def test_a_moment_is_divided_among_the_phases_that_run_in_it(run):
    """The shares of the phases and the idle time add up to the wall time."""
    run.happens(run.phase("a", BUILD, 1, 5), run.phase("b", INSTALL, 3, 7))
    found = run.ends(10)
    assert {phase: one.wall for phase, one in found.phases.items()} == {BUILD: 3, INSTALL: 3}
    assert found.idle == 4
    assert found.wall == 10


def test_the_longest_recipe_of_each_phase_is_named(run):
    """Each phase has its longest recipe, the number of recipes and their total time."""
    run.happens(run.phase("a", BUILD, 0, 2), run.phase("b", BUILD, 0, 3))
    one = run.ends(3).phases[BUILD]
    assert (one.count, one.seconds, one.longest, one.longest_key) == (2, 5, 3, "b")


def test_the_critical_path_goes_through_dependencies(run):
    """A phase follows the phases it waited for, and no phase that merely ended earlier."""
    run.needs("top", "a")
    run.needs("top", "b")
    run.happens(
        run.phase("a", BUILD, 0, 4),
        run.phase("b", BUILD, 0, 2),
        run.phase("other", BUILD, 4, 5),
        run.phase("top", CHECK, 5, 6),
        run.phase("top", INSTALL, 6, 9),
    )
    found = run.ends(9)
    assert [(step.key, step.phases) for step in found.path] == [
        ("a", ((BUILD, 4.0),)),
        ("top", ((CHECK, 1.0), (INSTALL, 3.0))),
    ]
    assert found.critical == 8


def test_a_late_gate_lets_earlier_phases_overlap(run):
    """A dependency that only install needs is not on the path to the build."""
    run.needs("top", "a", by=INSTALL)
    run.happens(
        run.phase("a", BUILD, 0, 4),
        run.phase("top", BUILD, 0, 3),
        run.phase("top", INSTALL, 4, 5),
    )
    assert [step.key for step in run.ends(5).path] == ["a", "top"]
    assert run.ends(5).critical == 5


def test_a_source_waits_for_its_tools(run):
    """The tools of a source precede the recipe, whatever phase the edge names."""
    run.needs("top", "tool", by=RecipePhase.INSTALL, kind="source")
    run.happens(run.phase("tool", INSTALL, 0, 2), run.phase("top", RecipePhase.RECIPE_FETCH, 2, 3))
    assert run.ends(3).critical == 3


def test_the_lower_bound_is_the_larger_of_path_and_work(run):
    """Three independent recipes with two slots are bounded by their work."""
    run.happens(*(run.phase(key, BUILD, 0, 4) for key in "abc"))
    found = run.ends(8, work=2, transfer=8)
    assert (found.critical, found.bound, found.busy["work"]) == (4, 6, 12)
    assert run.ends(8, work=4, transfer=8).bound == 4


def test_a_wait_for_a_lock_is_not_work(run):
    """Lock waits are counted separately and are not on the critical path."""
    recipe_fields = {"recipe": "a", "key": "a"}
    start, *end = run.phase("a", CHECK, 0, 9)
    rows = [
        (1, ev.LockBlocked(lock_path="/l", held_by="", **recipe_fields)),
        (1, ev.SlotReleased(pool="work", hold_ms=1000, **recipe_fields)),
        (8, ev.SlotAcquired(pool="work", wait_ms=0, **recipe_fields)),
        (8, ev.LockAcquired(lock_path="/l", wait_ms=7000, **recipe_fields)),
    ]
    run.happens([start, *end, *rows])
    found = run.ends(9)
    assert found.critical == 2
    assert found.busy["work"] == 2
    assert found.waits["lock wait"] == 7


def test_cancelled_work_counts_until_the_cancellation(run):
    """The profile of a cancelled run covers what ran until then."""
    for at, event in run.phase("a", BUILD, 1, 100)[:2]:
        run.emit(at, event)
    found = run.ends(4)
    assert found.phases[BUILD].seconds == 3
    assert found.busy["work"] == 3


def test_lines_of_a_profile(run):
    """The lines show phases, critical path, slots and the lower bound, with their figures."""
    run.needs("top", "a")
    run.happens(
        run.phase("a", FETCH, 0, 1, "transfer"),
        run.phase("a", INSTALL, 1, 5),
        run.phase("top", INSTALL, 5, 8),
    )
    text = profile_lines(run.ends(10, work=1, transfer=2))
    assert text[0] == "profile: 10.0s"
    assert [line.split()[:4] for line in text[2:5]] == [
        ["fetch", "1", "1.000s", "1.000s"],
        ["install", "2", "7.000s", "7.000s"],
        ["no", "phase", "2.000s", "20%"],
    ]
    bound = (
        "8.000s, the largest of critical path 8.000s, work 7.000s / 1 = 7.000s, "
        "transfer 1.000s / 2 = 0.500s"
    )
    assert text[5:] == [
        "critical path: 8.000s through 2 packages",
        "  5.000s   a: fetch 1.000s, install 4.000s",
        "  3.000s   top: install 3.000s",
        "slots: 1 work (--jobs) 70% busy, 2 transfer (--fetch-jobs) 5% busy",
        f"lower bound: {bound}; this run took 1.25 times that",
    ]


def test_a_long_path_shows_its_longest_steps(run):
    """A long path shows its longest steps in order, and how many are left out between them."""
    rows = []
    for number in range(30):
        if number:
            run.needs(f"n{number}", f"n{number - 1}")
        took = 2 if number in {3, 29} else 1
        rows.append(run.phase(f"n{number}", BUILD, 10 * number, 10 * number + took))
    run.happens(*rows)
    lines = profile_lines(run.ends(300))
    path = lines[[line.startswith("critical") for line in lines].index(True) :]
    assert path[0] == "critical path: 32.0s through 30 packages"
    assert "  2.000s   n29: build 2.000s" in path
    assert sum(line.startswith("  …") for line in path) == 1
    assert "  … 10 more, 10.0s" in path


def test_a_run_without_phases_is_one_line(run):
    """An empty graph has a profile of one line."""
    assert profile_lines(run.ends(1)) == ["profile: no phase of any package ran, in 1.0s"]


def test_names_are_safe_to_print(run):
    """A key can contain any text of an option, so it is escaped."""
    run.happens(run.phase("a\x1b[2J", BUILD, 0, 1))
    assert not any("\x1b" in line for line in profile_lines(run.ends(1)))
