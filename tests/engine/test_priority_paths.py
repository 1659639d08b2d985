"""The priorities of a graph, without an engine: the path that each recipe is on."""

import pytest
from engine.satellites import coordinated, place
from small_graphs import edge_to, graph_of, key_of, load

from envy.cache.durations import Durations, Measured
from envy.engine.priorities import Priorities, fetches_briefly, note_duration
from envy.graph.recipe import Outcome
from envy.phase import RecipePhase

OWN = 0.001  # seconds that envy itself needs for a package


class Paths:
    """A graph whose recipes are all wanted, with the earlier durations of installs in seconds."""

    def __init__(self, needs, seconds=(), *, cached=()):
        self.graph = graph_of(needs)
        self.durations = Durations()
        rows = dict(seconds)
        measured = [
            Measured(key_of(name).canonical, name, [0.0, 0.0, 0.0, took, 0.0])
            for name, took in rows.items()
        ]
        self.durations.learn(measured, [key.canonical for key in self.graph.recipes])
        for name in needs:
            place(self.graph, name, cached=name in cached).work.wanted = True
        self.coordination = coordinated(self.graph)
        self.priorities = Priorities(self.graph, self.coordination, self.durations)

    def gates(self, recipe):
        return [(edge, edge.needed_by) for edge in self.graph.edges(recipe.key)]

    def prioritise(self, *names):
        recipes = [self.graph.recipes[key_of(name)] for name in names or self._names()]
        self.priorities.prioritise(recipes, self.gates)
        return {name: self.coordination[key_of(name)].path_after for name in self._names()}

    def _names(self):
        return [key.name for key in self.graph.recipes]


def test_a_path_is_the_longest_chain_of_dependents():
    """The longest of several dependents counts."""
    after = Paths({"app": ["lib"], "tool": ["lib"], "lib": []}, {"app": 5, "tool": 9, "lib": 1})
    assert after.prioritise() == pytest.approx({"app": 0, "tool": 0, "lib": 9 + OWN})


def test_a_chain_adds_up():
    """The path of a recipe contains everything that waits for it, directly or not."""
    paths = Paths({"a": ["b"], "b": ["c"], "c": []}, {"a": 1, "b": 2, "c": 4})
    assert paths.prioritise() == pytest.approx({"a": 0, "b": 1 + OWN, "c": 3 + 2 * OWN})


def test_a_late_gate_adds_only_the_phases_after_it():
    """A recipe that waits only in deploy does not add its install to the path."""
    late = edge_to("lib", needed_by=RecipePhase.DEPLOY)
    paths = Paths({"app": [late], "lib": []}, {"app": 5, "lib": 1})
    assert paths.prioritise()["lib"] == pytest.approx(OWN)


def test_a_package_without_a_measurement_counts_by_its_phases():
    """Each phase with work counts as the average of the known phases."""
    paths = Paths({"new": ["lib"], "known": [], "lib": []}, {"known": 6, "lib": 0.5})
    load(paths.graph, "new", build="make")
    # The known packages have a fetch and an install each: a phase is a quarter of 6.5 seconds.
    assert paths.prioritise()["lib"] == pytest.approx(3 * 6.5 / 4 + OWN)


def test_a_cached_package_adds_only_its_dependents():
    """A cached package connects the path, although it takes no time."""
    paths = Paths({"app": ["lib"], "lib": ["c"], "c": []}, {"app": 5, "c": 1}, cached=["lib"])
    assert paths.prioritise()["c"] == pytest.approx(5 + 2 * OWN)


def test_a_late_dependent_lengthens_existing_paths():
    """The paths of indirect dependencies become longer, too."""
    paths = Paths({"app": ["lib"], "lib": ["c"], "c": []}, {"app": 50, "lib": 1, "c": 1})
    before = paths.prioritise("lib", "c")
    after = paths.prioritise("app")
    assert (before["c"], after["c"]) == pytest.approx((1 + OWN, 51 + 2 * OWN))


def test_late_dependencies_are_put_on_the_path_of_a_working_recipe():
    """The dependencies get the path from the phase that waits for them."""
    paths = Paths({"app": [], "tool": []}, {"app": 7, "tool": 1})
    paths.prioritise()
    gate = (edge_to("tool"), RecipePhase.FETCH)
    paths.priorities.put_before(paths.graph.recipes[key_of("app")], [gate], paths.gates)
    assert paths.coordination[key_of("tool")].path_after == pytest.approx(7 + OWN)


def test_only_durations_of_built_packages_are_stored():
    """The seconds of the phases of built packages are stored; callers exclude waits."""
    paths = Paths({"a": [], "b": []})
    for name, outcome in (("a", Outcome.INSTALLED), ("b", Outcome.CACHED)):
        recipe = paths.graph.recipes[key_of(name)]
        recipe.work.outcome = outcome
        note_duration(recipe, RecipePhase.CHECK, 9.0)  # is not stored
        note_duration(recipe, RecipePhase.BUILD, 2.0)
        note_duration(recipe, RecipePhase.BUILD, 1.0)
    paths.priorities.remember()
    recalled = [paths.durations.recall(key_of(name).canonical, name) for name in "ab"]
    assert recalled[0] == pytest.approx([0.0, 0.0, 3.0])  # zeros at the end are not kept
    assert recalled[1] is None


@pytest.mark.parametrize(("fetch", "brief"), [(0.001, True), (5.0, False)])
def test_a_fetch_is_brief_if_it_was_before(fetch, brief):
    """A fetch that was never measured is not brief."""
    recipe = Paths({"a": []}).graph.recipes[key_of("a")]
    assert not fetches_briefly(recipe)
    recipe.work.expected = [fetch, 60.0]
    assert fetches_briefly(recipe) is brief
