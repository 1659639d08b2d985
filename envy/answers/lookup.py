"""Warm commands: answered from what an earlier run found, without Lua and without the engine.

Whatever is not plain here (a query that is ambiguous or unknown, something missing, a package that
is user-managed) is left to the full way, which has the words for it. Loads little: see
`quick`, which asks this before it loads the command line.
"""

from __future__ import annotations

import os

from envy.answers.read import EXCLUDED, Answer, closure_is_there, is_installed, load_answer
from envy.cache.names import ASSET, ASSETS_FOLDER
from envy.cache.use_record import RUN, is_recent, record_path
from envy.declarations.query_match import find_answering, prefer_exact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Found:
    """What queries mean: the folder of each, and how many packages they need, all of them there."""

    __slots__ = ("count", "folders")

    def __init__(self, folders: Sequence[str], count: int) -> None:
        self.folders = folders
        self.count = count


def installed(
    root: str, manifest: str, queries: Sequence[str], environment: Mapping[str, str]
) -> Found | None:
    """What the queries mean (all roots without one), if all of it is installed."""
    answer = load_answer(root, manifest, environment)
    if answer is None:
        return None
    goals = _goals(answer, queries)
    if goals is None:
        return None
    closure = closure_is_there(answer, goals, root)
    if closure is None:
        return None
    whole = set(_all(answer)).issubset(goals)
    if not _noted(root, manifest, answer, closure, whole=whole):
        return None
    folders = [f"{root}/{ASSETS_FOLDER}/{answer.places[goal]}/{ASSET}" for goal in goals]
    return Found(folders, len(closure))


def _noted(
    root: str, manifest: str, answer: Answer, closure: Sequence[int], *, whole: bool
) -> bool:
    """Record that these packages are used, and see that they still are there then.

    Within an hour there is nothing to do: gc spares what was used within a day.
    """
    project = os.path.dirname(manifest)
    names = [answer.places[position] for position in closure]
    if is_recent(record_path(root, project, [(name, RUN) for name in names], whole=whole)):
        return True
    import contextlib
    from pathlib import Path

    from envy.answers.write import note_use
    from envy.cache.layout import CacheLayout
    from envy.cache.lease import gate
    from envy.cache.usage import UseSet, record_use
    from envy.errors import CacheError

    layout = CacheLayout(Path(root))
    used = UseSet(project=project, whole=whole, entries=dict.fromkeys(names, RUN))
    # A gc that is about to remove one of them sees the record, or has done so before it is looked
    # for again.
    with contextlib.suppress(CacheError), gate(layout):
        record_use(layout, used)
        note_use(Path(root), Path(manifest))
    return all(is_installed(answer, position, root) for position in closure)


def _goals(answer: Answer, queries: Sequence[str]) -> list[int] | None:
    if not queries:
        return _all(answer)
    found = [_find(answer, query) for query in queries]
    return [position for position in found if position is not None] if None not in found else None


def _all(answer: Answer) -> list[int]:
    return [root for root in answer.roots() if EXCLUDED not in answer.flags[root]]


def _find(answer: Answer, query: str) -> int | None:
    """The one recipe that answers a query; None if that is not so."""
    if query in answer.named:
        return answer.named[query]
    packages = zip(answer.keys, answer.aliases, strict=False)
    found = [
        position
        for position in find_answering(query, packages)
        if EXCLUDED not in answer.flags[position]
    ]
    found = prefer_exact(query, found, answer.keys.__getitem__)
    return found[0] if len(found) == 1 else None
