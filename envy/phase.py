"""The phases of a recipe, in the order in which they run."""

from enum import IntEnum


class RecipePhase(IntEnum):
    """A step in the life of a recipe; its `current_phase` is the last phase it completed."""

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
        """The name in recipes, messages and events, such as `recipe_fetch`."""
        return LABELS[self]


LABELS: dict[RecipePhase, str] = {phase: phase.name.lower() for phase in RecipePhase}

# The values of `needed_by`. Dependencies of a source are always needed by recipe_fetch, so that
# phase is never written.
NEEDED_BY: dict[str, RecipePhase] = {
    phase.label: phase for phase in RecipePhase if phase >= RecipePhase.CHECK
}
