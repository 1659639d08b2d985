"""Shared entries: takes missing entries from depots before anything is built.

A package that a depot has needs no build dependencies. So what the goals want is decided anew after
each round: a round asks the depots for every missing entry that would be wanted by then, all at
once. Packages that only a build needs are asked for when the depots lack what they would build.
An entry is asked for once more when the work on it begins, after its dependencies are complete:
another machine may have stored it since.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from envy.cache.layout import EntryPaths
from envy.cache.lock import FileLock
from envy.cache.read import lookup, read_marker
from envy.cache.relocate import why_not_relocatable
from envy.declarations.key import RecipeKey
from envy.engine.demand import Demand
from envy.engine.record import mark_taken
from envy.engine.uploads import Uploads, brief_context, each_of
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.interpreter import released
from envy.keying.find_entry import look_up

if TYPE_CHECKING:
    from envy.sharing.place import EntryPlace, SharedPlaces


_ASKED_AGAIN_AFTER = 1.0  # seconds


class SharedEntries:
    """Takes entries for the goals of a command; `uploads` stores what it builds."""

    def __init__(self, demand: Demand, engine: PhaseServices, sharing: SharedPlaces) -> None:
        self._demand = demand
        self._engine = engine
        self._sharing = sharing
        self._asked: dict[str, float] = {}  # when, by entry key
        self._has_said_unasked = False
        self._unusable: set[str] = set()  # entry keys of what places have in vain
        self.uploads = Uploads(engine, sharing)

    def take(self, goals: Sequence[RecipeKey]) -> None:
        """Take every missing entry that the goals want and a depot has.

        Raises:
            Cancelled: the run was cancelled; CacheError: the cache cannot be written.
        """
        self._say_unasked(goals)
        while due := self._due(goals):
            self._asked.update(dict.fromkeys((one.entry_key for one in due), time.monotonic()))
            self._ask_ahead(due)
            answers = each_of(due, self._take_one, at_once=self._engine.services.fetch_jobs)
            for recipe, is_taken in zip(due, answers, strict=True):
                look_up(recipe, self._engine)
                if is_taken and recipe.work.cached:
                    mark_taken(recipe)
        for place in self._sharing.asked:
            place.end_asking()

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
                brief_context(missing[0], self._engine).warn(self._sharing.unasked)

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
        context = brief_context(recipes[0], self._engine)
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
            return self._take_from_places(recipe)
        finally:
            lock.release()

    def take_late(self, recipe: Recipe) -> bool:
        """Take an entry that was missing when this run began, and is to be worked on now.

        Another machine may have stored it since. The caller holds its lock, and there is no attempt
        at it yet. What a place had, but could not be used, is not asked for again.
        """
        key = recipe.entry_key
        asked = self._asked.get(key)
        if asked is None or time.monotonic() - asked < _ASKED_AGAIN_AFTER:
            return False
        if key in self._unusable or all(place.is_off for place in self._sharing.asked):
            return False
        self._asked[key] = time.monotonic()
        found: list[bool] = []
        places = " and ".join(place.shown for place in self._sharing.asked)
        self._engine.wait_without_slot(
            recipe,
            f"its entry, which {places} may have",
            lambda: found.append(self._take_from_places(recipe)),
        )
        if found[0]:
            look_up(recipe, self._engine)
            mark_taken(recipe)
        return found[0]

    def _take_from_places(self, recipe: Recipe) -> bool:
        placement, services = recipe.placement, self._engine.services
        events = RecipeEvents(recipe, services.events)
        context = brief_context(recipe, self._engine)
        for place in self._sharing.asked:
            taken = place.take(services.layout, placement.entry, placement.entry_key, context)
            if not taken.missed:
                events.entry_taken(place.shown, taken.size, taken.seconds)
                return True
            events.entry_not_taken(place.shown, taken.missed)
            if taken.missed != taken.ABSENT:
                self._unusable.add(placement.entry_key)
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


def _is_here(entry: EntryPaths, key: str) -> bool:
    """Return whether an entry is complete, perhaps made under another root and to be rewritten."""
    marker = read_marker(entry)
    if marker is None or marker.key_hex != key:
        return False
    return lookup(entry, key).hit or not why_not_relocatable(entry)
