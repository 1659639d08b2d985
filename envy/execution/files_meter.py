"""Reports of work on many files: a few events a second, however many files there are."""

from __future__ import annotations

import time
from collections.abc import Callable

from envy.content.count_files import CountFiles
from envy.events import EventBus, FilesProgress
from envy.execution.recipe_events import RecipeEvents
from envy.graph.recipe import Recipe

_INTERVAL = 0.1  # seconds between two events; what ends sooner has none


def files_meter(
    recipe: Recipe, bus: EventBus, action: str, *, clock: Callable[[], float] = time.monotonic
) -> CountFiles | None:
    """Return what a loop over files calls after each file; None if no listener shows them.

    `action` is unpacking or hashing.
    """
    if not bus.hears(FilesProgress):
        return None
    events = RecipeEvents(recipe, bus)
    due = clock() + _INTERVAL

    def report(files: int, total: int) -> None:
        nonlocal due
        now = clock()
        if now >= due:
            due = now + _INTERVAL
            events.files_progress(action, files, total)

    return report
