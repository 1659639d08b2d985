"""The packages of a manifest and the shipped recipes as rows and documents, for `envy list`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from envy.console.text import safe_line
from envy.declarations.shipped_table import ShippedRecipe
from envy.explain.view import state_of

if TYPE_CHECKING:
    from envy.engine.session import Session
    from envy.graph.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedPackage:
    """A package that the manifest lists; `version` and `license` are "" where it states none."""

    key: str
    name: str
    version: str
    license: str
    description: str
    provides: tuple[str, ...]
    state: str  # the words for people
    state_name: str  # the word for programs
    aliases: tuple[str, ...]


def listed_packages(session: Session) -> list[ListedPackage]:
    """Return the packages of the manifest, in its order; call after `compute_keys`."""
    return [_listed(session, session.recipe(key)) for key in session.roots]


def _listed(session: Session, recipe: Recipe) -> ListedPackage:
    loaded = recipe.loaded_or_none
    about: Mapping[str, str] = loaded.definition.about if loaded is not None else {}
    options = loaded.definition.options if loaded is not None else recipe.key.options
    state = state_of(session, recipe)
    own_alias = [recipe.alias] if recipe.alias else []
    return ListedPackage(
        key=recipe.key.canonical,
        name=recipe.key.name,
        version=str(options.get("version", about.get("version", ""))),
        license=about.get("license", ""),
        description=about.get("description", ""),
        provides=tuple(sorted(recipe.provides)),
        state="installed" if state.name == "CACHED" else state.value,
        state_name=state.name.lower(),
        aliases=tuple(dict.fromkeys([*session.aliases_of(recipe.key), *own_alias])),
    )


def package_rows(packages: Iterable[ListedPackage]) -> list[str]:
    """Return a line for each package: key, version, license, state and what it provides."""
    return aligned(
        [
            (row.key, row.version, row.license, row.state, ", ".join(row.provides))
            for row in packages
        ]
    )


def packages_document(packages: Iterable[ListedPackage]) -> dict[str, object]:
    """Return the document of `envy list --json`."""
    return {
        "packages": [
            {
                "key": row.key,
                "name": row.name,
                "version": row.version,
                "license": row.license,
                "description": row.description,
                "provides": list(row.provides),
                "state": row.state_name,
                "aliases": list(row.aliases),
            }
            for row in packages
        ]
    }


def recipe_rows(recipes: Iterable[ShippedRecipe]) -> list[str]:
    """Return a line for each recipe: name, version, license, what it provides and what it is."""
    return aligned(
        [
            (row.name, row.version, row.license, ", ".join(row.products), row.description)
            for row in recipes
        ]
    )


def bundled_rows(recipes: Iterable[tuple[ShippedRecipe, str]]) -> list[str]:
    """Return a line for each recipe of a bundle: as `recipe_rows`, then the bundle."""
    return aligned(
        [
            (row.name, row.version, row.license, ", ".join(row.products), row.description, bundle)
            for row, bundle in recipes
        ]
    )


def bundled_document(recipes: Iterable[tuple[ShippedRecipe, str]]) -> dict[str, object]:
    """Return the document of `envy list --bundles --json`."""
    return {
        "recipes": [{**_recipe_row(row), "bundle": bundle} for row, bundle in recipes],
    }


def recipes_document(recipes: Iterable[ShippedRecipe]) -> dict[str, object]:
    """Return the document of `envy list --shipped --json`."""
    return {"recipes": [_recipe_row(row) for row in recipes]}


def _recipe_row(row: ShippedRecipe) -> dict[str, object]:
    return {
        "identity": row.identity,
        "name": row.name,
        "version": row.version,
        "versions": [
            {"version": version, "sha256": dict(digests)}
            for version, digests in row.versions.items()
        ],
        "license": row.license,
        "description": row.description,
        "provides": list(row.products),
        "platforms": list(row.platforms),
        "user_managed": row.user_managed,
    }


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Return lines with columns as wide as their longest text; an empty column is left out."""
    safe = [[safe_line(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*safe, strict=True)]
    return [
        "  ".join(
            f"{text:<{width}}" for text, width in zip(row, widths, strict=True) if width
        ).rstrip()
        for row in safe
    ]
