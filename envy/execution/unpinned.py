"""Unpinned sources: a branch or a tag of a repository, and a recipe file without a digest.

Each is resolved once in a run: to what the lock has, by asking where it is, or to what it was the
last time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from envy.cache.resolutions import Upstream, source_name
from envy.declarations.sources import SourceItem, git_address, is_full_hash
from envy.errors import FetchError
from envy.execution.services import PhaseServices
from envy.execution.transfer import at_locked_commit, fetch_context
from envy.graph.recipe import Recipe
from envy.masking import masked_address
from envy.transport.context import NotFound


def pinned(item: SourceItem, recipe: Recipe, engine: PhaseServices) -> SourceItem:
    """Return a git source with its commit, which every fetch in this run then uses.

    It is the commit that the lock has; what is locked is not looked up.

    Raises:
        FetchError: the repository cannot be reached and was never resolved, or has no such ref.
    """
    from envy.transport import resolve_ref

    item = at_locked_commit(item, recipe, engine)
    context = fetch_context(recipe, engine)
    if is_full_hash(item.ref):
        return replace(item, ref=resolve_ref(item, context))
    recipe.evidence.unpinned = True
    address, services = git_address(item), engine.services
    source = source_name("git", address, item.ref)

    def resolve() -> str:
        last = services.resolutions.last(source)
        ask = functools.partial(resolve_ref, item, context)
        known = last if last is not None and is_full_hash(last) else None
        return resolved_or_last(known, ask, recipe, engine, shown=masked_address(address))

    commit = services.memo.once(("unpinned", source), resolve)
    services.resolutions.note(recipe.key.canonical, source, commit)
    return replace(item, ref=resolve_ref(item, context, known=commit))


def resolved_or_last(
    last: str | None,
    ask: Callable[[], str],
    recipe: Recipe,
    engine: PhaseServices,
    *,
    shown: str,
) -> str:
    """Return the last resolution or a new one, as the command wants; `shown` names the source.

    Raises:
        FetchError: there is neither, or the source says that it does not exist.
    """
    upstream = engine.services.upstream
    if last is not None and upstream is not Upstream.ASKED:
        return last
    check_may_fetch(shown, engine)
    try:
        return ask()
    except NotFound:
        raise  # an answer, not the lack of one
    except FetchError as error:
        if last is None:
            raise
        fetch_context(recipe, engine).warn(
            f"{shown} cannot be reached, so {recipe.key} stays as it was: "
            f"{error.message.splitlines()[0]}"
        )
        return last


def check_may_fetch(shown: str, engine: PhaseServices) -> None:
    """Check that this command may fetch what a source has.

    Raises:
        FetchError: it may not.
    """
    if engine.services.upstream is Upstream.LEFT_ALONE:
        raise FetchError(
            f"{shown} has not been fetched for this project",
            uri=shown,
            hint="install with `envy sync`",
        )
