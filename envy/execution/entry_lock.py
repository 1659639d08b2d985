"""The right to work on an entry: its lock, and the attempt made under the lock.

Recipe files and, for `exclusive`, the machine have locks of the same kind. Every program that a
recipe starts is recorded in each lock that the recipe holds.

Guarantees
  An entry lock is first tried without blocking; the slot is released during a longer wait.
  No recipe holds its entry lock while it waits for a dependency: it releases the lock at a closed
  gate and acquires it again afterwards. If another process has begun an attempt since, the recipe
  restarts at fetch and reuses verified downloads; if that attempt completed, no work is left.
  Every program that a recipe starts can be found from each lock that the recipe holds at that time:
  a process that takes such a lock over from a dead envy ends the program first.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from envy.cache.lock import FileLock
from envy.cache.lock_cycle import find_circle, inherited_marks, package_of, visible_wait
from envy.cache.padding import make_padding
from envy.cache.read import deploy_recorded, lookup
from envy.cache.write import begin_attempt
from envy.errors import GraphError
from envy.execution.explanation import explain_missing
from envy.execution.log import log_key
from envy.execution.recipe_events import RecipeEvents
from envy.execution.services import PhaseServices, Services
from envy.graph.recipe import Recipe
from envy.host.children import Children
from envy.host.process_table import process_start_time
from envy.phase import RecipePhase


def acquire_lock(recipe: Recipe, engine: PhaseServices, path: Path) -> FileLock:
    """Acquire a lock of the cache in a recipe's worker; the slot is released during the wait."""
    lock = FileLock(path)
    started = time.monotonic()
    events = RecipeEvents(recipe, engine.services.events)
    waits = not lock.try_acquire()
    if waits:
        owner = str(lock.owner() or "another process")
        with visible_wait(lock):
            _check_wait(recipe, engine.services, lock, owner)
            events.lock_blocked(path, owner)
            engine.wait_without_slot(
                recipe,
                f"the lock {path}, held by {owner}",
                lambda: lock.acquire(engine.stopped),
            )
    events.lock_acquired(path, time.monotonic() - started, waited=waits)
    recipe.work.locks.append(lock)
    return lock


def _check_wait(recipe: Recipe, services: Services, lock: FileLock, owner: str) -> None:
    """Check that a wait for a lock can end.

    Raises:
        GraphError: this envy runs in a script, and what it needs is waiting for that script.
    """
    chain = find_circle(lock, services.environment)
    if not chain:
        return
    names = [recipe.key.canonical, *map(package_of, chain[1:])]
    last = names[-1] if len(names) > 1 else recipe.key.identity
    raise GraphError(
        f"this wait would never end: {' → '.join([last, *names])}\n"
        f"    this envy runs in a script of {last}, and needs {recipe.key}, which is being made "
        f"by {owner}",
        hint="let the script name only packages that do not need it (envy sync QUERY), or declare "
        "what it needs in `dependencies`",
    )


def release_lock(recipe: Recipe, engine: PhaseServices, lock: FileLock, since: float) -> None:
    """Release a lock, and report how long it was held: from the monotonic time `since`."""
    RecipeEvents(recipe, engine.services.events).lock_released(lock.path, time.monotonic() - since)
    recipe.work.locks.remove(lock)
    lock.release()


def lock_marks(recipe: Recipe, services: Services) -> dict[str, str]:
    """Return variables that identify a program if envy dies before it has recorded the program.

    They also tell an envy that the program runs which locks wait for it.
    """
    own = {name: mark for lock in recipe.work.locks for name, mark in lock.mark().items()}
    return inherited_marks(services.environment) | own


def recorded_children(recipe: Recipe, services: Services) -> Children:
    """Return the registry for a recipe's programs, which records their groups in its locks."""
    locks = tuple(recipe.work.locks)
    if not locks:
        return services.children

    def record(group: int) -> None:
        start_time = process_start_time(group)
        for lock in locks:
            lock.record_group(group, start_time)

    def forget(group: int) -> None:
        for lock in locks:
            lock.forget_group(group)

    return services.children.hooked(on_start=record, on_end=forget)


def acquire_entry(recipe: Recipe, engine: PhaseServices) -> None:
    """Acquire the lock of the recipe's entry, unless the recipe holds it."""
    if recipe.work.entry_lock is None:
        path = engine.services.layout.lock_path(recipe.key.identity, log_key(recipe))
        recipe.work.entry_lock = acquire_lock(recipe, engine, path)
        recipe.work.locked_at = time.monotonic()


def release_entry(recipe: Recipe, engine: PhaseServices) -> None:
    """Release the lock of the recipe's entry, if the recipe holds it."""
    lock, recipe.work.entry_lock = recipe.work.entry_lock, None
    if lock is not None:
        release_lock(recipe, engine, lock, recipe.work.locked_at)


def begin_work(recipe: Recipe, engine: PhaseServices) -> str:
    """Lock the entry, look it up again, also in depots, and begin an attempt if it is missing.

    Returns why the entry is missing, or "" if it exists or no listener wants reasons.
    """
    acquire_entry(recipe, engine)
    placement = recipe.placement
    found = lookup(placement.entry, placement.entry_key, explain=False)
    if found.hit or (found.elsewhere and _relocated(recipe)):
        recipe.work.cached = True
        if found.spelling:
            engine.services.spellings.add(found.spelling)
        release_entry(recipe, engine)
        return ""
    if engine.take_late(recipe):
        recipe.work.attempt = None  # an earlier one, which another process has ended
        release_entry(recipe, engine)
        return ""
    reason = ""
    if engine.services.events.explaining:
        missing = explain_missing(recipe, engine)
        reason = missing.text if missing is not None else ""
    _warn_of_spaces(engine.services)
    recipe.work.attempt = begin_attempt(placement.entry, placement.entry_key)
    if placement.padded is not None:
        make_padding(placement.entry.root)
    return reason


def _warn_of_spaces(services: Services) -> None:
    """Warn once in a run that builds something, if the path of the cache has a space in it."""
    root = str(services.layout.root)
    if len(root.split()) > 1:
        services.memo.once(
            "space in the cache root",
            lambda: services.events.log(
                "warn",
                f"the path of the cache, {root}, contains a space: most packages that are built "
                "with autotools or make break; name another cache with --cache-root or "
                "ENVY_CACHE_ROOT",
            ),
        )


def needs_deploy(recipe: Recipe) -> bool:
    """Return whether a recipe has a deploy phase that has not run for its entry."""
    if recipe.loaded_or_none is None or recipe.loaded.definition.deploy is None:
        return False
    return not deploy_recorded(recipe.placement.entry)


def _relocated(recipe: Recipe) -> bool:
    """Rewrite an entry made under another cache root for this root; return whether it worked."""
    from envy.cache.relocate import relocate

    return not relocate(recipe.placement.entry, recipe.entry_key)


def resume_entry(
    recipe: Recipe,
    engine: PhaseServices,
    phase: RecipePhase,
    phases: Mapping[int, Callable[[Recipe, PhaseServices], None]],
) -> bool:
    """Acquire the entry again before a phase; return whether the phase has work left."""
    if recipe.work.attempt is None:
        return not recipe.work.cached  # a user-managed recipe makes no attempt
    if recipe.work.entry_lock is not None:
        return True
    acquire_entry(recipe, engine)
    if recipe.work.attempt.is_current():
        return True
    begin_work(recipe, engine)
    if recipe.work.cached:
        return False
    for earlier in range(RecipePhase.FETCH, phase):
        phases[earlier](recipe, engine)
    return True
