"""The order of recipes: the real engine on a virtual clock, compared with list schedules."""

import random
from pathlib import Path

import pytest
from engine.list_schedule import ListSchedule, Task
from engine.virtual_time import TimedRun, remembered
from engine.worlds import Blueprint, Need, World

from envy.cache.durations import Durations
from envy.declarations.key import RecipeKey
from envy.declarations.spec import DependencyUse
from envy.engine.priorities import Priorities, forecast
from envy.errors import SourceLocation
from envy.graph.recipe import Edge
from envy.phase import RecipePhase

GRAPHS = 300
SHARDS = 6
BEFORE_COMPLETION = tuple(p for p in RecipePhase if p >= RecipePhase.CHECK)[:-1]


def key_of(number):
    return f"local.n{number}@r1"


def drawn(seed):
    """Return tasks with gates at any phase, and the number of slots; no two durations are equal."""
    rng = random.Random(seed)
    count = rng.randint(2, 40)
    reach = rng.choice([3, 10, 40])
    tasks = {}
    for number in range(count):
        below = range(max(0, number - reach), number)
        chosen = rng.sample(below, min(rng.randint(0, 3), len(below)))
        gates = rng.choices(BEFORE_COMPLETION, weights=[5, 1, 1, 1, 1, 1], k=len(chosen))
        phases = [p for p in BEFORE_COMPLETION if p is not RecipePhase.FETCH or rng.random() < 0.5]
        tasks[key_of(number)] = Task(
            {phase: round(rng.uniform(1, 1000), 3) for phase in phases},
            {key_of(one): gate for one, gate in zip(chosen, gates, strict=True)},
        )
    return tasks, rng.randint(1, 8)


def world_of(tasks):
    recipes = {
        key: Blueprint(
            key, tuple(Need("strong", one, needed_by=by) for one, by in sorted(task.needs.items()))
        )
        for key, task in tasks.items()
    }
    return World(recipes, roots=tuple(tasks))


def check(seed):
    tasks, jobs = drawn(seed)
    right = ListSchedule(tasks, {"work": jobs, "transfer": 1 + jobs % 2})
    timed = TimedRun(world_of(tasks), {key: task.seconds for key, task in tasks.items()}, jobs=jobs)
    timed.run()
    assert timed.starts == pytest.approx(right.starts)
    assert timed.clock.now == pytest.approx(right.makespan)


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_engine_is_as_fast_as_a_list_schedule(shard):
    """If all durations are known, every phase begins as early as in the list schedule."""
    for seed in range(shard, GRAPHS, SHARDS):
        check(seed)


def order_of(recipes, durations=None, *, phase=RecipePhase.INSTALL):
    """Return the order in which recipes get the only slot; each installs for a second."""
    tasks = {key: {RecipePhase.INSTALL: 1.0} for key in recipes}
    world = World(recipes, roots=tuple(recipes))
    timed = TimedRun(world, tasks, jobs=1, durations=durations or Durations())
    timed.run()
    starts = [(at, key) for (key, step), at in timed.starts.items() if step is phase]
    return [key[6:-3] for _, key in sorted(starts)]


def blueprints(needs, **details):
    """Return recipes by short names, with the dependencies of each."""
    return {
        f"local.{name}@r1": Blueprint(
            f"local.{name}@r1",
            tuple(Need("strong", f"local.{one}@r1") for one in wanted),
            **details.get(name, {}),
        )
        for name, wanted in needs.items()
    }


def test_without_durations_the_longest_chain_goes_first():
    """Without known durations, all packages count the same."""
    recipes = blueprints({"a": "", "b": "", "y": "b", "z": "y"})
    assert order_of(recipes)[0] == "b"


def test_durations_count_more_than_the_number_of_packages():
    """A package that takes long goes before a chain of brief packages."""
    recipes = blueprints({"a": "", "b": "", "y": "b", "z": "y"})
    took = {"a": 9.0, "b": 1.0, "y": 1.0, "z": 1.0}
    seconds = {f"local.{name}@r1": {RecipePhase.INSTALL: s} for name, s in took.items()}
    assert order_of(recipes, remembered(seconds)) == ["a", "b", "y", "z"]


def test_a_package_that_was_never_built_counts_as_the_average():
    """A new package counts with the average, so it is neither first nor last."""
    recipes = blueprints({"brief": "", "long": "", "new": ""})
    seconds = {
        f"local.{name}@r1": {RecipePhase.INSTALL: s} for name, s in [("brief", 10), ("long", 50)]
    }
    assert order_of(recipes, remembered(seconds)) == ["long", "new", "brief"]


def test_a_path_through_a_cached_package_counts():
    """A cached package whose run dependencies are missing delays its dependents."""
    recipes = blueprints(
        {"a": "", "b": "", "middle": "b", "y": "middle", "z": "y"}, middle={"cached": True}
    )
    assert order_of(recipes)[0] == "b"


def test_a_gate_at_a_late_phase_adds_only_later_phases():
    """Phases before the gate do not wait for the dependency."""
    early, late = RecipePhase.CHECK, RecipePhase.INSTALL
    both = {RecipePhase.BUILD: 100.0, RecipePhase.INSTALL: 1.0}
    tasks = {
        "local.a@r1": Task({RecipePhase.INSTALL: 1.0}),
        "local.b@r1": Task({RecipePhase.INSTALL: 1.0}),
        "local.ya@r1": Task(both, {"local.a@r1": late}),
        "local.yb@r1": Task(both, {"local.b@r1": early}),
    }
    timed = TimedRun(world_of(tasks), {key: task.seconds for key, task in tasks.items()}, jobs=1)
    timed.run()
    starts = timed.starts
    assert starts["local.b@r1", RecipePhase.INSTALL] < starts["local.a@r1", RecipePhase.INSTALL]


def test_dependencies_of_a_failed_check_are_on_the_path_of_its_dependents():
    """Build dependencies that are wanted late are on the path of the dependents of their owner."""
    needs = (
        Need("strong", "local.tool@r1", needed_by=RecipePhase.INSTALL, use=DependencyUse.BUILD),
    )
    recipes = blueprints({"tool": "", "a": "", "b": "", "z": "b"})
    for name in ("m", "n"):
        recipes[f"local.{name}@r1"] = Blueprint(f"local.{name}@r1", needs, user_managed=True)
    seconds = {key: {RecipePhase.INSTALL: 1.0} for key in recipes}
    seconds["local.m@r1"] = {RecipePhase.INSTALL: 100.0}
    recipes["local.a@r1"] = Blueprint(
        "local.a@r1", (Need("strong", "local.m@r1"), Need("strong", "local.n@r1"))
    )
    timed = TimedRun(World(recipes, roots=("local.a@r1", "local.z@r1")), seconds, jobs=1)
    timed.run()
    priorities = {key.canonical: node.path_after for key, node in timed.engine.coordination.items()}
    assert priorities["local.tool@r1"] > 100


def test_a_chain_that_is_wanted_late_is_walked_once():
    """When many checks fail one after another, the same long chain is walked only once."""
    count = 300
    needs = {f"c{number}": [f"c{number - 1}"] if number else [] for number in range(count)}
    recipes = blueprints({**needs, **{f"u{number}": "" for number in range(count)}})
    timed = TimedRun(World(recipes, roots=tuple(recipes)), {}, jobs=2)
    engine, top = timed.engine, RecipeKey.parse(f"local.c{count - 1}@r1")
    walked = 0

    def gates(recipe):
        nonlocal walked
        walked += 1
        return [(edge, edge.needed_by) for edge in engine.graph.edges(recipe.key)]

    with engine.coordinator.interpreter.running():
        engine.resolve_graph([timed.specs.of(key) for key in timed.world.roots])
        engine.prepare(engine.graph.roots)
        priorities = Priorities(engine.graph, engine.coordination, Durations())
        for number in range(count):
            late = RecipeKey.parse(f"local.u{number}@r1")
            engine.coordination[late].path_after = 1000 + number / 10
            edge = Edge(
                top, RecipePhase.FETCH, DependencyUse.BUILD, "strong", SourceLocation(Path("/x"))
            )
            priorities.put_before(engine.graph.recipes[late], [(edge, edge.needed_by)], gates)
    assert engine.coordination[RecipeKey.parse("local.c0@r1")].path_after > 1000
    assert walked == count


def test_a_fetch_waits_for_no_slot_of_work():
    """Downloads continue while long work has all work slots."""
    tasks = {
        "local.long@r1": Task({RecipePhase.INSTALL: 100.0}),
        "local.a@r1": Task({RecipePhase.FETCH: 10.0, RecipePhase.INSTALL: 1.0}),
    }
    timed = TimedRun(world_of(tasks), {key: task.seconds for key, task in tasks.items()}, jobs=1)
    timed.run()
    assert timed.starts["local.a@r1", RecipePhase.FETCH] == 0


def test_a_fetch_that_was_brief_keeps_its_slot():
    """A recipe with a brief fetch is not overtaken by long work."""
    tasks = {
        "local.a@r1": Task({RecipePhase.FETCH: 0.002, RecipePhase.INSTALL: 50.0}),
        "local.b@r1": Task({RecipePhase.INSTALL: 20.0}),
    }
    timed = TimedRun(world_of(tasks), {key: task.seconds for key, task in tasks.items()}, jobs=1)
    timed.run()
    assert timed.starts["local.b@r1", RecipePhase.INSTALL] == pytest.approx(50.002)


def forecast_of(durations):
    """Return the forecast for two packages, and whether it is measured."""
    recipes = blueprints({"known": "", "new": ""})
    tasks = {key: {RecipePhase.INSTALL: 1.0} for key in recipes}
    timed = TimedRun(World(recipes, roots=tuple(recipes)), tasks, jobs=1)
    timed.run()
    expected = forecast(durations, timed.engine.graph.recipes.values())
    by_name = {key.identity[6:-3]: work for key, work in expected.work_from.items()}
    return by_name, expected.is_measured


def test_a_forecast_does_not_depend_on_what_is_installed():
    """The forecast is the same for complete packages: known seconds, or the average."""
    durations = remembered({"local.known@r1": {RecipePhase.INSTALL: 6.0}})
    work, is_measured = forecast_of(durations)
    assert is_measured
    assert work["known"][RecipePhase.INSTALL] == pytest.approx(6.0, abs=0.01)
    assert work["known"][RecipePhase.DEPLOY] == pytest.approx(0.0, abs=0.01)
    assert work["new"][RecipePhase.RECIPE_FETCH] == pytest.approx(6.0, rel=0.5)


def test_a_forecast_without_durations_counts_phases():
    """Each phase with work counts as one."""
    work, is_measured = forecast_of(Durations())
    assert not is_measured
    assert work["known"] == work["new"]
    assert work["new"][RecipePhase.INSTALL] == pytest.approx(1.0, abs=0.01)
