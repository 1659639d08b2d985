"""Warm commands: answer queries from what an earlier run found, without Lua and the engine.

A query that is ambiguous or unknown, a missing package and a user-managed package are left to a
full run, which can report what is wrong. This module imports little: `cli.fast_path` calls it
before the command line is loaded.
"""

from __future__ import annotations

import os

from envy.answers.products import are_intact
from envy.answers.read import (
    EXCLUDED,
    LAUNCHERS,
    UNPINNED,
    StoredAnswer,
    installed_closure,
    is_installed,
    load_answer,
)
from envy.cache.names import ASSET, ASSETS_FOLDER
from envy.cache.use_record import RUN, is_recent, record_path
from envy.declarations.query_match import find_answering, prefer_exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Answer:
    """The asset folder of each query, and the number of packages they need; all are installed."""

    __slots__ = ("count", "folders")

    def __init__(self, folders: Sequence[str], count: int) -> None:
        self.folders = folders
        self.count = count


def installed(
    root: str,
    manifest: str,
    queries: Sequence[str],
    environment: Mapping[str, str],
    *,
    renews: bool,
) -> Answer | None:
    """Return the answer to the queries (to all roots if there are none), or None.

    None means that a full run is needed: no stored answer holds, or something is not installed.
    With `renews`, as for a sync, it also means that a program of the machine has changed, or that
    an unpinned source has to be asked; without, as for a query, the answer is that of the last
    sync.
    """
    answer = load_answer(root, manifest, environment)
    if answer is None:
        return None
    goals = _goals(answer, queries)
    if goals is None:
        return None
    closure = installed_closure(answer, goals, root)
    if closure is None or not are_intact(answer.products):
        return None
    if renews and not (
        is_current(answer, manifest, environment)
        and (queries or _has_launchers(answer, manifest, root, environment))
    ):
        return None
    whole = set(all_goals(answer)).issubset(goals)
    if not record_use(root, manifest, answer, closure, whole=whole):
        return None
    folders = [f"{root}/{ASSETS_FOLDER}/{answer.entry_names[goal]}/{ASSET}" for goal in goals]
    return Answer(folders, len({answer.entry_names[position] for position in closure}))


def is_current(answer: StoredAnswer, manifest: str, environment: Mapping[str, str]) -> bool:
    """Return whether a sync would find what the stored answer says."""
    if UNPINNED in answer.marks:
        return False
    if not answer.host:
        return True
    from envy.answers.machine_programs import rows_of, still_told

    return still_told(list(rows_of(answer.host)), environment, os.path.dirname(manifest))


def _has_launchers(
    answer: StoredAnswer, manifest: str, root: str, environment: Mapping[str, str]
) -> bool:
    """Return whether the launchers of the project are there, if it has any."""
    if LAUNCHERS not in answer.marks:
        return True
    from envy.answers.launcher_state import are_current

    return are_current(os.path.dirname(manifest), root, environment.get("ENVY_CACHE_ROOT", ""))


def record_use(
    root: str, manifest: str, answer: StoredAnswer, closure: Sequence[int], *, whole: bool
) -> bool:
    """Record that these packages are used; return whether they are still installed afterwards.

    A record that is less than an hour old is enough: gc keeps everything used within a day.
    """
    names = [answer.entry_names[position] for position in closure]
    if is_recent(record_path(root, manifest, [(name, RUN) for name in names], whole=whole)):
        return True
    import contextlib
    from pathlib import Path

    from envy.answers.write import mark_as_used
    from envy.cache.layout import CacheLayout
    from envy.cache.lease import gate
    from envy.cache.usage import UseSet
    from envy.cache.usage import record_use as write_record
    from envy.errors import CacheError

    layout = CacheLayout(Path(root))
    used = UseSet(manifest=manifest, whole=whole, entries=dict.fromkeys(names, RUN))
    # A gc that is about to remove one of them either sees the record, or has removed the package
    # before the check below.
    with contextlib.suppress(CacheError), gate(layout):
        write_record(layout, used)
        mark_as_used(Path(root), Path(manifest))
    return all(is_installed(answer, position, root) for position in closure)


def _goals(answer: StoredAnswer, queries: Sequence[str]) -> list[int] | None:
    if not queries:
        return all_goals(answer)
    found = [_find(answer, query) for query in queries]
    return [position for position in found if position is not None] if None not in found else None


def all_goals(answer: StoredAnswer) -> list[int]:
    """Return the positions of what the manifest lists for this platform."""
    return [root for root in answer.roots() if EXCLUDED not in answer.flags[root]]


def _find(answer: StoredAnswer, query: str) -> int | None:
    """Return the position of the recipe that a query means: the nearest to the manifest.

    None means that none matches, or several that are equally near.
    """
    if query in answer.manifest_aliases:
        return answer.manifest_aliases[query]
    packages = zip(answer.keys, answer.aliases, strict=False)
    found = [
        position
        for position in find_answering(query, packages)
        if EXCLUDED not in answer.flags[position]
    ]
    found = prefer_exact(query, found, answer.keys.__getitem__)
    return found[0] if len(found) == 1 else _nearest(answer, found)


def _nearest(answer: StoredAnswer, found: Sequence[int]) -> int | None:
    near = [position for position in found if answer.distances[position]]
    if not near:
        return None
    least = min(int(answer.distances[position]) for position in near)
    nearest = [position for position in near if int(answer.distances[position]) == least]
    entries = {answer.entry_names[position] for position in nearest}
    return nearest[0] if len(entries) == 1 and "" not in entries else None
