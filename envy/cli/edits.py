"""What `envy add` and `envy remove` have in common: opening, showing and writing the manifest."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from envy.cli.settings import Settings, current_directory
from envy.console.text import safe_line, say
from envy.declarations.key import Query, RecipeKey
from envy.declarations.manifest_edit import ManifestFile, identity_of, open_manifest
from envy.declarations.manifest_search import find_manifest
from envy.declarations.manifest_write import check_writable
from envy.declarations.option_text import OptionValue
from envy.declarations.tool_name import registry_package
from envy.errors import EnvyError, ManifestError


def manifest_to_edit(settings: Settings) -> ManifestFile:
    """Return the manifest of the project, loaded.

    Raises:
        ManifestError: there is none, it is read-only or not valid; LuaScriptError: its code fails.
    """
    try:
        path = find_manifest(settings.manifest or current_directory(), named=settings.manifest)
    except ManifestError as error:
        if settings.manifest is None:
            error.hint += "; --global changes your own, which is used where there is no other"
        raise
    check_writable(path)
    return open_manifest(path, settings.environment)


def tell(settings: Settings, text: str) -> None:
    """Print a line about what was done, unless only errors are wanted."""
    if not settings.quiet:
        say(sys.stderr, safe_line(text))


def key_of(entry: object) -> RecipeKey | None:
    """Return the key of an entry; None if its options are not plain."""
    options = entry.get("options") if isinstance(entry, dict) else None
    try:
        return RecipeKey.of(identity_of(entry), options if isinstance(options, dict) else {})
    except EnvyError:
        return None


def shown_key(entry: object) -> str:
    """Return an entry's canonical key, or its identity."""
    key = key_of(entry)
    return identity_of(entry) if key is None else key.canonical


def option_of(entry: object, name: str) -> OptionValue | None:
    """Return an option of an entry; None if it is not given."""
    options = entry.get("options") if isinstance(entry, dict) else None
    return options.get(name) if isinstance(options, dict) else None


def package_of(entry: object) -> str:
    """Return the package of a registry that an entry installs, such as "pypi:black"; or ""."""
    return registry_package(identity_of(entry), option_of(entry, "package"))


def tool_of(entry: object) -> str:
    """Return the name that queries have for a package of a registry; "" for other entries."""
    return package_of(entry).rpartition("/")[2].rpartition(":")[2].replace(".", "-")


def alias_of(entry: object) -> str:
    """Return the alias that an entry gives its package; "" if none."""
    alias = entry.get("alias") if isinstance(entry, dict) else None
    return alias if isinstance(alias, str) else ""


def answers_to(entry: object, query: str) -> bool:
    """Return whether an entry is what a query names, by any of its names."""
    if query and query in {alias_of(entry), package_of(entry), tool_of(entry)}:
        return True
    key = key_of(entry)
    return key is not None and Query.parse(query).matches(key)


def listed(manifest: ManifestFile, indexes: Sequence[int]) -> str:
    """Return a line for each entry, with its location."""
    rows = (f"\n    {shown_key(manifest.entries[i])}, in {manifest.at(i)}" for i in indexes)
    return "".join(rows)
