"""The record of a key that is stored beside an entry, and why an entry is missing now."""

from __future__ import annotations

import json

from envy.cache.explanation import (
    KeyRecord,
    changes,
    format_key_record,
    nearest_earlier,
    read_key_record,
)
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.masking import MASK, masked, masked_data

_MAX_DEPTH = 8


def key_record_text(recipe: Recipe, engine: PhaseServices) -> str:
    """Return the record to store: the ingredients of the key, and notes that explain them."""
    return format_key_record(recipe.placement.ingredients, _notes(recipe, engine))


def _current_key_record(recipe: Recipe, engine: PhaseServices) -> KeyRecord:
    return KeyRecord(
        ingredients=json.loads(recipe.placement.ingredients), notes=_notes(recipe, engine)
    )


def _notes(recipe: Recipe, engine: PhaseServices) -> dict[str, object]:
    """Return what explains a key; notes may hold no secret, and are in no key."""
    definition = recipe.loaded.definition
    notes: dict[str, object] = {
        "key": recipe.key.canonical,
        "relocate": list(definition.relocate),
        "writable": definition.writable,
        "dependencies": {
            other.placement.entry_key: other.key.canonical
            for edge in engine.graph.edges(recipe.key)
            for other in [engine.graph.recipes[edge.key]]
        },
    }
    if recipe.loaded.text:
        notes["recipe"] = recipe.loaded.text.encode("utf-8", "surrogateescape").decode(
            "utf-8", "replace"
        )
    return masked_data(notes)


def why_missing(recipe: Recipe, engine: PhaseServices) -> list[str]:
    """Return what changed since the nearest earlier entry of the package; [] if none exists."""
    if recipe.placement_or_none is None or not recipe.placement.ingredients:
        return []
    new = _current_key_record(recipe, engine)
    old = nearest_earlier(engine.services.layout, new)
    if old is None or json.loads(recipe.placement.ingredients) == old.ingredients:
        return []
    return _compare(old, new, engine, depth=0)


def _compare(old: KeyRecord, new: KeyRecord, engine: PhaseServices, *, depth: int) -> list[str]:
    by_name = {masked(other.key.canonical): other for other in _dependencies_of(engine, new)}

    def deeper(name: str, entry_key: str) -> list[str]:
        other = by_name.get(name)
        if (
            depth >= _MAX_DEPTH
            or other is None
            or other.placement_or_none is None
            or not other.placement.ingredients
        ):
            return []
        services = engine.services
        before = read_key_record(
            services.layout.entry(other.key.identity, services.platform.tag, entry_key)
        )
        if before is None:
            return []
        return _compare(before, _current_key_record(other, engine), engine, depth=depth + 1)

    return changes(old, new, deeper=deeper)


def _dependencies_of(engine: PhaseServices, kept: KeyRecord) -> list[Recipe]:
    """Return the recipes of the graph that a record names as dependencies."""
    from envy.declarations.key import RecipeKey

    recipes = engine.graph.recipes
    names = set(kept.notes.get("dependencies", {}).values())
    if any(MASK in name for name in names):
        return [recipe for recipe in recipes.values() if masked(recipe.key.canonical) in names]
    return [recipes[RecipeKey.parse(name)] for name in names]
