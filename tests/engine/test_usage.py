"""The leases of a run, and its records of use."""

import json

import pytest
from engine.satellites import coordinated, place
from small_graphs import edge_to, graph_of, key_of, load

from envy.cache.layout import CacheLayout
from envy.cache.usage import BUILD, RUN, read_uses
from envy.declarations.spec import DependencyUse
from envy.engine.usage import Usage
from envy.phase import RecipePhase

PROJECT = "/project"


class NotingLease:
    """Holds nothing, and records the entries that it should hold."""

    def __init__(self):
        self.held = []

    def hold(self, entries):
        self.held.append(sorted(entries))


class Using:
    """A graph whose wanted recipes have entries, and its Usage of a cache."""

    def __init__(self, root, needs, *, cached=(), wanted=None):
        self.layout = CacheLayout(root)
        self.graph = graph_of(needs)
        self.graph.roots += [key_of(name) for name in needs]
        for name in needs:
            place(self.graph, name, cached=name in cached)
            self.graph.recipes[key_of(name)].work.wanted = wanted is None or name in wanted
        self.coordination = coordinated(self.graph)
        self.lease = NotingLease()
        self.usage = Usage(self.graph, self.coordination, self.lease, self.layout, PROJECT)

    def run(self, *goals, completing=()):
        """Run for some goals, and complete some recipes."""
        with self.usage.recorded([key_of(name) for name in goals]):
            for name in completing:
                self.coordination[key_of(name)].current_phase = RecipePhase.COMPLETION

    def recorded(self):
        """Return the records of the cache: purposes by short name, and whether they are whole."""
        rows = [json.loads(path.read_text()) for path in self.layout.root.rglob("*.json")]
        names = {self.entry(name): name for name in "abc" if key_of(name) in self.graph.recipes}
        return [
            ({names[entry]: purpose for entry, purpose in row["entries"].items()}, row["whole"])
            for row in rows
        ]

    def entry(self, name):
        return self.graph.recipes[key_of(name)].placement.entry.name


@pytest.fixture
def using(tmp_path):
    return lambda needs, **options: Using(tmp_path, needs, **options)


def test_run_and_build_uses_are_recorded_separately(using):
    """gc keeps entries that run longer than entries that were only used to build."""
    build = edge_to("c", use=DependencyUse.BUILD)
    world = using({"a": ["b", build], "b": [], "c": []}, cached="c")
    world.run("a", completing="ab")
    [(entries, whole)] = world.recorded()
    assert entries == {"a": RUN, "b": RUN, "c": BUILD}
    assert not whole  # c is also a root
    assert sorted(read_uses(world.layout).by_entry) == sorted(map(world.entry, "abc"))


def test_a_run_for_all_roots_records_the_whole_project(using):
    """Excluded roots do not count."""
    world = using({"a": [], "b": []}, wanted="a")
    load(world.graph, "b", excluded=True)
    world.run("a", completing="a")
    assert world.recorded() == [({"a": RUN}, True)]


def test_incomplete_packages_are_not_recorded(using):
    """An incomplete run is not recorded as a whole one."""
    world = using({"a": [], "b": []})
    world.run("a", "b", completing="a")
    assert world.recorded() == [({"a": RUN}, False)]


def test_a_run_without_entries_records_nothing(using):
    """User-managed goals have no entry, so they are not recorded."""
    world = using({"a": []})
    load(world.graph, "a", user_managed=True)
    world.run("a", completing="a")
    assert world.recorded() == []


def test_a_run_leases_the_entries_that_it_relies_upon(using):
    """Every entry whose key is known is leased before anything runs."""
    world = using({"a": [], "b": []})
    world.graph.recipes[key_of("b")].placement = None
    world.run("a")
    assert world.lease.held == [[world.entry("a")]]


def test_recent_uses_need_no_lease(using):
    """If everything wanted is cached, no lease is needed, since gc keeps recent entries."""
    world = using({"a": []}, cached="a")
    world.run("a")
    world.run("a")
    assert len(world.lease.held) == 1
