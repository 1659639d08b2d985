"""fetch: bring what the recipe needs into its fetch folder, verified.

What is there already with a matching digest is used again, so a failed attempt loses no download.
Only what this attempt fetched counts for staging; anything else in the folder is removed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from envy import fields, files
from envy.cache.layout import FETCH
from envy.cache.read import names_in
from envy.cache.trees import digest_file
from envy.errors import DeclarationError
from envy.lua.convert import LuaFunction, LuaValue
from envy.origins import place_of_function
from envy.phase import RecipePhase
from envy.phases.setting import Setting, setting
from envy.phases.surface import Engine
from envy.phases.transfer import fetch_batch
from envy.phases.verbs import call_verb
from envy.recipe import Recipe
from envy.sources import Scheme, SourceItem, local_path, parse_source_items, scheme_of
from envy.transport.digests import ExpectedDigest, verify_digest


def run_fetch_phase(recipe: Recipe, engine: Engine) -> None:
    """Fetch what `fetch` says: data, or a function that fetches, returns data, or both.

    Raises:
        FetchError: something could not be brought here, or is not what was promised.
    """
    definition = recipe.definition
    entry = recipe.entry
    assert definition is not None
    assert entry is not None
    recipe.fetched = {}
    if recipe.sources is None:
        assert isinstance(definition.fetch, LuaFunction)
        with setting(recipe, engine, RecipePhase.FETCH, run_dir=entry.tmp_dir) as place:
            answer = call_verb(place, definition.fetch)
            if answer is not None:
                items = parse_source_items(
                    answer,
                    origin=place_of_function(definition.fetch),
                    base_dir=definition.path.parent,
                )
                _fetch_items(recipe, engine, items)
    elif recipe.sources:
        _fetch_items(recipe, engine, recipe.sources)
    for name in names_in(entry.at(FETCH)):
        if name not in recipe.fetched:
            files.remove(entry.fetch_dir / name)


def _fetch_items(recipe: Recipe, engine: Engine, items: Sequence[SourceItem]) -> None:
    assert recipe.entry is not None
    fetched = fetch_batch(recipe, engine, items, recipe.entry.fetch_dir)
    for item, result in zip(items, fetched, strict=True):
        recipe.fetched[result.path.name] = item


def fetch_for_ctx(place: Setting, spec: object) -> LuaValue:
    """`ctx.fetch`: bring files into the run directory; returns their names as `spec` is shaped."""
    items = parse_source_items(spec, origin=None, base_dir=place.base_dir)
    for item in items:
        _check_local(place, item)
    fetched = fetch_batch(place.recipe, place.engine, items, place.run_dir)
    names: list[LuaValue] = []
    for item, result in zip(items, fetched, strict=True):
        name = str(result.path.relative_to(place.run_dir))
        place.sources[name] = item
        names.append(name)
    return names if isinstance(spec, list) else names[0]


def _check_local(place: Setting, item: SourceItem) -> None:
    """A local file that a function fetches must be in the key, like any other it reads."""
    if scheme_of(item.source) in {Scheme.LOCAL, Scheme.FILE} and not place.may_read(
        local_path(item)
    ):
        raise DeclarationError(
            f"ctx.fetch: {item.source} lies in the recipe's own folder and is not among its "
            "`inputs`, so a change of it would go unnoticed",
            hint=f'add it: inputs = {{ "{item.source}" }}',
        )


def commit_for_ctx(place: Setting, arguments: Sequence[object]) -> None:
    """`ctx.commit_fetch`: verify files of the run directory, then move all of them, or none."""
    assert place.fetch_dir is not None
    wanted: list[object] = []
    for argument in arguments:
        wanted += argument if isinstance(argument, list) else [argument]
    if not wanted:
        raise DeclarationError("ctx.commit_fetch: say which files", hint="ctx.commit_fetch(name)")
    checked = [_check_commit(place, row) for row in wanted]
    for name, path in checked:
        target = place.fetch_dir / path.name
        files.remove(target)
        files.move(path, target)
        source = place.sources.get(name)
        place.recipe.fetched[path.name] = source or SourceItem(
            source=path.name, base_dir=place.run_dir
        )


def _check_commit(place: Setting, row: object) -> tuple[str, Path]:
    table = {"filename": row} if isinstance(row, str) else row
    if not isinstance(table, dict):
        raise DeclarationError(
            "ctx.commit_fetch takes names and tables such as { filename = name, sha256 = … }"
        )
    known = frozenset({"filename", "sha256", "blake3"})
    fields.check_known(table, known, what="an argument of ctx.commit_fetch", origin=None)
    name = table.get("filename")
    if not isinstance(name, str) or not name:
        raise DeclarationError("ctx.commit_fetch: `filename` is missing")
    path = files.resolve(place.run_dir, name)
    if not files.exists(path):
        raise DeclarationError(
            f"ctx.commit_fetch: there is no {name} in {place.run_dir}",
            hint="fetch it first: ctx.fetch(…) returns its name",
        )
    for algorithm in ("sha256", "blake3"):
        expected = str(table.get(algorithm) or "").lower()
        if expected:
            _verify(path, algorithm, expected)
    return name, path


def _verify(path: Path, algorithm: str, expected: str) -> None:
    if algorithm == "blake3":
        actual = digest_file(path)
    else:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, algorithm).hexdigest()
    verify_digest(actual, ExpectedDigest(algorithm=algorithm, hexdigest=expected), uri=path.name)
