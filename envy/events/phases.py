"""The phases of a recipe, its beginning and its end."""

from typing import ClassVar

from envy.events.base import Event, event
from envy.phase import RecipePhase


@event
class PackagesWanted(Event):
    """More packages are wanted; of these, `missing` are not ready in the cache and need work."""

    text: ClassVar[str] = "{packages} packages wanted, {missing} not in the cache"
    packages: int
    missing: int


@event
class PhaseStart(Event):
    text: ClassVar[str] = "{recipe}: {phase}"
    recipe: str
    key: str
    phase: RecipePhase


@event
class PhaseComplete(Event):
    """`duration_ms` is the phase's own time, without waits for locks and for the user's consent."""

    text: ClassVar[str] = "{recipe}: {phase} done in {duration_ms} ms"
    recipe: str
    key: str
    phase: RecipePhase
    duration_ms: int


@event
class PhaseFailure(Event):
    name: ClassVar[str] = "phase_failed"
    text: ClassVar[str] = "{recipe}: {phase} failed: {error}"
    recipe: str
    key: str
    phase: RecipePhase
    error: str


@event
class PhaseSilent(Event):
    """A phase whose program has printed nothing for a minute."""

    text: ClassVar[str] = "{recipe}: {phase} silent for {seconds} s (pid {pid}: {command})"
    recipe: str
    phase: RecipePhase
    pid: int
    command: str
    seconds: int


@event
class RecipeComplete(Event):
    """A recipe is complete: `outcome` is cached, installed, satisfied or changed."""

    text: ClassVar[str] = "{recipe}: {outcome}"
    recipe: str
    key: str
    outcome: str
    asset_path: str


@event
class RecipeAborted(Event):
    text: ClassVar[str] = "{recipe}: aborted, because {dependency} failed"
    recipe: str
    key: str
    dependency: str
