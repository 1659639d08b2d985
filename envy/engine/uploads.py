"""Uploads: stores entries in depots, while other packages are still being built.

What one machine has stored, others need not build. So an entry is stored as soon as its recipe is
complete, beside the rest of the run, and the end of the run waits for what is still under way.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from envy.cache.verify import check_sound
from envy.errors import CacheError, Cancelled, EnvyError
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.execution.transfer import fetch_context
from envy.graph.recipe import Outcome, Recipe
from envy.interpreter import released
from envy.transport.context import FetchContext
from envy.transport.idle import VARIABLE as IDLE

if TYPE_CHECKING:
    from envy.sharing.place import SharedPlaces

_RETRIES = 1
_SILENCE = "4"  # seconds; building here is the alternative
_AT_ONCE = 4  # uploads; each also compresses
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """The result of storing the entry of a package: the bytes that were sent to all places."""

    recipe: Recipe
    is_stored: bool
    size: int


class Uploads:
    """The uploads of one command. `begin` may be called from any thread."""

    def __init__(self, engine: PhaseServices, sharing: SharedPlaces) -> None:
        self._engine = engine
        self._sharing = sharing
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._begun: set[str] = set()  # entry keys
        self._under_way: dict[str, Future[StoredEntry]] = {}  # by the keys of recipes

    def begin(self, recipe: Recipe) -> None:
        """Start to store the entry of a complete recipe, if it was built in this run."""
        if not self._sharing.writes or recipe.work.outcome is not Outcome.INSTALLED:
            return
        with self._lock:
            if recipe.entry_key in self._begun:
                return
            self._begun.add(recipe.entry_key)
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_AT_ONCE, "envy-upload")
            self._under_way[recipe.key.canonical] = self._pool.submit(self._store, recipe)

    def finish(self, *, is_cancelled: bool) -> None:
        """Wait for what was begun; if the run was cancelled, only for what cannot be stopped.

        What could not be stored was a warning.

        Raises:
            Cancelled: the run was cancelled while this waited.
        """
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is None:
            return
        with released():
            pool.shutdown(cancel_futures=is_cancelled)
        with self._lock:
            ended, self._under_way = list(self._under_way.values()), {}
        errors = [future.exception() for future in ended if not future.cancelled()]
        error = next((error for error in errors if error is not None), None)
        if error is not None and not is_cancelled:
            raise error

    def describe_waits(self) -> list[str]:
        """Return a line for each upload that has not ended; may be called from any thread."""
        with self._lock:
            names = [name for name, future in self._under_way.items() if not future.done()]
        where = " and ".join(place.shown for place in self._sharing.writes)
        return [f"{name} is being stored in {where}" for name in sorted(names)]

    def store(self, recipes: Iterable[Recipe]) -> list[StoredEntry]:
        """Store complete entries in the places that are written to, each once, patiently.

        What cannot be stored is a warning.
        """
        rows = {one.entry_key: one for one in recipes if not one.user_managed}
        return each_of(list(rows.values()), self._store_patiently, at_once=_AT_ONCE)

    def _store(self, recipe: Recipe) -> StoredEntry:
        return self._stored(recipe, brief_context(recipe, self._engine))

    def _store_patiently(self, recipe: Recipe) -> StoredEntry:
        return self._stored(recipe, replace(fetch_context(recipe, self._engine), kept=None))

    def _stored(self, recipe: Recipe, context: FetchContext) -> StoredEntry:
        events = RecipeEvents(recipe, self._engine.services.events)
        is_stored, sent = True, 0
        for place in self._sharing.writes:
            if place.is_off or place.takes_nothing:
                is_stored = False  # which was said when that was found
                continue
            started = time.monotonic()
            try:
                # Others could not use what was damaged here, nor store it: the first object stays.
                check_sound(recipe.placement.entry, doing=f"store {recipe.key}")
                size = place.push(
                    recipe.placement.entry, context, workers=0, sign=self._sharing.sign
                )
            except Cancelled:
                raise
            except EnvyError as error:
                place.report(error, context)
                is_stored = False
            else:
                sent += size
                events.entry_stored(place.shown, size, time.monotonic() - started)
        return StoredEntry(recipe=recipe, is_stored=is_stored, size=sent)


def brief_context(recipe: Recipe, engine: PhaseServices) -> FetchContext:
    """Return the context of a transfer that is soon given up: building is the alternative."""
    context = fetch_context(recipe, engine)
    environment = {IDLE: _SILENCE, **context.environment}
    return replace(context, kept=None, retries=_RETRIES, environment=environment)


def each_of(
    recipes: Sequence[Recipe], work: Callable[[Recipe], _Answer], *, at_once: int
) -> list[_Answer]:
    """Return the result of `work` for each recipe, in their order.

    Raises:
        EnvyError: one failed; the others were tried nevertheless.
    """
    if len(recipes) <= 1:
        return [work(recipe) for recipe in recipes]
    with released(), ThreadPoolExecutor(min(at_once, len(recipes)), "envy-depot") as pool:
        answers = list(pool.map(_kept_error(work), recipes))
    errors = [answer for answer in answers if isinstance(answer, EnvyError)]
    if errors:
        raise next((e for e in errors if isinstance(e, Cancelled | CacheError)), errors[0])
    return [answer for answer in answers if not isinstance(answer, EnvyError)]


def _kept_error(work: Callable[[Recipe], _Answer]) -> Callable[[Recipe], _Answer | EnvyError]:
    """Return a function that returns an error in the place of raising it: every recipe is tried."""

    def attempt(recipe: Recipe) -> _Answer | EnvyError:
        try:
            return work(recipe)
        except EnvyError as error:
            return error

    return attempt
