"""What is upstream of a recipe's sources: released versions, tags, and the digest of a file now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from envy import interpreter
from envy.content.scratch import scratch_folder
from envy.declarations.sources import Scheme, SourceItem, scheme_of
from envy.engine.bundle_reader import asker, read_bundle
from envy.execution.fetch_result import returned_sources
from envy.execution.recipe_lua import ensure_functions, live_function, release_lua_state
from envy.execution.transfer import fetch_context
from envy.keying.declared_sources import declared_sources, evaluate_fetch
from envy.lua.values import LuaFunction
from envy.transport import fetch_source, resolve_ref

if TYPE_CHECKING:
    from envy.declarations.bundles import Bundle
    from envy.declarations.option_text import OptionValue
    from envy.engine.engine import Engine
    from envy.execution.open_bundle import OpenBundle
    from envy.graph.recipe import Recipe


class Releases:
    """Asks registries, repositories and servers about the sources of recipes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def asker(self, bundle: Bundle) -> Recipe:
        """Return a recipe that is in no graph, for questions about the source of a bundle."""
        return asker(bundle)

    def bundle(self, bundle: Bundle) -> OpenBundle:
        """Return a recipe bundle of the manifest; it is fetched if it is not in the cache.

        Raises:
            EnvyError: it cannot be fetched, or its map is not valid.
        """
        return read_bundle(bundle, self._engine)

    def sources_of(
        self, recipe: Recipe, options: Mapping[str, OptionValue] | None = None
    ) -> tuple[SourceItem, ...]:
        """Return the sources that a recipe declares, perhaps for other options than its own.

        None are returned if its fetch function acts.

        Raises:
            EnvyError: the function failed, or returned something that is not a source.
        """
        engine, fetch = self._engine, recipe.loaded.definition.fetch
        if options is None or not isinstance(fetch, LuaFunction):
            return declared_sources(recipe, engine) or ()
        ensure_functions(recipe, engine)
        try:
            answer = evaluate_fetch(recipe, engine, live_function(recipe, "fetch"), options)
            if answer.error is not None:
                raise answer.error
            return () if answer.acts else returned_sources(recipe, fetch, answer.value)
        finally:
            release_lua_state(recipe, engine)

    def versions_of(self, item: SourceItem, recipe: Recipe) -> Mapping[str, str]:
        """Return the released versions of a source's project, each with its time.

        The time is in ISO 8601, "" if it is not known. Only registries have releases.

        Raises:
            FetchError: the registry cannot be reached, or does not know the project.
        """
        scheme = scheme_of(item.source)
        context = fetch_context(recipe, self._engine)
        with interpreter.released():
            if scheme is Scheme.PYPI:
                from envy.transport import pypi

                return pypi.releases_of(item, context)
            if scheme is Scheme.NPM:
                from envy.transport import npm

                return npm.releases_of(item, context)
        return {}

    def tags_of(self, item: SourceItem, recipe: Recipe) -> Mapping[str, str]:
        """Return the tags of a repository, each with the commit that it points to."""
        from envy.transport import git

        with interpreter.released():
            return git.tags_of(item, fetch_context(recipe, self._engine))

    def newest_commit_of(self, item: SourceItem, recipe: Recipe) -> str:
        """Return the newest commit of the main branch of a repository."""
        return resolve_ref(replace(item, ref=""), fetch_context(recipe, self._engine))

    def digest_of(self, item: SourceItem, recipe: Recipe) -> str:
        """Return the SHA-256 of a file as it is upstream now; it is downloaded and dropped."""
        with scratch_folder("digest") as folder:
            plain = replace(item, sha256="", blake3="", sha512="")
            return fetch_source(plain, folder, fetch_context(recipe, self._engine)).sha256
