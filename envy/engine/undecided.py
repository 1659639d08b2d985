"""Values that a manifest passes on before the recipes are known that may declare them as secret.

The manifest runs first, and may print a variable, or hand it to a recipe as an option, which is
then in the recipe's key and so in every event. Events are held until the recipes are loaded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from envy.events import EventBus
from envy.graph.recipe import Recipe
from envy.masking import SHORTEST, Secrets, remember


class Undecided:
    """The variables that the manifest has read, until the first recipes have been fetched."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._values: frozenset[str] = frozenset()

    def manifest_read(self, variables: Mapping[str, str | None]) -> None:
        """Note what the manifest has read so far; after the first variable, events wait."""
        values = {value for value in variables.values() if value and len(value) >= SHORTEST}
        if values and not self._values:
            self._bus.hold(self._give_up)
        self._values |= values

    def decide(self, recipes: Iterable[Recipe]) -> None:
        """Let the events go: what is secret in the recipes that are loaded is known.

        A value in the key of a recipe that is not loaded, perhaps never, is treated as secret.
        """
        if self._values:
            found = Secrets(self._values)
            for recipe in recipes:
                if recipe.loaded_or_none is None and recipe.key.options:
                    remember(found.occur_in(recipe.key.canonical))
            self._values = frozenset()
            self._bus.release()

    def _give_up(self) -> None:
        """Treat every value that was read as secret, since the events go before it is known."""
        remember(self._values)
        self._values = frozenset()
