"""`envy remove`: remove packages from the manifest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from envy.cli.edited_install import follow_edit
from envy.cli.edits import (
    alias_of,
    key_of,
    listed,
    manifest_to_edit,
    package_of,
    shown_key,
    tell,
    tool_of,
)
from envy.cli.manifest_path import globally
from envy.cli.options import envy_command
from envy.cli.settings import Settings
from envy.declarations.key import Query, RecipeKey
from envy.declarations.locations import shown_path
from envy.declarations.manifest_edit import ManifestFile, Removal, edited
from envy.declarations.manifest_write import write_manifest
from envy.errors import EnvyError, UsageError
from envy.suggest import did_you_mean

if TYPE_CHECKING:
    from envy.graph.recipe import Edge, Recipe


@envy_command(
    short_help="Remove packages from envy.lua.",
    examples=[
        ("envy remove ninja", "the entry of this package"),
        ("envy remove 'ninja{version=1.11.1}'", "one of several variants"),
        ("envy remove moon cmake", "by alias, and by name"),
        ("envy remove pypi:httpie", "a program of the package index"),
    ],
)
@click.argument("queries", nargs=-1, required=True, metavar="QUERY...")
@click.option("--global", "is_global", is_flag=True, help="Change your own manifest.")
def command(settings: Settings, queries: tuple[str, ...], *, is_global: bool) -> int:
    """Remove the entry that each QUERY names from `packages` in the manifest.

    An entry goes with its line; comments on lines of their own stay. Everything else keeps its
    text, as with `envy add`. The package stays in the cache for other projects, until `envy cache
    gc` removes what none needs.
    """
    if is_global:
        settings, _ = globally(settings)
    manifest = manifest_to_edit(settings)
    indexes = [_index_of(query, manifest, settings) for query in queries]
    for index in indexes:
        named = [query for query, other in zip(queries, indexes, strict=True) if other == index]
        if len(named) > 1:
            same = f"{named[0]} is named twice" if named[0] == named[1] else ""
            text = same or f"{named[0]} and {named[1]} are the same entry, {manifest.at(index)}"
            raise UsageError(text, hint="name each package once")
    new = manifest
    for index in sorted(indexes, reverse=True):
        new = edited(new, Removal(index), settings.environment)
    write_manifest(new.path, new.content, before=manifest.content)
    for index in indexes:
        tell(settings, f"removed {shown_key(manifest.entries[index])} from {shown_path(new.path)}")
    return follow_edit(new, manifest, settings)


def _index_of(query: str, manifest: ManifestFile, settings: Settings) -> int:
    """Return the index of the only entry that a query names.

    Raises:
        EnvyError: none does, or several do.
    """
    entries = manifest.entries
    found = [i for i, entry in enumerate(entries) if query and alias_of(entry) == query]
    found = found or [i for i, entry in enumerate(entries) if query and package_of(entry) == query]
    if not found:
        parsed = Query.parse(query)
        keys = [(i, key_of(entry)) for i, entry in enumerate(entries)]
        matching = [(i, key) for i, key in keys if key is not None and parsed.matches(key)]
        exact = [i for i, key in matching if key.canonical == query]
        found = exact or [i for i, _key in matching]
        found = found or [i for i, entry in enumerate(entries) if tool_of(entry) == query]
    if len(found) == 1:
        return found[0]
    if found:
        raise EnvyError(
            f"{len(found)} entries answer to '{query}':{listed(manifest, found)}",
            hint="name one by its alias or its options, or remove one yourself if they are equal",
        )
    raise _not_listed(query, manifest, settings)


def _not_listed(query: str, manifest: ManifestFile, settings: Settings) -> EnvyError:
    """Return the error for a query that names no entry; it says what needs such a package."""
    shown = shown_path(manifest.path)
    needed = _dependents_of(query, settings)
    if needed:
        return EnvyError(
            f"{query} is not listed in {shown}; it is a dependency of {', '.join(needed)}",
            hint="`envy why` shows the way to it",
        )
    keys = [key for entry in manifest.entries if (key := key_of(entry)) is not None]
    names = {key.name for key in keys}
    names |= {name(entry) for entry in manifest.entries for name in (alias_of, tool_of)} - {""}
    hint = did_you_mean(query, names) or "`packages` is empty"
    return EnvyError(f"{shown} lists no package that answers to '{query}'", hint=hint)


def _dependents_of(query: str, settings: Settings) -> list[str]:
    """Return the keys of the packages that depend on one that a query matches, sorted."""
    from envy.cache.resolutions import Upstream
    from envy.cli.wiring import open_session

    try:
        with open_session(
            settings,
            owns_stdout=True,
            installs=False,
            writes=False,
            upstream=Upstream.LEFT_ALONE,
        ) as session:
            session.resolved()
            wanted = {recipe.key for recipe in session.find_matches(query)}
            return _owners(session.recipes(), wanted, session.all_edges)
    except EnvyError:
        return []  # the graph of the project has an error of its own, which a sync reports


def _owners(
    recipes: Sequence[Recipe],
    wanted: set[RecipeKey],
    edges_of: Callable[[RecipeKey], Sequence[Edge]],
) -> list[str]:
    owners = (
        recipe.key.canonical
        for recipe in recipes
        if any(edge.key in wanted for edge in edges_of(recipe.key))
    )
    return sorted(owners)
