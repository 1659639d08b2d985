"""Text: output of children, messages of recipes, and messages of envy about recipes."""

from typing import ClassVar

from envy.events.base import Event, event
from envy.phase import RecipePhase


@event
class OutputLine(Event):
    text: ClassVar[str] = "{recipe} | {text_}"
    in_files: ClassVar[bool] = False
    recipe: str
    phase: RecipePhase
    stream: str
    text_: str


@event
class LogMessage(Event):
    """A message that a recipe logs with envy.info and the like, or envy about a recipe."""

    text: ClassVar[str] = "{recipe}: {level}: {message}"
    recipe: str
    level: str  # debug, info, warn, error
    message: str


@event
class StandardOutput(Event):
    """A line that a recipe or a manifest printed with envy.stdout."""

    text: ClassVar[str] = "{message}"
    recipe: str
    message: str
