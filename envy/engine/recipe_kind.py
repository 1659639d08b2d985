"""RecipeKind: how the scheduler drives a recipe through its phases, with events and failures."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from envy.cache.failure import note_failure
from envy.declarations.locations import location_in_file
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.declarations.spec import BUNDLED
from envy.engine.cancellation import Cancellation
from envy.engine.priorities import fetches_briefly, note_duration
from envy.engine.record import begin_phase
from envy.errors import (
    ArchiveError,
    Cancelled,
    DeclarationError,
    DependencyFailed,
    FetchError,
    PhaseFailed,
    ScriptFailed,
    SourceLocation,
    wrap_unknown_error,
)
from envy.execution.entry_lock import needs_deploy, release_entry, resume_entry
from envy.execution.log import log_tail
from envy.execution.recipe_events import RecipeEvents, phase_complete, phase_start
from envy.execution.recipe_lua import ensure_functions, needs_functions, release_lua_state
from envy.execution.secrets import mask_error
from envy.execution.services import PhaseServices
from envy.graph.recipe import Outcome, Recipe
from envy.phase import RecipePhase
from envy.scheduler.coordination import Coordination
from envy.scheduler.pool import Pool
from envy.transport.context import Offline

_CACHED_SKIPS = frozenset(
    {RecipePhase.FETCH, RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.INSTALL}
)
# Looked up here: RecipePhase(number) takes longer than the rest of `run` for an idle phase.
_STEPS = tuple(step for step in RecipePhase if step >= 0)
_AROUND_TRANSFERS = frozenset({RecipePhase.CHECK, RecipePhase.FETCH})
_CHANGED = frozenset({Outcome.CHANGED, Outcome.UNCONFIRMED})
_USER_MANAGED_SKIPS = frozenset({RecipePhase.FETCH, RecipePhase.STAGE, RecipePhase.BUILD})


_ABOUT_THE_RECIPE = (ScriptFailed, FetchError, ArchiveError, DeclarationError)


class RecipeKind:
    """The kind of node that the scheduler uses for recipes."""

    last_phase = int(RecipePhase.COMPLETION)

    def __init__(
        self,
        engine: PhaseServices,
        phases: Mapping[int, Callable[[Recipe, PhaseServices], None]],
        cancellation: Cancellation,
        *,
        work: Pool[Coordination],
        transfer: Pool[Coordination],
        on_end: Callable[[Recipe], None],
    ) -> None:
        """`on_end` is called for a recipe that has ended, whose entry is unlocked."""
        self._engine = engine
        self._on_end = on_end
        self._events = engine.services.events
        self._phases = phases
        self._cancellation = cancellation
        self._work = work
        self._transfer = transfer

    def pool(self, node: Coordination, phase: int) -> Pool[Coordination]:
        """Return the pool of a phase: transfers have their own, so that they overlap with work.

        The check before a transfer runs in the same pool, so that long work does not delay it.
        """
        if phase == RecipePhase.RECIPE_FETCH:
            transfers = _is_remote(node.subject)
        else:
            transfers = phase in _AROUND_TRANSFERS and _transfers(node.subject)
        return self._transfer if transfers else self._work

    def skips(self, node: Coordination, phase: int) -> bool:
        """Return whether a phase has nothing to do for a cached or user-managed package."""
        recipe: Recipe = node.subject
        if recipe.work.cached:
            return phase in _CACHED_SKIPS or (
                phase == RecipePhase.DEPLOY and not needs_deploy(recipe)
            )
        if phase > RecipePhase.CHECK and recipe.loaded.definition.user_managed:
            if phase == RecipePhase.DEPLOY:
                return recipe.work.outcome not in _CHANGED
            return phase in _USER_MANAGED_SKIPS or (
                recipe.work.satisfied and phase == RecipePhase.INSTALL
            )
        return False

    def run(self, node: Coordination, phase: int) -> None:
        """Run one phase, between its events."""
        recipe: Recipe = node.subject
        step = _STEPS[phase]
        started = time.monotonic()
        if recipe.work.away or recipe.work.log_path is not None:
            begin_phase(recipe)
        # A trace has every phase; a console has no use for those in which nothing happens.
        heard = self._events.detailed or not _is_idle(recipe, step)
        if heard:
            phase_start(recipe, self._events, step)
        if recipe.functions.state is None and needs_functions(recipe, step):
            ensure_functions(recipe, self._engine)
        if not RecipePhase.CHECK < step <= RecipePhase.INSTALL or resume_entry(
            recipe, self._engine, step, self._phases
        ):
            self._phases[step](recipe, self._engine)
        # The work's own time: waits for locks and for an answer of the user are not in it.
        took = time.monotonic() - started - recipe.work.away
        note_duration(recipe, phase, took)
        if heard:
            phase_complete(recipe, self._events, step, took)

    def rest(self, node: Coordination) -> None:
        """Release the entry lock, which is not held while a recipe waits, rests or has failed."""
        release_entry(node.subject, self._engine)
        if node.ended or self._engine.services.open_states.is_exceeded:
            release_lua_state(node.subject, self._engine)
        if node.ended:
            self._on_end(node.subject)

    def failed(self, node: Coordination, phase: int, error: Exception) -> Exception:
        """Report an error, and return it as a failure with its location and the end of the log."""
        recipe: Recipe = node.subject
        if isinstance(error, Cancelled) or self._cancellation.reason is not None:
            return self._cancellation.reason or error
        step = RecipePhase(phase)
        error = wrap_unknown_error(error)
        mask_error(error)
        failure = PhaseFailed(
            key=recipe.key.canonical,
            phase=step.label,
            cause=error,
            where=_where(recipe, step, error),
            log_path=recipe.work.log_path,
            log_tail=log_tail(recipe.work.log_path, lines=20),
        )
        if recipe.work.attempt is not None:
            line = str(error).strip().partition("\n")[0]
            note_failure(recipe.placement.entry, f"{step.label} failed: {line}")
        RecipeEvents(recipe, self._events).phase_failed(step, error)
        self._cancellation.on_failure(failure)
        return failure

    def aborted(self, node: Coordination, phase: int, dependency: Coordination) -> Exception:
        """Return the failure of a recipe whose dependency failed; it names the root failure."""
        recipe: Recipe = node.subject
        cause = dependency.failure
        assert cause is not None
        if isinstance(cause, Cancelled):
            return cause
        RecipeEvents(recipe, self._events).aborted(dependency.name)
        release_lua_state(recipe, self._engine)
        return DependencyFailed(
            key=recipe.key.canonical,
            phase=RecipePhase(phase).label,
            dependency=dependency.name,
            root=cause.root if isinstance(cause, DependencyFailed) else cause,
        )


def _is_idle(recipe: Recipe, step: RecipePhase) -> bool:
    """Return whether the recipe has nothing to run in a phase."""
    if step is RecipePhase.BUILD:
        return recipe.loaded.definition.build is None
    if step is RecipePhase.DEPLOY:
        return recipe.loaded.definition.deploy is None
    if step is RecipePhase.STAGE:
        return recipe.loaded.definition.stage is None and not recipe.work.fetched
    return False


def _is_remote(recipe: Recipe) -> bool:
    """Return whether a transport fetches the file of a recipe, as far as its source shows."""
    source = recipe.spec.source
    if source is BUNDLED:
        return True  # the first recipe of a bundle fetches it, and the others wait for that
    if not isinstance(source, SourceItem) or ":" not in source.source:
        return False
    try:
        return scheme_of(source.source) not in {Scheme.LOCAL, Scheme.FILE}
    except DeclarationError:
        return False  # reported when the source is used


def _transfers(recipe: Recipe) -> bool:
    """Return whether a recipe fetches something that takes time."""
    if recipe.work.cached or recipe.loaded.definition.user_managed:
        return False
    sources = recipe.placement.sources
    return (sources is None or bool(sources)) and not fetches_briefly(recipe)


def _where(recipe: Recipe, step: RecipePhase, error: Exception) -> SourceLocation | None:
    """Return the location in the recipe that an error is about, unless the error has its own."""
    if isinstance(error, Offline) and error.origin:
        return error.origin
    if recipe.loaded_or_none is None or not isinstance(error, _ABOUT_THE_RECIPE):
        return None
    definition = recipe.loaded.definition
    if isinstance(error, DeclarationError) and error.origin:
        return None
    # A phase without a function or script works on what an earlier phase has requested.
    verbs = [RecipePhase(number).label for number in range(step, RecipePhase.RECIPE_FETCH, -1)]
    declared = next((verb for verb in verbs if getattr(definition, verb, None) is not None), None)
    return location_in_file(definition.path, declared) if declared else None
