"""What `envy outdated` and `envy upgrade` have in common: asking what is newer."""

from __future__ import annotations

import datetime as dt
import sys
from collections.abc import Collection, Sequence

from envy.cache.resolutions import Upstream
from envy.cli.edits import answers_to, shown_key
from envy.cli.manifest_path import manifest_path
from envy.cli.outcome import print_failures, resolved
from envy.cli.settings import Settings
from envy.cli.wiring import open_session
from envy.console.text import safe_lines, write_line
from envy.declarations.manifest_edit import ManifestFile, open_manifest
from envy.declarations.spec import BUNDLED
from envy.engine.session import Session
from envy.errors import EnvyError, RecipeError, SourceLocation
from envy.explain.upgrades import (
    Listed,
    Upgrade,
    Wish,
    find_bundle_upgrades,
    find_upgrades,
    listed_entries,
)
from envy.masking import masked_data


def found_upgrades(
    settings: Settings,
    queries: Sequence[str],
    *,
    to: str = "",
    least_age: float = 0.0,
    manifest: ManifestFile | None = None,
) -> tuple[list[Upgrade], int]:
    """Return what each entry of the manifest names and what is newer, in order, and an exit code.

    With queries, only entries of packages that answer to them. The code is 1 if a recipe could not
    be read, which was printed, unless that is because its digest is out of date.

    Raises:
        EnvyError: a query matches no entry, or the version `to` does not exist.
    """
    if manifest is None:
        path = manifest_path(settings)
        manifest = open_manifest(path, settings.environment)
    now = dt.datetime.now(dt.UTC)
    wish = Wish(to=to, least_age=least_age, now=now, names_it=bool(queries))
    with open_session(settings, owns_stdout=True, upstream=Upstream.ASKED) as session:
        resolved(session)
        rows = [(i, entry, manifest.at(i)) for i, entry in enumerate(manifest.entries)]
        for query in queries:
            _check_platform(session, query, rows)
        here = listed_entries(session, rows)
        entries = _selected(session, here, queries)
        if not queries and not settings.quiet:
            _note_others(session, manifest, here)
        found = [one for entry in entries for one in find_upgrades(session, entry, wish)]
        if not to:
            found += _of_bundles(session, manifest, entries if queries else None, wish)
        outdated = {one.package for one in found if one.fields}
        failures = [
            failure
            for failure in session.failures()
            if failure.key not in outdated and not _in_bundle(failure, session, outdated)
        ]
        print_failures(failures, settings.environment)
    return found, 1 if failures else 0


def _of_bundles(
    session: Session, manifest: ManifestFile, entries: Sequence[Listed] | None, wish: Wish
) -> list[Upgrade]:
    """Return what the bundles of some entries name, or all bundles."""
    rows = [(i, row, manifest.at(i, "bundles")) for i, row in enumerate(manifest.listed("bundles"))]
    found = list(find_bundle_upgrades(session, rows, wish)) if rows else []
    if entries is None:
        return found
    loaded = [entry.recipe.loaded_or_none for entry in entries]
    used = {one.bundle for one in loaded if one is not None}
    return [one for one in found if one.package in used]


def _in_bundle(failure: RecipeError, session: Session, outdated: Collection[str]) -> bool:
    """Return whether a recipe failed that may be in a bundle whose digest is out of date."""
    recipes = {recipe.key.canonical: recipe for recipe in session.recipes()}
    is_bundled = failure.key in recipes and recipes[failure.key].spec.source is BUNDLED
    return is_bundled and any(bundle.shown in outdated for bundle in session.manifest.bundles)


def _note_others(session: Session, manifest: ManifestFile, here: Sequence[Listed]) -> None:
    """Say which entries are for other platforms, and so were not looked at."""
    indexes = {entry.index for entry in here}
    keys = {recipe.key.canonical for recipe in session.recipes() if not recipe.excluded}
    left = [entry for i, entry in enumerate(manifest.entries) if i not in indexes]
    names = [shown_key(entry) for entry in (*left, *manifest.elsewhere)]
    names = sorted({name for name in names if name not in keys})
    if names:
        count = f"{len(names)} entries are" if len(names) > 1 else "1 entry is"
        text = f"note: {count} for other platforms, and not compared: {', '.join(names)}"
        for line in safe_lines(str(masked_data(text))):
            write_line(sys.stderr, line)


def _check_platform(
    session: Session, query: str, rows: Sequence[tuple[int, object, SourceLocation]]
) -> None:
    """Check that a query does not name only entries for other platforms."""
    if session.find_matches(query):
        return
    for _, entry, origin in rows:
        if answers_to(entry, query):
            raise EnvyError(
                f"{shown_key(entry)} is not for this platform, in {origin}",
                hint="run the command on its platform, or change the version yourself",
            )


def _selected(session: Session, entries: Sequence[Listed], queries: Sequence[str]) -> list[Listed]:
    if not queries:
        return list(entries)
    found: dict[int, Listed] = {}
    for query in queries:
        matches = session.find_matches(query) or [session.find_one(query)]
        keys = {recipe.key for recipe in matches}
        here = [entry for entry in entries if entry.recipe.key in keys]
        if not here:
            names = ", ".join(recipe.key.canonical for recipe in matches)
            raise EnvyError(
                f"{query!r} is not listed in the manifest: only other packages need {names}",
                hint="an entry of its own or an override decides its version: envy why " + query,
            )
        found.update((entry.index, entry) for entry in here)
    return [found[index] for index in sorted(found)]
