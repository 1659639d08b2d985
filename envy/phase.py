"""The phases of a recipe, in the order in which they run."""

from enum import IntEnum


class RecipePhase(IntEnum):
    """What a recipe goes through; a recipe's `current_phase` is the last one it completed."""

    NONE = -1
    RECIPE_FETCH = 0
    CHECK = 1
    FETCH = 2
    STAGE = 3
    BUILD = 4
    INSTALL = 5
    DEPLOY = 6
    COMPLETION = 7

    @property
    def label(self) -> str:
        """The name that recipes, messages and events use, such as `recipe_fetch`."""
        return LABELS[self]


LABELS: dict[RecipePhase, str] = {phase: phase.name.lower() for phase in RecipePhase}

# What `needed_by` may name. A source's own dependencies are needed by recipe_fetch, always, so
# that one is never written.
NEEDED_BY: dict[str, RecipePhase] = {
    phase.label: phase for phase in RecipePhase if phase >= RecipePhase.CHECK
}
