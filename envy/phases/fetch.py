"""fetch: fetch and verify the sources of a recipe into its fetch folder.

A file of an earlier attempt with a matching digest is reused, so no download is lost by a failure.
Files that this attempt did not fetch are removed, and are not staged.
"""

from __future__ import annotations

from collections.abc import Sequence

from envy.cache.fingerprint import search_roots
from envy.cache.names import FETCH
from envy.cache.read import names_in
from envy.content import file_operations
from envy.content.written_digests import WrittenDigests
from envy.declarations.file_names import same_file_name
from envy.declarations.repositories import placed_apart
from envy.declarations.sources import SourceItem
from envy.execution.fetch_result import returned_sources
from envy.execution.phase_run import PhaseRun
from envy.execution.recipe_lua import live_function
from envy.execution.services import PhaseServices
from envy.execution.verbs import run_verb
from envy.graph.recipe import Recipe
from envy.phase import RecipePhase
from envy.phases.stage import stage_destination


def run_fetch_phase(recipe: Recipe, engine: PhaseServices) -> None:
    """Fetch what `fetch` declares: data, or a function that fetches, returns data, or both.

    Raises:
        FetchError: a source could not be fetched, or does not match its digest.
    """
    entry = recipe.placement.entry
    recipe.work.fetched = {}
    recipe.work.links = {}
    recipe.work.unpacked = None
    recipe.work.unpacked_ahead = None
    recipe.work.written = _written_digests(recipe, engine)
    if recipe.placement.sources is None:
        with PhaseRun(recipe, engine, RecipePhase.FETCH, run_dir=entry.tmp_dir) as run:
            answer = run_verb(run, "fetch")
            items = returned_sources(recipe, live_function(recipe, "fetch"), answer)
            if items:
                _fetch_items(recipe, engine, items)
    elif recipe.placement.sources:
        _fetch_items(recipe, engine, recipe.placement.sources)
    kept = {name.partition("/")[0] for name in recipe.work.fetched}
    for name in names_in(entry.at(FETCH)):
        if name not in kept:
            file_operations.remove(entry.fetch_dir / name)


def _fetch_items(recipe: Recipe, engine: PhaseServices, items: Sequence[SourceItem]) -> None:
    from envy.execution.transfer import fetch_batch
    from envy.execution.unpack_ahead import unpacking_ahead

    fetch_dir = recipe.placement.entry.fetch_dir
    with unpacking_ahead(recipe, engine, items, stage_destination(recipe)) as ahead:
        if ahead is None:
            fetched = fetch_batch(recipe, engine, items, fetch_dir)
        else:
            fetched = fetch_batch(recipe, engine, items, fetch_dir, follow=ahead.follow)
    for item, result in zip(placed_apart(items), fetched, strict=True):
        name = result.path.relative_to(fetch_dir).as_posix()
        first = recipe.work.fetched.setdefault(name, item)
        if first is not item:
            # A registry decides some names, and others were committed by the function.
            raise same_file_name(name, first, item)


def _written_digests(recipe: Recipe, engine: PhaseServices) -> WrittenDigests | None:
    """Return where the digests of what archives bring are kept until the payload is published.

    A build makes other files of them, perhaps of very many.
    """
    if recipe.loaded.definition.build is not None:
        return None
    root = recipe.placement.entry.root
    return WrittenDigests(search_roots(root, engine.services.spellings))
