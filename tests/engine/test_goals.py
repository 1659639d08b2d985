"""The completion of goals, with satellites that only record calls."""

import contextlib

import pytest
from engine.satellites import NotingCoordinator, coordinated
from small_graphs import graph_of, key_of, names_of

from envy.engine.goals import Goals
from envy.errors import Cancelled, EnvyError
from envy.graph.recipe import Outcome
from envy.phase import RecipePhase


class Satellites:
    """Everything that Goals calls, as one object that records the calls in order."""

    def __init__(self, graph):
        self.calls = []
        self._graph = graph

    def choose(self, *, is_resolved):
        self.calls.append(("choose", is_resolved))

    def compute(self, goals):
        self.calls.append(("compute", names_of(goals)))

    def want(self, goals):
        self.calls.append(("want", names_of(goals)))
        for key in goals:
            self._graph.recipes[key].work.wanted = True

    def wanted(self):
        return [recipe for recipe in self._graph.recipes.values() if recipe.work.wanted]

    def wanted_closure(self, goals):
        return list(goals)

    def rely_upon(self):
        self.calls.append("lease")

    @contextlib.contextmanager
    def recorded(self, goals):
        self.calls.append(("recorded", names_of(goals)))
        yield
        self.calls.append("record")

    def explain(self):
        self.calls.append("explain")

    def remember(self):
        self.calls.append("remember")

    def raise_if_cancelled(self):
        self.calls.append("cancelled?")


class CompletingCoordinator(NotingCoordinator):
    """Completes the awaited recipes, or does what a test says."""

    def __init__(self):
        super().__init__()
        self.on_wait = lambda nodes: None

    def wait(self, nodes, phase):
        self.on_wait(nodes)
        for node in nodes:
            node.current_phase = phase
            node.subject.work.outcome = Outcome.INSTALLED


class Completing:
    def __init__(self, *names):
        self.graph = graph_of({name: [] for name in names})
        self.scheduler = CompletingCoordinator()
        self.coordination = coordinated(self.graph, coordinator=self.scheduler)
        self.all = Satellites(self.graph)
        self.goals = Goals(
            self.coordination,
            keys=self.all,
            shell=self.all,
            demand=self.all,
            priorities=self.all,
            usage=self.all,
            failures=self.all,
            cancellation=self.all,
        )

    def run(self, *names):
        return self.goals.run([key_of(name) for name in names])


def test_keys_come_first_then_demand_then_the_run():
    """The use of entries is recorded last, after the durations."""
    world = Completing("a")
    world.goals.is_resolved = True
    [result] = world.run("a")
    assert world.all.calls == [
        ("choose", True),
        ("compute", ["a"]),
        ("want", ["a"]),
        ("recorded", ["a"]),
        "explain",
        "remember",
        "record",
    ]
    assert world.scheduler.targets == [(RecipePhase.COMPLETION, ["a"])]
    assert (result.key, result.outcome) == (key_of("a"), Outcome.INSTALLED)


def test_recipes_that_become_wanted_during_the_run_are_waited_for():
    """A recipe that is wanted late may end after the recipe that wanted it; it has a result."""
    world = Completing("a", "late")

    def want_late(_nodes):
        world.graph.recipes[key_of("late")].work.wanted = True

    world.scheduler.on_wait = want_late
    results = world.run("a")
    assert [(row.key.name, row.outcome) for row in results] == [
        ("a", Outcome.INSTALLED),
        ("late", Outcome.INSTALLED),
    ]


def test_the_result_of_a_failed_recipe_has_its_failure():
    """A failed recipe has no outcome, and is not waited for."""
    world = Completing("a")
    world.coordination.fail(key_of("a"), EnvyError("no"), phase=RecipePhase.CHECK)
    [result] = world.run("a")
    assert result.outcome is None
    assert result.failure is world.coordination.failure(key_of("a"))


def test_durations_are_stored_even_if_the_wait_is_interrupted():
    """After an interrupted wait, failures are explained, and the use is not recorded."""
    world = Completing("a")

    def interrupt(_nodes):
        raise Cancelled("cancelled")

    world.scheduler.on_wait = interrupt
    with pytest.raises(Cancelled):
        world.run("a")
    assert world.all.calls[-2:] == ["explain", "remember"]


def test_tools_are_leased_before_they_are_completed():
    """`complete` starts the tools and does not wait for them."""
    world = Completing("tool")
    world.goals.complete([key_of("tool")])
    assert world.all.calls[-1] == "lease"
    assert world.scheduler.targets == [(RecipePhase.COMPLETION, ["tool"])]


def test_waiting_for_fetches_ends_with_the_reason_of_a_cancellation():
    """The reason is read after the scheduler has become idle."""
    world = Completing()
    world.goals.wait_for_fetches()
    assert (world.scheduler.idle_waits, world.all.calls) == (1, ["cancelled?"])
