"""What a `fetch` function returned, as sources."""

from __future__ import annotations

from envy.declarations import fields
from envy.declarations.locations import location_of_function
from envy.declarations.sources import SourceItem, parse_source_items
from envy.errors import DeclarationError
from envy.graph.recipe import Recipe
from envy.lua.values import LuaFunction, LuaValue


def returned_sources(
    recipe: Recipe, function: LuaFunction, answer: LuaValue
) -> tuple[SourceItem, ...]:
    """Return the sources that a `fetch` function returned.

    Raises:
        DeclarationError: the value does not describe sources; the message says what it is.
    """
    if answer is None:
        return ()
    try:
        return parse_source_items(
            answer,
            origin=location_of_function(function),
            base_dir=recipe.loaded.definition.path.parent,
        )
    except DeclarationError as error:
        error.message = f"the function returned {fields.describe_returned(answer)}: {error.message}"
        raise
