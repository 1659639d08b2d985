"""Shared entries: takes missing entries from depots before anything is built, and stores new ones.

A package that a depot has needs no build dependencies. So what the goals want is decided anew after
each round: a round asks the depots for every missing entry that would be wanted by then, all at
once. Packages that only a build needs are asked for when the depots lack what they would build.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from envy.cache.layout import EntryPaths
from envy.cache.lock import FileLock
from envy.cache.read import lookup, read_marker
from envy.cache.relocate import why_not_relocatable
from envy.cache.verify import check_sound
from envy.declarations.key import RecipeKey
from envy.engine.demand import Demand
from envy.engine.record import mark_taken
from envy.errors import CacheError, Cancelled, EnvyError
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.execution.transfer import fetch_context
from envy.graph.recipe import Outcome, Recipe
from envy.interpreter import released
from envy.keying.find_entry import look_up
from envy.transport.context import FetchContext
from envy.transport.idle import VARIABLE as IDLE

if TYPE_CHECKING:
    from envy.sharing.place import EntryPlace, SharedPlaces

_RETRIES = 1
_SILENCE = "4"  # seconds; building here is the alternative
_UPLOADS = 4  # at once; each also compresses
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """The result of storing the entry of a package: the bytes that were sent to all places."""

    recipe: Recipe
    is_stored: bool
    size: int


class SharedEntries:
    """Takes and stores entries for the goals of a command."""

    def __init__(self, demand: Demand, engine: PhaseServices, sharing: SharedPlaces) -> None:
        self._demand = demand
        self._engine = engine
        self._sharing = sharing
        self._asked: set[str] = set()  # entry keys
        self._is_patient = False
        self._has_said_unasked = False

    def take(self, goals: Sequence[RecipeKey]) -> None:
        """Take every missing entry that the goals want and a depot has.

        Raises:
            Cancelled: the run was cancelled; CacheError: the cache cannot be written.
        """
        self._say_unasked(goals)
        while due := self._due(goals):
            self._asked.update(recipe.entry_key for recipe in due)
            self._ask_ahead(due)
            answers = self._each(due, self._take_one, at_once=self._engine.services.fetch_jobs)
            for recipe, is_taken in zip(due, answers, strict=True):
                look_up(recipe, self._engine)
                if is_taken and recipe.work.cached:
                    mark_taken(recipe)

    @property
    def places(self) -> Sequence[EntryPlace]:
        """The places of entries, in the order in which they are asked."""
        return self._sharing.asked

    @property
    def written(self) -> Sequence[EntryPlace]:
        """The places in which packages are stored."""
        return self._sharing.writes

    def _due(self, goals: Sequence[RecipeKey]) -> list[Recipe]:
        """Return the missing entries to ask for, each once."""
        if all(place.is_off for place in self._sharing.asked):
            return []
        return self._missing(goals)

    def _say_unasked(self, goals: Sequence[RecipeKey]) -> None:
        """Warn, once, that a place is not asked, if something is missing that it may have."""
        if self._sharing.unasked and not self._has_said_unasked:
            missing = self._missing(goals)
            if missing:
                self._has_said_unasked = True
                self._context(missing[0]).warn(self._sharing.unasked)

    def _missing(self, goals: Sequence[RecipeKey]) -> list[Recipe]:
        """Return the missing entries for which no place was asked yet, each once."""
        found: dict[str, Recipe] = {}
        for recipe in self._demand.would_want(goals, self._is_missing):
            placement = recipe.placement_or_none
            if placement is None or recipe.user_managed or recipe.work.cached:
                continue
            if placement.entry_key in self._asked:
                look_up(recipe, self._engine)  # another package of this entry may have been taken
            else:
                found.setdefault(placement.entry_key, recipe)
        return list(found.values())

    def _ask_ahead(self, recipes: Sequence[Recipe]) -> None:
        wanted = [(one.placement.entry, one.entry_key) for one in recipes]
        context = self._context(recipes[0])
        with released():
            for place in self._sharing.asked:
                if not place.is_off:
                    place.ask_ahead(wanted, context)

    def _is_missing(self, recipe: Recipe) -> bool:
        """Return whether an entry has work to be done: no depot has it, or it has a deploy."""
        is_built = recipe.entry_key in self._asked and not recipe.work.cached
        return is_built or recipe.work.undeployed

    def _take_one(self, recipe: Recipe) -> bool:
        """Take one entry, and return whether that was possible; runs in a thread."""
        placement, services = recipe.placement, self._engine.services
        entry, key = placement.entry, placement.entry_key
        events = RecipeEvents(recipe, services.events)
        lock = FileLock(services.layout.lock_of(entry), takes=True)
        if not self._acquire(lock, events):
            return False
        try:
            if _is_here(entry, key):
                return False
            context = self._context(recipe)
            for place in self._sharing.asked:
                taken = place.take(services.layout, entry, key, context)
                if not taken.missed:
                    events.entry_taken(place.shown, taken.size, taken.seconds)
                    return True
                events.entry_not_taken(place.shown, taken.missed)
        finally:
            lock.release()
        return False

    def _acquire(self, lock: FileLock, events: RecipeEvents) -> bool:
        """Acquire the lock of an entry; return False if another process builds it.

        Another process that takes it, too, is waited for: its build tools are not needed then.
        """
        if lock.try_acquire():
            return True
        owner = lock.owner()  # unknown only in the moment in which it is written
        if owner is not None and not owner.is_taking:
            return False
        started = time.monotonic()
        events.lock_blocked(Path(lock.path), str(owner or "another process"))
        lock.acquire(self._engine.stopped)
        events.lock_acquired(Path(lock.path), time.monotonic() - started, waited=True)
        return True

    def store_built(self, recipes: Iterable[Recipe]) -> None:
        """Store the entries that were built in this run; what fails is a warning."""
        if self._sharing.writes:
            self.store([one for one in recipes if one.work.outcome is Outcome.INSTALLED])

    def store(self, recipes: Iterable[Recipe], *, patiently: bool = False) -> list[StoredEntry]:
        """Store complete entries in the places that are written to, each once.

        What cannot be stored is a warning. A server is given up soon, unless `patiently`.
        """
        self._is_patient = patiently
        rows = {one.entry_key: one for one in recipes if not one.user_managed}
        return self._each(list(rows.values()), self._store_one, at_once=_UPLOADS)

    def _store_one(self, recipe: Recipe) -> StoredEntry:
        context = self._context(recipe)
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

    def _context(self, recipe: Recipe) -> FetchContext:
        """Return a context that soon gives a server up, unless this is to be patient."""
        context = fetch_context(recipe, self._engine)
        if self._is_patient:
            return replace(context, kept=None)
        environment = {IDLE: _SILENCE, **context.environment}
        return replace(context, kept=None, retries=_RETRIES, environment=environment)

    def _each(
        self, recipes: Sequence[Recipe], work: Callable[[Recipe], _Answer], *, at_once: int
    ) -> list[_Answer]:
        """Return the result of `work` for each recipe, in their order."""
        if len(recipes) <= 1:
            return [work(recipe) for recipe in recipes]
        from concurrent.futures import ThreadPoolExecutor

        with released(), ThreadPoolExecutor(min(at_once, len(recipes)), "envy-depot") as pool:
            answers = list(pool.map(_kept_error(work), recipes))
        errors = [answer for answer in answers if isinstance(answer, EnvyError)]
        if errors:
            raise next((e for e in errors if isinstance(e, Cancelled | CacheError)), errors[0])
        return [answer for answer in answers if not isinstance(answer, EnvyError)]


def _is_here(entry: EntryPaths, key: str) -> bool:
    """Return whether an entry is complete, perhaps made under another root and to be rewritten."""
    marker = read_marker(entry)
    if marker is None or marker.key_hex != key:
        return False
    return lookup(entry, key).hit or not why_not_relocatable(entry)


def _kept_error(work: Callable[[Recipe], _Answer]) -> Callable[[Recipe], _Answer | EnvyError]:
    """Return a function that returns an error in the place of raising it: every recipe is tried."""

    def attempt(recipe: Recipe) -> _Answer | EnvyError:
        try:
            return work(recipe)
        except EnvyError as error:
            return error

    return attempt
