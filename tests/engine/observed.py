"""The outcome of a world, in the engine and in the model, in one form for comparison."""

from __future__ import annotations

from dataclasses import dataclass

from engine.in_memory import InMemory
from engine.model import Failure, Model, Refused
from engine.worlds import World

from envy import events as ev
from envy.declarations.key import RecipeKey
from envy.errors import (
    AmbiguousReferences,
    Cancelled,
    CycleError,
    DependencyFailed,
    EnvyError,
    InternalError,
    MissingReferences,
    PhaseFailed,
)
from envy.phase import RecipePhase


@dataclass
class Observed:
    """One run: its error as a whole, if any, the graph, and the outcome of each recipe."""

    error: object
    graph: dict[str, object]
    choices: set[tuple[str, str, str, bool]]
    ran: dict[str, list[RecipePhase]]
    failures: dict[str, Failure]
    outcomes: dict[str, str]
    wanted: set[str]


def expected(world: World) -> Observed:
    """Return the outcome in the model."""
    model = Model(world)
    error: object = None
    try:
        model.resolve()
        model.run()
    except Refused as refused:
        error = (refused.sort, refused.about)
    nodes = model.graph.items()
    return Observed(
        error=error,
        graph={
            key: [
                [(x.target, x.needed_by, x.use, x.kind, x.product) for x in links]
                for links in (node.links, node.source_links)
            ]
            for key, node in nodes
        },
        choices={
            (wish.owner, wish.text, wish.provider, wish.by_fallback)
            for _, node in nodes
            for wish in node.wishes
            if wish.provider
        },
        ran={key: node.ran for key, node in nodes if node.ran},
        failures={key: node.failure for key, node in nodes if node.failure},
        outcomes={key: node.outcome for key, node in nodes if node.outcome},
        wanted={key for key, node in nodes if node.wanted},
    )


def observed(memory: InMemory, error: EnvyError | None) -> Observed:
    """Return the outcome in the engine."""
    engine = memory.engine
    ran: dict[str, list[RecipePhase]] = {}
    for row in memory.recording.rows:
        if isinstance(row.event, ev.PhaseStart):
            ran.setdefault(row.event.key, []).append(row.event.phase)
    graph = engine.graph
    recipes = graph.recipes.values()
    failures = {
        key.canonical: failure
        for key, node in engine.coordination.items()
        if (failure := _failure(node.failure)) is not None
    }
    return Observed(
        error=_described(error),
        graph={
            recipe.key.canonical: [
                [(x.key.canonical, x.needed_by, x.use, x.kind, x.product) for x in edges]
                for edges in (graph.edges(recipe.key), graph.source_edges(recipe.key))
            ]
            for recipe in recipes
        },
        choices={
            (row.owner.canonical, row.text, row.provider.canonical, row.by_fallback)
            for row in graph.all_references()
            if row.provider
        },
        ran=ran,
        failures=failures,
        outcomes={
            recipe.key.canonical: recipe.work.outcome.value
            for recipe in recipes
            if recipe.work.outcome and engine.coordination.is_complete(recipe.key)
        },
        wanted={recipe.key.canonical for recipe in engine.wanted()},
    )


def _failure(error: Exception | None) -> Failure | None:
    if error is None or isinstance(error, Cancelled):
        return None
    phases = {phase.label: phase for phase in RecipePhase}
    if isinstance(error, DependencyFailed):
        assert isinstance(error.root, PhaseFailed)
        return Failure(phases[error.phase], error.dependency, error.root.key)
    assert isinstance(error, PhaseFailed), error
    assert not isinstance(error.cause, InternalError), error
    return Failure(phases[error.phase])


def _described(error: EnvyError | None) -> object:
    if error is None or isinstance(error, Cancelled):
        return None
    if isinstance(error, CycleError):
        return ("cycle", [key for key, _, _ in error.cycle])
    if isinstance(error, AmbiguousReferences):
        rows = {(*_asked(text), candidates) for text, candidates in error.rows}
        return ("ambiguous", rows)
    if isinstance(error, MissingReferences):
        if any("cannot be fetched" in row for row in error.rows):
            return ("missing", None)
        return ("missing", {_asked(row) for row in error.rows})
    raise error


def _asked(text: str) -> tuple[str, str]:
    """Return the owner and query of a reference, from its description in messages."""
    query, _, rest = text.rpartition(", which ")
    return rest.partition(" needs ")[0], query.removeprefix("nothing answers to ")


def report(memory: InMemory, error: EnvyError | None) -> list[str]:
    """Return everything that a user would read at the end, in order."""
    rows = [str(error)] if error else []
    rows += [str(failure) for failure in memory.engine.failures()]
    return rows + [
        f"{r.key} {r.outcome} {r.user_managed} {r.asset_dir} {r.failure}" for r in memory.results
    ]


def check_order(memory: InMemory) -> None:
    """Check that phases run in order of `seq`, once, after their gates, and in existing slots."""
    engine = memory.engine
    done: dict[str, set[RecipePhase]] = {}
    busy = {"work": 0, "transfer": 0}
    size = {"work": engine.work_pool.size, "transfer": engine.transfer_pool.size}
    running: dict[str, RecipePhase] = {}
    last: dict[str, RecipePhase] = {}
    for row in memory.recording.rows:
        event = row.event
        if isinstance(event, ev.SlotAcquired | ev.SlotReleased):
            busy[event.pool] += 1 if isinstance(event, ev.SlotAcquired) else -1
            assert 0 <= busy[event.pool] <= size[event.pool]
        elif isinstance(event, ev.PhaseStart):
            assert event.key not in running
            assert event.phase > last.get(event.key, RecipePhase.NONE)
            running[event.key] = last[event.key] = event.phase
            _check_gates(memory, event, done)
        elif isinstance(event, ev.PhaseComplete | ev.PhaseFailure):
            # A recipe that fails because of the graph fails between its phases.
            assert running.pop(event.key, event.phase) == event.phase
            if isinstance(event, ev.PhaseComplete):
                done.setdefault(event.key, set()).add(event.phase)


def _check_gates(memory: InMemory, event: ev.PhaseStart, done: dict[str, set[RecipePhase]]) -> None:
    blueprint = memory.world.recipes[event.key]
    graph, key = memory.engine.graph, RecipeKey.parse(event.key)
    if event.phase is RecipePhase.RECIPE_FETCH:
        waits_for = () if blueprint.brought else graph.source_edges(key)
    elif blueprint.cached and (not blueprint.gone or event.phase is RecipePhase.CHECK):
        is_last = event.phase is RecipePhase.COMPLETION
        waits_for = [edge for edge in graph.edges(key) if is_last and edge.use.value == "run"]
    else:
        waits_for = [edge for edge in graph.edges(key) if edge.needed_by <= event.phase]
    if blueprint.user_managed and event.phase is not RecipePhase.RECIPE_FETCH:
        unneeded = blueprint.satisfied or event.phase is RecipePhase.CHECK
        waits_for = [
            edge
            for edge in waits_for
            if edge.use.value == "run" or edge.needed_by <= RecipePhase.CHECK or not unneeded
        ]
    for edge in waits_for:
        assert RecipePhase.COMPLETION in done.get(edge.key.canonical, set()), (event, edge)
