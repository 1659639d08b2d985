"""Which entries of the cache the queries of a `cache` subcommand name."""

from __future__ import annotations

import re
from collections.abc import Sequence

from envy.cache.inventory import EntryReport
from envy.cache.names import short_key
from envy.declarations.key import Query
from envy.declarations.query_match import find_answering
from envy.errors import QueryNotFound

_KEY = re.compile(r"[0-9a-f]{8,64}")


def choose_entries(entries: Sequence[EntryReport], queries: Sequence[str]) -> list[EntryReport]:
    """Return the entries that match any of the queries; all entries if there are no queries.

    A query is that of a package, or the first eight or more digits of an entry key, as
    `envy cache` shows them for packages with the same name and options.

    Raises:
        QueryNotFound: no entry matches a query; InvalidQuery: a query is not valid.
    """
    if not queries:
        return list(entries)
    chosen: dict[str, EntryReport] = {}
    for text in queries:
        found = _by_key(entries, text) if _KEY.fullmatch(text) else []
        if not found:
            Query.parse(text)  # raises for what is not a query
            positions = find_answering(text, [(entry.key, "") for entry in entries])
            found = [entries[position] for position in positions]
        if not found:
            raise QueryNotFound(text, hint="list the cache with `envy cache`")
        chosen.update({entry.paths.name: entry for entry in found})
    return list(chosen.values())


def _by_key(entries: Sequence[EntryReport], digits: str) -> list[EntryReport]:
    return [
        entry
        for entry in entries
        if (entry.entry_key or short_key(entry.paths.name)).startswith(digits)
    ]


def labels(entries: Sequence[EntryReport]) -> dict[str, str]:
    """Return a label for each entry name: the key, with the entry key where several share it."""
    count: dict[str, int] = {}
    for entry in entries:
        count[entry.key] = count.get(entry.key, 0) + 1
    return {
        entry.paths.name: entry.key
        if count[entry.key] == 1
        else f"{entry.key}  {short_key(entry.paths.name)}"
        for entry in entries
    }
