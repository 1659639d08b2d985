"""The order of binding and custom sources, and the checks of the whole graph."""

import pytest
from engine.satellites import NotingCoordinator, coordinated
from small_graphs import edge_to, graph_of, key_of, load, looked_up, refer, spec_of

from envy.declarations.sources import SourceItem
from envy.engine.resolution import Resolution
from envy.errors import CycleError, DeclarationError, MissingReferences


class RootMaker:
    """Adds no recipes, because the roots are already in the graph."""

    def __init__(self, graph):
        self.started = []
        self._graph = graph

    def ensure(self, spec):
        recipe = self._graph.recipes[spec.key]
        recipe.declarations.append((None, spec))
        return recipe

    def start(self, recipe):
        self.started.append(recipe.key.name)


class Script:
    """Custom sources and a binder that follow the steps of a test."""

    def __init__(self, *, held=0):
        self.steps = []
        self._held = held

    @property
    def any_held(self):
        return self._held > 0

    def early_references(self):
        return []

    def run_stage(self):
        self.steps.append("stage")
        self._held -= 1

    def bind_round(self, references):
        """Bind the first reference; there are no early references."""
        self.steps.append(f"bind {len(references)}")
        if references and references[0].dependency.query != "nothing":
            references[0].undecided = True
            return True
        return False

    def wait_for_fetches(self):
        self.steps.append("wait")


def resolved(graph, *roots, script=None):
    """Resolve a graph, and return the coordination of its recipes."""
    script = script or Script()
    coordination = coordinated(graph, coordinator=NotingCoordinator())
    Resolution(
        graph,
        coordination,
        RootMaker(graph),
        script,
        bind_round=script.bind_round,
        wait_for_fetches=script.wait_for_fetches,
        platform_tag="linux-x86_64",
    ).resolve([spec_of(root) for root in roots])
    return coordination


def test_rounds_go_on_until_every_reference_is_bound():
    """After each round, new recipes are waited for and checked."""
    graph, script = graph_of({"a": []}), Script()
    refer(graph, "a", looked_up("x"))
    refer(graph, "a", looked_up("y"))
    resolved(graph, "a", script=script)
    assert script.steps == ["wait", "bind 2", "wait", "bind 1", "wait"]
    assert graph.roots == [key_of("a")]


def test_while_recipes_are_held_only_early_references_are_bound():
    """After a round without progress, a stage of custom sources runs."""
    graph, script = graph_of({"a": []}), Script(held=1)
    refer(graph, "a", looked_up("x"))
    resolved(graph, "a", script=script)
    assert script.steps == ["wait", "bind 0", "stage", "wait", "bind 1", "wait"]


def test_references_without_a_match_end_the_resolution():
    """All references without a match are listed."""
    graph = graph_of({"a": [], "b": []})
    refer(graph, "a", looked_up("nothing"))
    refer(graph, "b", looked_up("nothing"))
    with pytest.raises(MissingReferences) as caught:
        resolved(graph, "a")
    assert len(caught.value.rows) == 2


def test_a_cycle_is_reported_from_its_least_key():
    """A cycle may contain an edge of a source."""
    graph = graph_of({"a": ["c"], "b": ["a"], "c": []})
    graph.add_edge(key_of("c"), edge_to("b"), of_source=True)
    with pytest.raises(CycleError) as caught:
        resolved(graph, "b")
    assert [step[0] for step in caught.value.cycle] == ["local.a@r1", "local.c@r1", "local.b@r1"]


def test_one_key_must_come_from_one_source():
    """The error lists each source with its location."""
    graph = graph_of({"a": []})
    other = spec_of("a")
    object.__setattr__(other, "source", SourceItem(source="other.lua", base_dir="/project"))
    graph.recipes[key_of("a")].declarations.append((None, other))
    with pytest.raises(DeclarationError, match="declared from 2 different sources"):
        resolved(graph, "a")


def test_a_recipe_that_needs_an_excluded_recipe_fails():
    """Only recipes that need an excluded recipe fail."""
    graph = graph_of({"a": ["b"], "b": [], "c": []})
    load(graph, "b", excluded=True)
    coordination = resolved(graph, "a")
    assert coordination.failed() == [key_of("a")]
    assert "is not for linux-x86_64" in str(coordination.failure(key_of("a")))


def test_a_recipe_that_needs_a_missing_product_fails():
    """The error names the products that are provided."""
    graph = graph_of({"a": [edge_to("b", product="ninja")], "b": []})
    load(graph, "b", provides=["make"])
    coordination = resolved(graph, "a")
    assert coordination.failed() == [key_of("a")]
    assert "provides make" in str(coordination.failure(key_of("a")))
