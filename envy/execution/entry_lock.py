"""The right to work on an entry: its lock, and the attempt that is made under it.

And the right to work on a recipe file or, for `exclusive`, on the machine: those have locks of the
same kind, and whatever is started while a recipe has any of them is noted in each.

Guarantees
  An entry lock is tried without blocking; if somebody has it, the slot is given away while waiting.
  No entry lock is held while a recipe waits for a dependency: it is let go at a closed gate and
  taken again after. If the attempt is no longer ours then, the recipe starts over at fetch,
  reusing verified downloads; if somebody else completed it, there is nothing left to do.
  Every program that a recipe starts is known from each lock that the recipe has then: whoever takes
  one of them from a dead envy ends the program first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from envy.cache.lock import FileLock
from envy.cache.read import deploy_recorded, lookup
from envy.cache.write import begin_attempt
from envy.execution.explanation import why_missing
from envy.execution.log import log_key
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices, Services
from envy.graph.recipe import Recipe
from envy.host.children import Children
from envy.host.process_table import process_start_time
from envy.phase import RecipePhase


def acquire_lock(recipe: Recipe, engine: PhaseServices, path: Path) -> FileLock:
    """Take a lock of the cache in a recipe's worker; the slot is given away while waiting."""
    lock = FileLock(path)
    started = time.monotonic()
    events = RecipeEvents(recipe, engine.services.events)
    waits = not lock.try_acquire()
    if waits:
        owner = str(lock.owner() or "another process")
        events.lock_blocked(path, owner)
        engine.wait_without_slot(
            recipe,
            f"the lock {path}, held by {owner}",
            lambda: lock.acquire(engine.stopped),
        )
    events.lock_acquired(path, time.monotonic() - started, waited=waits)
    recipe.work.locks.append(lock)
    return lock


def release_lock(recipe: Recipe, engine: PhaseServices, lock: FileLock, since: float) -> None:
    """Let a lock go, and tell how long it was held."""
    RecipeEvents(recipe, engine.services.events).lock_released(lock.path, time.monotonic() - since)
    recipe.work.locks.remove(lock)
    lock.release()


def lock_marks(recipe: Recipe) -> dict[str, str]:
    """Variables by which a program is found, should envy die before it has noted the program."""
    return {name: mark for lock in recipe.work.locks for name, mark in lock.mark().items()}


def recorded_children(recipe: Recipe, services: Services) -> Children:
    """The registry of children for a recipe's programs; their groups are noted in its locks."""
    locks = tuple(recipe.work.locks)
    if not locks:
        return services.children

    def note(group: int) -> None:
        start_time = process_start_time(group)
        for lock in locks:
            lock.record_group(group, start_time)

    def forget(group: int) -> None:
        for lock in locks:
            lock.forget_group(group)

    return services.children.hooked(on_start=note, on_end=forget)


def acquire_entry(recipe: Recipe, engine: PhaseServices) -> None:
    """Take the lock of the recipe's entry, if its worker does not have it."""
    if recipe.work.entry_lock is None:
        path = engine.services.layout.lock_path(recipe.key.identity, log_key(recipe))
        recipe.work.entry_lock = acquire_lock(recipe, engine, path)
        recipe.work.locked_at = time.monotonic()


def release_entry(recipe: Recipe, engine: PhaseServices) -> None:
    """Let the lock of the recipe's entry go, if its worker has it."""
    lock, recipe.work.entry_lock = recipe.work.entry_lock, None
    if lock is not None:
        release_lock(recipe, engine, lock, recipe.work.locked_at)


def begin_work(recipe: Recipe, engine: PhaseServices) -> str:
    """Lock the entry, look again, and begin an attempt if it is still missing.

    Returns why it is missing, for those who listen to reasons; "" where nobody does.
    """
    acquire_entry(recipe, engine)
    explaining = engine.services.events.explaining
    found = lookup(recipe.placement.entry, recipe.entry_key, explain=explaining)
    if found.hit or (found.elsewhere and _relocated(recipe)):
        recipe.work.cached = True
        release_entry(recipe, engine)
        return ""
    reason = ""
    if explaining:
        reason = "; ".join([found.reason, *map(str.strip, why_missing(recipe, engine))])
    recipe.work.attempt = begin_attempt(recipe.placement.entry, recipe.entry_key)
    return reason


def needs_deploy(recipe: Recipe) -> bool:
    """Whether a recipe's entry has not been deployed, and ought to be."""
    if recipe.loaded_or_none is None or recipe.loaded_or_none.definition.deploy is None:
        return False
    return not deploy_recorded(recipe.placement.entry)


def _relocated(recipe: Recipe) -> bool:
    """Whether an entry made under another root could be rewritten for this one."""
    from envy.cache.relocate import relocate

    return not relocate(recipe.placement.entry, recipe.entry_key)


def resume_entry(
    recipe: Recipe,
    engine: PhaseServices,
    phase: RecipePhase,
    phases: Mapping[int, Callable[[Recipe, PhaseServices], None]],
) -> bool:
    """Take an entry up again before a phase; False when nothing is left to do in it."""
    if recipe.work.attempt is None:
        return not recipe.work.cached  # a user-managed one makes no attempt
    if recipe.work.entry_lock is not None:
        return True
    acquire_entry(recipe, engine)
    if recipe.work.attempt.still_ours():
        return True
    begin_work(recipe, engine)
    if recipe.work.cached:
        return False
    for earlier in range(RecipePhase.FETCH, phase):
        phases[earlier](recipe, engine)
    return True
