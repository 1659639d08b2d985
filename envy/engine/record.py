"""The only module of the engine that writes to a recipe's `Work`; phases write the rest of it."""

from __future__ import annotations

from collections.abc import Sequence

from envy.graph.recipe import Recipe


def begin_phase(recipe: Recipe) -> None:
    """A phase begins: no time has been spent away from its slot, and it has no log yet."""
    recipe.work.away = 0.0
    recipe.work.log_path = None


def add_time_away(recipe: Recipe, seconds: float) -> None:
    """The worker of the recipe has waited without its slot."""
    recipe.work.away += seconds


def mark_wanted(recipe: Recipe) -> None:
    """The recipe is to be completed in this run."""
    recipe.work.wanted = True


def mark_missing(recipe: Recipe) -> None:
    """The entry that was found before is missing, or the check of the recipe fails."""
    recipe.work.cached = False


def expect(recipe: Recipe, seconds: Sequence[float] | None) -> None:
    """Its phases from fetch on took so long in earlier runs; None: it was never measured."""
    recipe.work.expected = seconds


def add_duration(recipe: Recipe, position: int, seconds: float, *, phases: int) -> None:
    """The phase at `position`, counted from fetch on, of so many `phases`, took so long."""
    if recipe.work.took is None:
        recipe.work.took = [0.0] * phases
    recipe.work.took[position] += seconds
