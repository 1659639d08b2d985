"""The report of failures, failing of recipes, and the early end of a run."""

import threading

import pytest
from engine.satellites import NotingCoordinator, coordinated
from small_graphs import ORIGIN, graph_of, key_of

from envy.engine.cancellation import Cancellation
from envy.engine.failures import Failures, is_left_out
from envy.errors import Cancelled, EnvyError, PhaseFailed, StoppedEarly
from envy.phase import RecipePhase


class Failing:
    """A graph from the root `app`, and the failures of its recipes."""

    def __init__(self):
        self.graph = graph_of({"app": ["lib", "x"], "lib": ["c"], "c": [], "x": []})
        self.graph.roots.append(key_of("app"))
        self.coordination = coordinated(self.graph)
        self.failures = Failures(self.graph, self.coordination)

    def fail(self, name, text="no"):
        self.coordination.fail(key_of(name), EnvyError(text), phase=RecipePhase.BUILD)
        return self.coordination.failure(key_of(name))

    def abort(self, name, dependency):
        self.coordination.abort(
            key_of(name), dependency=key_of(dependency), phase=RecipePhase.CHECK
        )


class NotingChildren:
    ended = 0

    def terminate_all(self):
        self.ended += 1


def test_a_failure_names_the_path_of_declarations_to_the_recipe():
    """The failure shows the shortest path from the manifest; a root has no path."""
    world = Failing()
    world.fail("c")
    world.fail("app")
    needed = "local.app@r1 → local.lib@r1"
    assert world.failures.of(key_of("c")).chain == (f"declared in {ORIGIN}, needed by {needed}",)
    assert world.failures.of(key_of("app")).chain == (f"declared in {ORIGIN}",)
    assert world.failures.of(key_of("x")) is None


def test_all_failures_are_listed_in_key_order():
    """Recipes that were set aside, and recipes aborted because of those, are not failures."""
    world = Failing()
    world.fail("lib")
    world.fail("c")
    world.coordination.set_aside(key_of("x"), "its tools are missing")
    world.abort("app", "x")
    assert [failure.key for failure in world.failures.all()] == ["local.c@r1", "local.lib@r1"]
    assert [failure.key for failure in world.failures.left_out()] == ["local.x@r1"]
    assert is_left_out(world.coordination.failure(key_of("app")))


def test_a_failed_recipe_stays_failed():
    """A second error does not replace the first."""
    world = Failing()
    first = world.fail("c", "first")
    assert world.fail("c", "second") is first
    assert world.coordination.failed() == [key_of("c")]


def test_a_pause_ends_with_the_run():
    """A thread that pauses continues as soon as the run is cancelled."""
    cancellation = Cancellation(NotingCoordinator(), NotingChildren())
    cancellation.pause(0)
    paused = threading.Thread(target=cancellation.pause, args=(60,))
    paused.start()
    cancellation.cancel(Cancelled("cancelled"))
    paused.join(300)
    assert not paused.is_alive()


def test_the_first_reason_ends_the_run():
    """Children are ended once, and the coordinator is cancelled with the same reason."""
    scheduler, children = NotingCoordinator(), NotingChildren()
    cancellation = Cancellation(scheduler, children)
    cancellation.raise_if_cancelled()
    first = Cancelled("cancelled")
    cancellation.cancel(first)
    cancellation.cancel(Cancelled("again"))
    assert (cancellation.reason, scheduler.cancelled, children.ended) == (first, first, 1)
    with pytest.raises(Cancelled) as caught:
        cancellation.raise_if_cancelled()
    assert caught.value is first


@pytest.mark.parametrize("fail_fast", [False, True])
def test_only_with_fail_fast_a_failure_ends_the_run(fail_fast):
    """The reason names the recipe."""
    cancellation = Cancellation(NotingCoordinator(), NotingChildren(), fail_fast=fail_fast)
    failure = PhaseFailed(key="local.a@r1", phase="build", cause=EnvyError("no"))
    cancellation.on_failure(failure)
    assert isinstance(cancellation.reason, StoppedEarly) == fail_fast
    assert not fail_fast or "local.a@r1" in str(cancellation.reason)
