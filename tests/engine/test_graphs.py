"""Whole graphs: the engine, with real threads and phases in memory, against the model.

ENVY_SOAK_GRAPHS says how many graphs (1,000), ENVY_SOAK_SEED from where on: `make soak` takes
another one each time.
"""

import os
import random
import threading

import pytest
from engine.in_memory import InMemory
from engine.model import Model, Refused
from engine.observed import check_order, expected, observed, report
from engine.worlds import Blueprint, Need, Shape, World, draw_world, seeded_world
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from envy.declarations.spec import DependencyUse
from envy.errors import Cancelled, EnvyError, InternalError, PhaseFailed
from envy.phase import RecipePhase

GRAPHS = int(os.environ.get("ENVY_SOAK_GRAPHS", "1000"))
SEED = int(os.environ.get("ENVY_SOAK_SEED", "0"))
SHARDS = 8
LENGTH = 700  # bytes; most worlds need fewer
LARGE = Shape(least=300, most=300)


def run(world, *, schedule, jobs, **options):
    """Run a world; return the run and the error that ended it, if any."""
    memory = InMemory(world, seed=schedule, jobs=jobs, **options)
    return memory, ended(memory)


def ended(memory):
    """Run to the end, and check that nothing is left: no worker, no slot, no hang."""
    error = None
    try:
        memory.run()
    except InternalError:
        raise  # the coordinator has found a hang
    except EnvyError as raised:
        error = raised
    assert all(result.outcome or result.failure for result in memory.results)
    coordinator = memory.engine.coordinator
    coordinator.wait_until_idle()
    assert coordinator.activity() == []
    assert memory.engine.work_pool.busy == memory.engine.transfer_pool.busy == 0
    for node in memory.engine.coordination.values():
        cause = getattr(node.failure, "cause", None)
        assert not isinstance(cause, InternalError), cause
    return error


def check_world(world, schedule):
    """Check that the engine agrees with the model under two schedules, with equal reports."""
    right = expected(world)
    reports = []
    for jobs in (1 + schedule % 2, 3 + schedule % 2):
        memory, error = run(world, schedule=schedule + jobs, jobs=jobs)
        found = observed(memory, error)
        assert found == right
        check_order(memory)
        reports.append(report(memory, error))
    assert reports[0] == reports[1]


def check_fail_fast(world, schedule):
    """Check that a run with --fail-fast ends, and runs and reports only what a whole run would."""
    right = expected(world)
    memory, error = run(world, schedule=schedule, jobs=1 + schedule % 4, fail_fast=True)
    found = observed(memory, error)
    roots = {key for key, failure in right.failures.items() if not failure.dependency}
    stopped = memory.engine.stopped()
    failed = {key for key, failure in found.failures.items() if not failure.dependency}
    if stopped:
        assert failed
    if failed:
        assert stopped
    if not roots:
        assert found.error == right.error
    check_subset(found, right)


def check_cancelled(world, schedule, *, at, from_outside):
    """Check that a cancellation at any moment ends everything, and that nothing more begins."""
    memory = InMemory(world, seed=schedule, jobs=1 + schedule % 4)
    memory.cancel_at = at
    threads = []

    def cancel():
        reason = Cancelled("stop")
        if not from_outside:
            memory.engine.cancel(reason)
            return
        threads.append(threading.Thread(target=memory.engine.cancel, args=(reason,)))
        threads[0].start()

    memory.on_cancel = cancel
    error = ended(memory)
    for thread in threads:
        thread.join()
    if not from_outside and memory.phases_run >= at:
        wanted = [memory.engine.coordination[recipe.key] for recipe in memory.engine.wanted()]
        assert isinstance(error, Cancelled) or all(node.ended for node in wanted)
    check_subset(observed(memory, error), expected(world))


def check_subset(found, right):
    """Check that a run that was ended early ran only phases that a whole run would have run."""
    for key, phases in found.ran.items():
        assert set(phases) <= set(right.ran.get(key, ())), key
    for key, outcome in found.outcomes.items():
        assert right.outcomes[key] == outcome


def from_bytes(content):
    """Return a source of integers that uses one byte for each: separate draws cost too much.

    Zero is the simplest choice, and is returned when the bytes are used up.
    """
    rest = iter(content)

    def integer(low, high):
        return low + (next(rest, 0) * (high - low + 1) >> 8)

    return integer


def over(count, shard, check):
    """Check a property of `count` worlds and schedules, drawn by hypothesis."""

    @seed(SEED * 1000 + shard)
    @settings(
        max_examples=max(1, count),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=LENGTH, max_size=LENGTH), st.integers(0, 10_000))
    def graphs(content, schedule):
        check(draw_world(from_bytes(content)), schedule)

    graphs()


@pytest.mark.parametrize("shard", range(SHARDS))
def test_the_engine_agrees_with_the_model(shard):
    """For any world, schedule and number of jobs, the outcome is that of the model: graph,
    choices, cycle, errors, phases, failures and reports."""
    over(GRAPHS // SHARDS, shard, check_world)


@pytest.mark.parametrize("shard", range(max(1, GRAPHS // 400)))
def test_the_engine_agrees_with_the_model_on_large_graphs(shard):
    """The engine also agrees with the model on graphs of three hundred recipes."""
    dice = random.Random(f"{SEED} {shard}")
    for _ in range(8):
        number = dice.randrange(2**32)
        print("world", number)
        check_world(seeded_world(number, LARGE), number % 10_000)


@pytest.mark.parametrize("shard", range(2))
def test_fail_fast_ends_everything(shard):
    """After the first failure no phase begins, running phases end, and waiting threads wake."""
    over(GRAPHS // 8, shard, check_fail_fast)


@pytest.mark.parametrize("from_outside", [False, True])
def test_a_cancellation_ends_everything(from_outside):
    """After a cancellation at any moment, from any thread, no worker and no slot is left."""

    def check(world, schedule):
        at = 1 + schedule % 40
        check_cancelled(world, schedule, at=at, from_outside=from_outside)

    over(GRAPHS // 8, int(from_outside), check)


# -- single worlds -------------------------------------------------------------------------------


def world_of(*blueprints, roots=1, **options):
    """A world whose first recipes are the roots."""
    keys = [one.key for one in blueprints]
    return World({one.key: one for one in blueprints}, tuple(keys[:roots]), **options)


def recipe(name, *needs, **options):
    return Blueprint(f"local.{name}@r1", tuple(needs), **options)


def strong(name, **options):
    return Need("strong", f"local.{name}@r1", **options)


def weak(query, name, **options):
    return Need("weak", f"local.{name}@r1", query, **options)


WORLDS = {
    "two unequal cycles at once": world_of(
        recipe("top", strong("a"), strong("x")),
        recipe("a", strong("b")),
        recipe("b", strong("c")),
        recipe("c", strong("a")),
        recipe("x", strong("y")),
        recipe("y", strong("x")),
    ),
    "two roots that depend on each other": world_of(
        recipe("a", strong("b")), recipe("b", strong("a")), roots=2
    ),
    "a recipe that depends on itself": world_of(recipe("a", strong("a"))),
    "a cycle that a custom source closes": world_of(
        recipe("a", source=(strong("b"),)), recipe("b", strong("a"))
    ),
    "a cycle that a fallback closes": world_of(
        recipe("a", strong("b")), recipe("b", weak("none", "a"))
    ),
    "a weak reference behind a held source": world_of(
        recipe("a", source=(strong("tool"),)),
        recipe("tool", weak("ninja", "fallback")),
        recipe("fallback"),
    ),
    "a weak reference that only a held source answers": world_of(
        recipe("a", source=(strong("tool"),)),
        recipe("b", weak("ninja", "fallback")),
        recipe("tool"),
        recipe("fallback"),
        recipe("ninja"),
        roots=2,
    ),
    "two fallbacks for one query": world_of(
        recipe("a", weak("ninja", "one")),
        recipe("b", weak("ninja", "two")),
        recipe("one"),
        recipe("two"),
        roots=2,
    ),
    "a fallback that answers what another is still looking for": world_of(
        recipe("a", weak("b1", "b1")),
        recipe("b", Need("required", query="late")),
        recipe("b1", weak("late", "late")),
        recipe("late"),
        roots=2,
    ),
    "a fallback for another platform": world_of(
        recipe("a", weak("ninja", "ninja", fallback_here=False)), recipe("ninja")
    ),
    "a tool that is not for this platform": world_of(
        recipe("a", source=(strong("tool"),)), recipe("tool", excluded=True)
    ),
    "a tool of a custom source that fails": world_of(
        recipe("a", source=(strong("tool"),)), recipe("tool", fails_in=RecipePhase.BUILD)
    ),
    "a recipe that fails when it has been read": world_of(
        recipe("a", weak("ninja", "one")),
        recipe("b", strong("ninja"), fails_in=RecipePhase.RECIPE_FETCH, fails_late=True),
        recipe("ninja"),
        recipe("one"),
        roots=2,
    ),
    "a source of a shared recipe that needs a local one": world_of(
        recipe("a", Need("strong", "lib.x@r1")),
        recipe("b", Need("strong", "lib.x@r1")),
        Blueprint("lib.x@r1", source=(strong("tool"),)),
        recipe("tool"),
        roots=2,
    ),
}


@pytest.mark.parametrize("name", WORLDS)
def test_a_single_world(name):
    """The engine agrees with the model on worlds that earlier engines got wrong."""
    for schedule in range(12):
        check_world(WORLDS[name], schedule)


def test_recipes_that_become_wanted_late_are_waited_for():
    """If a recipe wants more in its check and then fails, the run waits for those recipes."""
    late = strong("slow", use=DependencyUse.BUILD, needed_by=RecipePhase.COMPLETION)
    world = world_of(
        recipe("a", late, cached=True, gone=True, fails_in=RecipePhase.INSTALL), recipe("slow")
    )
    for schedule in range(20):
        memory = InMemory(world, seed=schedule, jobs=2)
        memory.run()
        results = {result.key.canonical: result for result in memory.results}
        assert results["local.slow@r1"].outcome is not None
        assert isinstance(results["local.a@r1"].failure, PhaseFailed)


def test_the_worlds_are_varied():
    """The drawn worlds cover all kinds of graphs, references, failures and errors."""
    seen = dict.fromkeys(("fine", "failed", "cycle", "missing", "ambiguous"), 0)
    kinds, bound = set(), set()
    for number in range(600):
        world = seeded_world(number)
        model = Model(world)
        sort = "fine"
        try:
            model.resolve()
            model.run()
        except Refused as refused:
            sort = refused.sort
        else:
            if any(node.failure for node in model.graph.values()):
                sort = "failed"
        seen[sort] += 1
        for node in model.graph.values():
            kinds |= {(link.kind, link.use) for link in node.links + node.source_links}
            bound |= {(w.need.kind, w.of_source, w.by_fallback) for w in node.wishes if w.provider}
    assert all(count >= 3 for count in seen.values()), seen
    assert len(kinds) >= 7
    assert bound >= {("weak", True, True), ("weak", True, False), ("required", True, False)}
