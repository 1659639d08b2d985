"""The recipes that goals want, and the gates that this closes."""

import pytest
from engine.satellites import NotingCoordinator, coordinated, place, wanted_names
from small_graphs import Recording, edge_to, graph_of, key_of, load, names_of

from envy.cache.durations import Durations
from envy.declarations.spec import DependencyUse
from envy.engine.demand import Demand
from envy.engine.priorities import Priorities
from envy.errors import EnvyError
from envy.events import EventBus, PackagesWanted
from envy.phase import RecipePhase

BUILD = DependencyUse.BUILD


def to_build(name, *, needed_by=RecipePhase.CHECK):
    return edge_to(name, use=BUILD, needed_by=needed_by)


class Wanting:
    """A graph, its Demand, and a scheduler that records the calls."""

    def __init__(self, needs, *, cached=(), undeployed=(), user_managed=()):
        self.graph = graph_of(needs)
        for name in needs:
            place(self.graph, name, cached=name in cached)
            self.graph.recipes[key_of(name)].work.undeployed = name in undeployed
        for name in user_managed:
            load(self.graph, name, user_managed=True)
        self.scheduler = NotingCoordinator()
        self.coordination = coordinated(self.graph, coordinator=self.scheduler)
        priorities = Priorities(self.graph, self.coordination, Durations())
        self.listener = Recording()
        self.demand = Demand(self.graph, self.coordination, priorities, EventBus([self.listener]))

    def want(self, *names):
        self.demand.want([key_of(name) for name in names])
        return wanted_names(self.demand)


def test_a_missing_package_wants_its_build_and_run_dependencies():
    """Their run closures are wanted, too, but no build dependencies of cached packages."""
    world = Wanting(
        {"app": ["lib", to_build("cc")], "lib": [], "cc": ["as"], "as": [to_build("c0")], "c0": []},
        cached=["as"],
    )
    assert world.want("app") == ["app", "as", "cc", "lib"]


def test_a_cached_package_wants_only_its_run_dependencies():
    """No compiler is installed for a package that is already cached."""
    world = Wanting({"app": ["lib", to_build("cc")], "lib": [], "cc": []}, cached=["app"])
    assert world.want("app") == ["app", "lib"]


def test_a_package_that_lacks_its_deploy_wants_its_build_dependencies():
    """The deploy may use them; gates are closed before deploy at the earliest."""
    world = Wanting({"app": [to_build("cc")], "cc": []}, cached=["app"], undeployed=["app"])
    assert world.want("app") == ["app", "cc"]
    assert world.scheduler.gates == [("app", RecipePhase.DEPLOY, ["cc"])]


def test_gates_are_closed_before_the_phase_of_the_edge():
    """The gates of a cached package are closed only before its completion."""
    world = Wanting(
        {
            "app": [edge_to("lib", needed_by=RecipePhase.INSTALL), "there"],
            "lib": [],
            "there": ["lib"],
        },
        cached=["there"],
    )
    world.want("app")
    assert sorted(world.scheduler.gates) == [
        ("app", RecipePhase.CHECK, ["there"]),
        ("app", RecipePhase.INSTALL, ["lib"]),
        ("there", RecipePhase.COMPLETION, ["lib"]),
    ]


def test_a_wanted_recipe_is_not_wanted_again():
    """The gates of a wanted recipe are closed once."""
    world = Wanting({"app": ["lib"], "lib": []})
    world.want("lib")
    assert names_of(world.demand.want([key_of("app"), key_of("app")])) == ["app"]
    assert world.demand.want([key_of("app")]) == []
    assert world.scheduler.gates == [("app", RecipePhase.CHECK, ["lib"])]


@pytest.mark.parametrize(
    ("needed_by", "wanted"),
    [(RecipePhase.CHECK, ["app", "tool"]), (RecipePhase.INSTALL, ["app"])],
)
def test_a_user_managed_package_wants_the_dependencies_of_its_check(needed_by, wanted):
    """Build dependencies that only its install needs are wanted when the check fails."""
    needs = {"app": [to_build("tool", needed_by=needed_by)], "tool": []}
    assert Wanting(needs, user_managed=["app"]).want("app") == wanted


def test_a_failed_check_wants_the_rest_and_waits_before_fetch():
    """The check is running, so fetch is the earliest phase that can wait."""
    needs = {"app": [to_build("tool", needed_by=RecipePhase.INSTALL), to_build("cc")]}
    world = Wanting({**needs, "tool": ["lib"], "cc": [], "lib": []}, user_managed=["app"])
    world.want("app")
    world.scheduler.gates.clear()
    world.demand.want_for_work(world.graph.recipes[key_of("app")])
    assert wanted_names(world.demand) == ["app", "cc", "lib", "tool"]
    assert ("app", RecipePhase.INSTALL, ["tool"]) in world.scheduler.gates
    assert world.scheduler.targets == [(RecipePhase.COMPLETION, ["tool", "lib"])]


def test_a_package_whose_entry_was_removed_wants_its_build_dependencies():
    """Without its entry, a package is no longer cached and wants its build dependencies."""
    world = Wanting({"app": ["lib", to_build("cc")], "lib": [], "cc": []}, cached=["app"])
    world.want("app")
    world.coordination[key_of("lib")].current_phase = RecipePhase.COMPLETION
    app = world.graph.recipes[key_of("app")]
    world.demand.want_for_work(app)
    assert not app.work.cached
    assert world.scheduler.targets == [(RecipePhase.COMPLETION, ["cc"])]
    assert world.scheduler.gates[-1] == ("app", RecipePhase.FETCH, ["cc"])


def test_the_number_of_packages_to_work_on_is_an_event():
    """A display learns how many packages there are; what is wanted later is one more event."""
    tool = to_build("tool", needed_by=RecipePhase.INSTALL)
    world = Wanting(
        {"app": ["lib", tool], "lib": [], "tool": []}, cached=["lib"], user_managed=["app"]
    )
    world.want("app")
    world.want("app")
    world.demand.want_for_work(world.graph.recipes[key_of("app")])
    told = [(event.packages, event.missing) for event in world.listener.of(PackagesWanted)]
    assert told == [(2, 1), (1, 1)]


def test_the_wanted_closure_of_goals_contains_only_wanted_recipes():
    """Dependencies come first; recipes that other goals want are left out."""
    world = Wanting({"app": ["lib", to_build("cc")], "lib": [], "cc": [], "x": []}, cached=["app"])
    world.want("app", "x")
    assert names_of(world.demand.wanted_closure([key_of("app")])) == ["lib", "app"]


def test_a_package_is_awaited_by_those_with_work_to_do():
    """Wanted recipes whose entry is missing count; cached and unwanted ones do not."""
    needs = {name: ["lib"] for name in ("app", "cached", "other")} | {"lib": []}
    world = Wanting(needs, cached=["cached"])
    world.want("app", "cached")
    lib = world.graph.recipes[key_of("lib")]
    assert world.demand.awaited_by(lib) == [key_of("app")]


def test_unsatisfied_packages_are_named_until_their_check_holds():
    """A package whose check has not run has a note; a failed package is left out."""
    world = Wanting({name: [] for name in "abcd"}, user_managed="abcd")
    world.want(*"abcd")
    world.graph.recipes[key_of("a")].work.satisfied = True
    world.coordination[key_of("b")].current_phase = RecipePhase.CHECK
    world.coordination[key_of("c")].failure = EnvyError("no")
    assert world.demand.unsatisfied() == ["local.b@r1", "local.d@r1 (its check has not run yet)"]
