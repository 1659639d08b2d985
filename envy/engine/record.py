"""The engine's writes to a recipe's `Work`, all in this module; phases write the rest of it."""

from __future__ import annotations

from collections.abc import Sequence

from envy.graph.recipe import Recipe


def begin_phase(recipe: Recipe) -> None:
    """Note that a phase begins: it has spent no time without its slot, and has no log yet."""
    recipe.work.away = 0.0
    recipe.work.log_path = None


def add_time_away(recipe: Recipe, seconds: float) -> None:
    """Add time that the worker of the recipe has waited without its slot."""
    recipe.work.away += seconds


def mark_wanted(recipe: Recipe) -> None:
    """Note that the recipe is to be completed in this run."""
    recipe.work.wanted = True


def mark_taken(recipe: Recipe) -> None:
    """Note that the recipe's entry was taken from a depot in this run."""
    recipe.work.taken = True


def mark_missing(recipe: Recipe) -> None:
    """Note that the entry found earlier is missing now, or that the recipe's check fails."""
    recipe.work.cached = False


def expect(recipe: Recipe, seconds: Sequence[float] | None) -> None:
    """Set how long the phases from fetch on took in earlier runs; None: never measured."""
    recipe.work.expected = seconds


def add_duration(recipe: Recipe, position: int, seconds: float, *, phases: int) -> None:
    """Add the time of the phase at `position` among the `phases` that count, fetch first."""
    if recipe.work.took is None:
        recipe.work.took = [0.0] * phases
    recipe.work.took[position] += seconds
