"""The stages in which custom sources are run."""

import pytest
from engine.satellites import LoadingMaker, NotingCoordinator, coordinated, hold, place
from small_graphs import edge_to, graph_of, key_of, looked_up, names_of, refer

from envy.engine.custom_sources import CustomSources
from envy.errors import EnvyError, MissingReferences, NotPlanned
from envy.phase import RecipePhase


class NotingBuilder:
    """Builds no tools, and records the requested ones by short names."""

    def __init__(self):
        self.asked = []

    def exempt_tools(self, tools):
        self.asked.append(("exempt", names_of(tools)))

    def compute_keys(self, goals):
        self.asked.append(("keys", names_of(goals)))

    def prepare(self, goals):
        self.asked.append(("prepare", names_of(goals)))

    def complete(self, goals):
        self.asked.append(("complete", names_of(goals)))

    def wait_for_fetches(self):
        self.asked.append(("wait", []))


class Stages:
    """A graph with held recipes, each given with the names that its source needs."""

    def __init__(self, needs, held, *, brought=(), installs=True):
        self.graph = graph_of(needs)
        self.scheduler = NotingCoordinator()
        self.coordination = coordinated(self.graph, coordinator=self.scheduler)
        self.maker = LoadingMaker(self.graph, self.coordination)
        for name in held:
            hold(self.graph, self.coordination, self.maker, name)
        for name, tools in held.items():
            for tool in tools:
                edge = edge_to(tool, kind="source", needed_by=RecipePhase.RECIPE_FETCH)
                self.graph.add_edge(key_of(name), edge, of_source=True)
        self.builder = NotingBuilder()
        self.sources = CustomSources(
            self.graph,
            self.coordination,
            self.maker,
            self.builder,
            is_source_fetched=lambda recipe: recipe.key.name in brought,
            installs=installs,
        )

    def held(self):
        return names_of(self.maker.held)


def test_a_stage_builds_the_tools_and_then_fetches():
    """The fetch waits for the tools at a gate; afterwards nothing is held."""
    stages = Stages({"tool": []}, {"a": ["tool"]})
    stages.sources.run_stage()
    assert stages.builder.asked == [
        ("exempt", ["tool"]),
        ("keys", ["tool"]),
        ("complete", ["tool"]),
        ("wait", []),
    ]
    assert stages.scheduler.gates == [("a", RecipePhase.RECIPE_FETCH, ["tool"])]
    assert stages.scheduler.targets == [(RecipePhase.RECIPE_FETCH, ["a"])]
    assert not stages.sources.any_held


def test_a_stage_fetches_everything_that_can_be_fetched():
    """Sources run in key order; a source that needs a held recipe waits for a later stage."""
    stages = Stages({"tool": []}, {"c": ["b"], "b": ["tool"], "a": []})
    stages.sources.run_stage()
    assert stages.scheduler.targets == [(RecipePhase.RECIPE_FETCH, ["a", "b"])]
    assert stages.held() == ["c"]


def test_a_held_recipe_behind_a_tool_holds_up_the_stage():
    """The whole closure counts, not only the direct dependencies of the source."""
    stages = Stages({"tool": []}, {"a": ["tool"], "b": []})
    stages.graph.add_edge(key_of("tool"), edge_to("b"))
    stages.sources.run_stage()
    assert stages.held() == ["a"]


def test_an_unbound_reference_in_the_closure_holds_up_the_stage():
    """The reference may be one of the source itself or of a tool."""
    stages = Stages({"tool": []}, {"a": ["tool"], "b": [], "c": []})
    refer(stages.graph, "tool", looked_up("x"))
    refer(stages.graph, "b", looked_up("y"), of_source=True)
    stages.sources.run_stage()
    assert stages.held() == ["a", "b"]


def test_early_references_are_those_behind_held_sources():
    """References of recipes that no custom source needs are not among the early ones."""
    stages = Stages({"tool": [], "app": []}, {"a": ["tool"]})
    of_tool = refer(stages.graph, "tool", looked_up("x"))
    of_source = refer(stages.graph, "a", looked_up("y"), of_source=True)
    refer(stages.graph, "app", looked_up("z"))
    assert stages.sources.early_references() == [of_source, of_tool]


def test_a_cached_source_needs_no_tools():
    """A cached source is fetched without a gate, once the keys of its tools are known."""
    stages = Stages({"tool": []}, {"a": ["tool"]}, brought=["a"])
    place(stages.graph, "tool")
    stages.sources.run_stage()
    assert stages.scheduler.gates == []
    assert ("complete", []) in stages.builder.asked


def test_the_cache_is_not_searched_without_the_keys_of_the_tools():
    """The cache is not searched without the keys of the tools, which are part of its name."""
    stages = Stages({"tool": []}, {"a": ["tool"]}, brought=["a"])
    stages.sources.run_stage()
    assert stages.scheduler.gates == [("a", RecipePhase.RECIPE_FETCH, ["tool"])]


def test_a_held_recipe_that_failed_is_not_held_any_more():
    """If nothing else is held, the stage does nothing."""
    stages = Stages({}, {"a": []})
    error = EnvyError("no")
    stages.coordination.fail(key_of("a"), error, phase=RecipePhase.RECIPE_FETCH)
    stages.sources.run_stage()
    assert (stages.held(), stages.builder.asked) == ([], [])


def test_without_installs_a_source_with_missing_tools_is_set_aside():
    """A source whose tools are installed is fetched."""
    stages = Stages({"tool": [], "there": []}, {"a": ["tool"], "b": ["there"]}, installs=False)
    place(stages.graph, "tool")
    place(stages.graph, "there", cached=True)
    stages.sources.run_stage()
    failure = stages.coordination.failure(key_of("a"))
    assert isinstance(failure, NotPlanned)
    assert "its source needs local.tool@r1" in str(failure)
    assert stages.scheduler.targets == [(RecipePhase.RECIPE_FETCH, ["b"])]


def test_if_no_source_can_run_the_error_names_what_each_lacks():
    """A source may lack a match for a reference, or need another held recipe."""
    stages = Stages({"tool": []}, {"a": ["tool"], "b": ["a"], "c": ["d"], "d": ["c"]})
    refer(stages.graph, "tool", looked_up("x"))
    with pytest.raises(MissingReferences) as caught:
        stages.sources.run_stage()
    assert [row.partition(" (")[0] for row in caught.value.rows] == [
        "local.a@r1 cannot be fetched: nothing answers to 'x', which local.tool@r1 needs",
        "local.b@r1 cannot be fetched: nothing answers to 'x', which local.tool@r1 needs",
        "local.c@r1 cannot be fetched: it waits for local.d@r1",
        "local.d@r1 cannot be fetched: it waits for local.c@r1",
    ]
