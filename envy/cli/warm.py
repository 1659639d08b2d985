"""Warm commands: answered from what an earlier run found, without Lua and without the engine.

Whatever is not plain here (a query that is ambiguous or unknown, something missing, a package that
is user-managed) is left to the full way, which has the words for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from envy.cache.layout import ASSET, CacheLayout, EntryPaths
from envy.cache.read import lookup
from envy.cache.resolved import Answer, Known, closure_is_there, load_answer, note_use
from envy.cache.usage import RUN, UseSet, is_fresh, record_use
from envy.cli.cache_root import cache_root
from envy.cli.settings import Settings, current_directory
from envy.errors import CacheError
from envy.manifest_search import find_manifest
from envy.platform import environment, host_platform
from envy.recipe_key import Query, RecipeKey


def installed(settings: Settings, queries: Sequence[str]) -> tuple[list[Known], list[Known]] | None:
    """What the queries mean (all roots without one), and the closure of it, if all is installed."""
    if settings.verbose or settings.trace_stderr or settings.trace_file:
        return None  # who wants to hear of everything gets the full way
    root = cache_root(settings)
    manifest = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    answer = load_answer(root, manifest, platform=host_platform(), environment=environment())
    if answer is None:
        return None
    goals = list(answer.roots) if not queries else _goals(answer, queries)
    if goals is None:
        return None
    goals = [goal for goal in goals if not (answer.recipes[goal].excluded and not queries)]
    closure = closure_is_there(answer, goals, root)
    if closure is None or not _noted(root, manifest, closure, whole=not queries):
        return None
    return [answer.recipes[goal] for goal in goals], closure


def _noted(root: Path, manifest: Path, closure: Sequence[Known], *, whole: bool) -> bool:
    """Record that these packages are used, and see that they still are there then.

    Within an hour there is nothing to do: gc spares what was used within a day.
    """
    layout = CacheLayout(root)
    top = str(root)
    names = [EntryPaths(top, top + known.location).name for known in closure]
    used = UseSet(project=str(manifest.parent), whole=whole, entries=dict.fromkeys(names, RUN))
    if is_fresh(layout, used):
        return True
    from envy.cache.lease import gate

    # A gc that is about to remove one of them sees the record, or has done so before it is looked
    # for again.
    with contextlib.suppress(CacheError), gate(layout):
        record_use(layout, used)
        note_use(root, manifest)
    return all(
        lookup(EntryPaths(top, top + known.location), known.entry_key).hit for known in closure
    )


def _goals(answer: Answer, queries: Sequence[str]) -> list[int] | None:
    found = []
    for query in queries:
        position = _find(answer, query)
        if position is None:
            return None
        found.append(position)
    return found


def _find(answer: Answer, query: str) -> int | None:
    """The one recipe that answers a query; None if that is not so."""
    if query in answer.aliases:
        return answer.aliases[query]
    asked = Query.parse(query)
    matches = [
        position
        for position, known in enumerate(answer.recipes)
        if (asked.name in known.key or known.alias == asked.name)
        and not known.excluded
        and asked.matches(RecipeKey.parse(known.key), alias=known.alias)
    ]
    if len(matches) > 1:
        matches = [row for row in matches if answer.recipes[row].key == query]
    return matches[0] if len(matches) == 1 else None


def asset_dir(settings: Settings, known: Known) -> str:
    """The folder of a package."""
    root = str(cache_root(settings))
    return EntryPaths(root, root + known.location).at(ASSET)
