"""A warm answer for a command whose options have been read."""

from __future__ import annotations

from collections.abc import Sequence

from envy.answers import lookup
from envy.cli.cache_root import cache_root
from envy.cli.settings import Settings, current_directory
from envy.declarations.manifest_search import find_manifest
from envy.environment import environment


def installed(settings: Settings, queries: Sequence[str]) -> lookup.Answer | None:
    """What the queries mean, if it is known and all there.

    Raises:
        ManifestError: there is no manifest; CacheError: there is no place for a cache.
    """
    if settings.verbose or settings.traces:
        return None  # who wants to hear of everything gets the full way
    manifest = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    return lookup.installed(str(cache_root(settings)), str(manifest), queries, environment())
