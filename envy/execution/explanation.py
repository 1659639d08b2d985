"""The record of a key that is stored beside an entry, and why an entry is missing now."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from envy.cache.explanation import (
    KeyRecord,
    changes,
    format_key_record,
    nearest_earlier,
    read_key_record,
)
from envy.cache.read import lookup
from envy.execution.services import PhaseServices
from envy.graph.recipe import Recipe
from envy.masking import MASK, masked, masked_code, masked_data

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
    notes: dict[str, Any] = {
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
        text = masked_code(recipe.loaded.text)
        notes["recipe"] = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    texts = [notes["key"], notes.get("recipe", ""), *notes["relocate"]]
    texts += notes["dependencies"].values()
    text = "\n".join(texts)  # one search for all of them
    return masked_data(notes) if masked(text) is not text else notes


@dataclass(frozen=True, slots=True)
class Missing:
    """Why a sync would not find a package in the cache, and what changed since the last build.

    With `relocated`, a sync rewrites the entry for this cache root and builds nothing.
    """

    reason: str
    changes: tuple[str, ...] = ()
    relocated: bool = False

    @property
    def text(self) -> str:
        """The reason and the changes, on one line."""
        return "; ".join([self.reason, *(line.strip() for line in self.changes)])


def explain_missing(recipe: Recipe, engine: PhaseServices) -> Missing | None:
    """Return why a package would be built, as a sync judges it; None if it is in the cache."""
    entry = recipe.placement.entry
    found = lookup(entry, recipe.entry_key)
    if found.hit:
        return None
    if found.elsewhere:
        from envy.cache.relocate import why_not_relocatable

        obstacle = why_not_relocatable(entry)
        if not obstacle:
            return Missing(
                "it was built under another cache root, and is rewritten", relocated=True
            )
        return Missing(f"{found.reason}: {obstacle}")
    changes = tuple(why_missing(recipe, engine))
    if changes and not os.path.lexists(entry.location):
        return Missing("it has changed since the last build", changes)
    return Missing(found.reason, changes)


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
