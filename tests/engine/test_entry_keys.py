"""The order in which entry keys are computed, and recipes whose key cannot be computed."""

import networkx as nx
from engine.satellites import coordinated, place, short
from hypothesis import given
from hypothesis import strategies as st
from small_graphs import graph_of, key_of

from envy.engine.entry_keys import EntryKeys
from envy.errors import DependencyFailed, EnvyError, PhaseFailed

CHAINS = st.integers(1, 10).flatmap(
    lambda count: st.tuples(
        *(
            st.sets(st.integers(0, number - 1)) if number else st.just(set())
            for number in range(count)
        )
    )
)


class Computing:
    """The entry keys of a graph: each is the recipe's name and its dependencies' keys."""

    def __init__(self, needs, *, keyless=()):
        self.graph = graph_of(needs)
        self.coordination = coordinated(self.graph)
        self.asked = []
        self._keyless = keyless
        self.keys = EntryKeys(self.graph, self.coordination, self._find_entry)

    def compute(self, *names):
        self.keys.compute([key_of(name) for name in names])

    def failures(self):
        return {short(node): node.failure for node in self.coordination.values() if node.failure}

    def _find_entry(self, recipe, needed):
        name = recipe.key.name
        self.asked.append(name)
        if name in self._keyless:
            raise EnvyError(f"{name} has no key")
        place(self.graph, name, entry_key=f"{name}({','.join(needed)})")


def test_a_key_is_computed_from_those_of_the_dependencies():
    """The keys of dependencies are passed in the order of declaration."""
    world = Computing({"app": ["b", "a"], "a": [], "b": ["a"]})
    world.compute("app")
    assert world.graph.recipes[key_of("app")].entry_key == "app(b(a()),a())"


@given(CHAINS)
def test_dependencies_have_their_keys_first(rows):
    """The key of each recipe in the closure is computed once, after those of its dependencies."""
    needs = {f"n{at}": [f"n{one}" for one in sorted(row)] for at, row in enumerate(rows)}
    world = Computing(needs)
    last = f"n{len(rows) - 1}"
    world.compute(last)
    model = nx.DiGraph([(name, one) for name, row in needs.items() for one in row])
    model.add_node(last)
    assert sorted(world.asked) == sorted({last, *nx.descendants(model, last)})
    asked = {name: position for position, name in enumerate(world.asked)}
    assert all(asked[one] < asked[name] for name in asked for one in needs[name])


def test_a_key_is_computed_once():
    """For goals that overlap with earlier goals, only new keys are computed."""
    world = Computing({"app": ["lib"], "lib": []})
    world.compute("lib")
    world.compute("app", "lib")
    assert world.asked == ["lib", "app"]


def test_a_recipe_whose_key_cannot_be_computed_fails_with_its_dependents():
    """Recipes that do not depend on it have keys; the dependents' keys are not computed."""
    world = Computing({"app": ["lib"], "lib": ["bad"], "bad": [], "other": []}, keyless=["bad"])
    world.compute("app", "other")
    failures = world.failures()
    assert world.asked == ["bad", "other"]
    assert isinstance(failures["bad"], PhaseFailed)
    assert isinstance(failures["app"], DependencyFailed)
    assert (failures["lib"].dependency, failures["app"].dependency) == (
        "local.bad@r1",
        "local.lib@r1",
    )
    assert failures["app"].root is failures["bad"]
    assert world.graph.recipes[key_of("other")].entry_key == "other()"


def test_a_recipe_that_has_failed_keeps_its_failure():
    """The key of a failed recipe is not computed again."""
    world = Computing({"app": []}, keyless=["app"])
    world.compute("app")
    before = world.failures()
    world.compute("app")
    assert world.asked == ["app"]
    assert world.failures() == before
