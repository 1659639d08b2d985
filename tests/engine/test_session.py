"""Session: the interface of the engine for commands, over graphs in memory."""

import contextlib
from types import SimpleNamespace

import pytest
from engine.in_memory import InMemory
from engine.worlds import Blueprint, Need, World

from envy.engine.session import Session
from envy.errors import EnvyError, GraphError, PhaseFailed, QueryNotFound
from envy.phase import RecipePhase

APP, LIB, SYSTEM, OTHER = "local.app@r1", "local.lib@r1", "local.system@r1", "local.other@r1"


@contextlib.contextmanager
def session_of(*blueprints, roots=(APP,)):
    """Yield a session for a manifest that lists `roots`, in a world of these recipes."""
    world = World({blueprint.key: blueprint for blueprint in blueprints}, roots=roots)
    memory = InMemory(world, seed=0, jobs=2)
    manifest = SimpleNamespace(packages=[memory.specs.of(key) for key in roots], aliases={})
    with memory.engine.coordinator.interpreter.running():
        yield Session(memory.engine, manifest)


def app(*needs, **details):
    return Blueprint(APP, tuple(Need("strong", need) for need in needs), **details)


def names(keys):
    return [key.canonical for key in keys]


def test_the_goals_without_queries_are_the_roots_of_this_platform():
    """A root that its `platforms` leave out is not a goal, and no query finds it."""
    with session_of(app(LIB), Blueprint(LIB), Blueprint(OTHER, excluded=True),
                    roots=(APP, OTHER)) as session:  # fmt: skip
        assert names(session.resolved()) == [APP]
        assert names(session.resolved(["lib"])) == [LIB]
        with pytest.raises(QueryNotFound):
            session.resolved(["local.other"])


def test_the_graph_is_resolved_once():
    """Resolving with other queries fetches nothing again."""
    with session_of(app(LIB), Blueprint(LIB)) as session:
        session.resolved()
        assert names(session.resolved(["app"])) == [APP]
        assert names(recipe.key for recipe in session.recipes()) == [APP, LIB]
        assert names(session.roots) == [APP]


def test_a_package_is_located_by_a_query():
    """The package may be only a dependency; it must exist and have a folder."""
    with session_of(app(LIB, SYSTEM), Blueprint(LIB), Blueprint(SYSTEM, user_managed=True)) as it:
        assert it.locate("lib").key.canonical == LIB
        with pytest.raises(GraphError, match="is user-managed"):
            it.locate("system")
        with pytest.raises(QueryNotFound):
            it.locate("absent")


def test_a_package_that_failed_is_not_located():
    """The failure of the recipe is the error of the command."""
    with session_of(app(fails_in=RecipePhase.RECIPE_FETCH)) as session:
        with pytest.raises(PhaseFailed):
            session.locate(APP)
        assert [failure.key for failure in session.failures()] == [APP]


def test_missing_packages_are_named_and_not_installed():
    """Only packages that are in the cache count as installed."""
    with session_of(app(LIB, cached=True), Blueprint(LIB)) as session:
        goals = session.resolved()
        with pytest.raises(EnvyError, match=r"not installed: local\.lib@r1"):
            session.require_installed(goals)
        assert session.phase_of(goals[0]) is RecipePhase.RECIPE_FETCH


def test_goals_are_installed_with_what_they_need():
    """There is a result for each wanted package, and then all of it is complete."""
    with session_of(app(LIB), Blueprint(LIB)) as session:
        results = session.install(session.resolved())
        assert names(result.key for result in results) == [APP, LIB]
        assert all(session.is_complete(result.key) for result in results)
        assert session.failures() == []
        assert session.cancellation is None
