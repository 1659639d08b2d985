"""Folders of the cache with what was fetched from the source of a recipe or a bundle.

Guarantees
  A folder exists as a whole or not at all, and is never replaced, since another process may be
  reading it. What has no digest is fetched into a folder named after its content.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from envy.cache.names import DIGITS
from envy.cache.recipes import find_recipe_files
from envy.cache.resolutions import source_name
from envy.content.atomic import temporary_beside
from envy.declarations.sources import BY_ADDRESS, Scheme, SourceItem, location, scheme_of
from envy.errors import FetchError
from envy.execution.entry_lock import acquire_lock, release_lock
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.locking.subjects import locked_file
from envy.masking import masked_address
from envy.transport.context import Fetched


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A source, the name that its folders have in the cache, and what becomes of what is fetched.

    `arrange` gets what was fetched and the temporary folder with it; it returns the folder, inside
    of that one, that is kept.
    """

    owner: str
    item: SourceItem
    arrange: Callable[[Fetched, Path], Path]


def folder_of(wanted: Wanted, recipe: Recipe, engine: PhaseServices) -> Path:
    """Return the folder with what a remote source has; it is fetched if it is not there.

    Raises:
        FetchError: it cannot be fetched, or this command may not do so.
    """
    from envy.execution.unpinned import check_may_fetch, pinned

    layout, item = engine.services.layout, wanted.item
    scheme = scheme_of(item.source)
    if scheme is Scheme.GIT:
        item = pinned(item, recipe, engine)
    folder = layout.recipes_dir(wanted.owner, name_of(location(item)))
    if scheme in BY_ADDRESS and not item.has_digest:
        return _unpinned_folder(wanted, recipe, engine, folder)
    if find_recipe_files(layout, folder):
        return folder
    check_may_fetch(masked_address(item.source), engine)
    return fetch_into(folder, wanted, recipe, engine, item=item)


def name_of(text: str) -> str:
    """Return the name of a folder for what a text names."""
    return blake3(text.encode("utf-8", "surrogateescape")).hexdigest()[:DIGITS]


def _unpinned_folder(wanted: Wanted, recipe: Recipe, engine: PhaseServices, folder: Path) -> Path:
    """Return the folder of a file without a digest: as locked, upstream, or as last seen."""
    from envy.execution.unpinned import check_may_fetch, resolved_or_last

    services, item, owner = engine.services, wanted.item, wanted.owner
    layout, resolutions = services.layout, services.resolutions
    locked = locked_file(services.lock, recipe.key, item)
    if locked is not None and locked.digest.startswith("sha256:"):
        digits = locked.digest.removeprefix("sha256:")[:DIGITS]
        known = layout.recipes_dir(owner, f"{folder.name}-{digits}")
        if find_recipe_files(layout, known):
            return known
        check_may_fetch(masked_address(item.source), engine)
        return fetch_into(folder, wanted, recipe, engine)
    recipe.evidence.unpinned = True
    source = source_name("http", owner, location(item))
    last = resolutions.last(source)
    if last is not None and not (
        re.fullmatch(rf"{folder.name}-[0-9a-f]+", last)
        and find_recipe_files(layout, layout.recipes_dir(owner, last))
    ):
        last = None

    def fetch() -> str:
        return fetch_into(folder, wanted, recipe, engine).name

    name = resolved_or_last(
        last,
        functools.partial(services.memo.once, ("unpinned", source), fetch),
        recipe,
        engine,
        shown=masked_address(item.source),
    )
    resolutions.note(recipe.key.canonical, source, name)
    return layout.recipes_dir(owner, name)


def fetch_into(
    folder: Path,
    wanted: Wanted,
    recipe: Recipe,
    engine: PhaseServices,
    *,
    item: SourceItem | None = None,
) -> Path:
    """Fetch a source into `folder`, whole or not at all, once for all processes.

    `item` is the source with its pins, if they are known by now. A remote file without a digest is
    fetched each time, and its folder is named after its content, too.
    """
    import os
    import time

    from envy.execution.transfer import fetch_batch

    item = item or wanted.item
    layout = engine.services.layout
    is_named_by_content = scheme_of(item.source) in BY_ADDRESS and not item.has_digest
    lock = acquire_lock(recipe, engine, layout.lock_path(wanted.owner, folder.name))
    since = time.monotonic()
    try:
        if find_recipe_files(layout, folder):
            return folder
        with temporary_beside(folder) as temporary:
            [fetched] = fetch_batch(recipe, engine, [item], temporary)
            content = wanted.arrange(fetched, temporary)
            if is_named_by_content:
                folder = folder.with_name(f"{folder.name}-{fetched.sha256[:DIGITS]}")
            if not find_recipe_files(layout, folder):
                os.utime(content)  # an archive may set an old time
                content.rename(folder)
            return folder
    except OSError as error:
        raise FetchError(
            f"cannot store the recipe in the cache: {error}", uri=item.source
        ) from error
    finally:
        release_lock(recipe, engine, lock, since)
