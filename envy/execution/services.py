"""What phases see of the world: the collaborators, and the few things the engine does for them.

Phases import everything to their left and nothing of the engine; this is the whole of what they
may ask of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from envy.declarations.key import RecipeKey
from envy.declarations.spec import RecipeSpec
from envy.errors import SourceLocation
from envy.events import EventBus
from envy.graph.recipe import Recipe
from envy.host.platform import Platform
from envy.lua.open_states import OpenStates
from envy.transport.context import Memo

if TYPE_CHECKING:
    from envy.cache.layout import CacheLayout
    from envy.host.children import Children
    from envy.host.shell import Shell
    from envy.jobserver.budget import Jobserver


class Terminal(Protocol):
    """The user, if there is one: asked questions, and lent to interactive runs."""

    def consent(self, list_packages: Callable[[], Sequence[str]]) -> None:
        """Ask whether user-managed packages may be installed: those listed, should it be asked.

        Raises:
            EnvyError: the answer is no, or nobody can be asked.
        """

    def lent(self) -> AbstractContextManager[None]:
        """The terminal, for one program at a time.

        Raises:
            EnvyError: there is no terminal.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The collaborators that the wiring builds, one of each for a command."""

    platform: Platform
    environment: Mapping[str, str]
    project_dir: Path
    layout: CacheLayout
    events: EventBus
    children: Children
    terminal: Terminal
    cores: int
    fetch_jobs: int
    stamp: str  # names this run's log folders, and sorts by time
    jobserver: Jobserver | None = None  # None: tools in scripts are on their own
    memo: Memo = field(default_factory=Memo)  # what was asked of repositories and registries
    open_states: OpenStates = field(default_factory=OpenStates)


class PhaseServices(Protocol):
    """What a phase may ask of the engine."""

    services: Services

    def ensure_recipe(self, spec: RecipeSpec, *, parent: RecipeKey | None = None) -> Recipe:
        """The one recipe for this key, made now if nobody asked for it before."""

    def start_recipe(self, recipe: Recipe) -> None:
        """Let a recipe that was just declared be fetched."""

    def recipe(self, key: RecipeKey) -> Recipe:
        """The recipe of a key that is in the graph."""

    def is_complete(self, key: RecipeKey) -> bool:
        """Whether a recipe has completed its last phase."""

    def matches_platform(self, platforms: Sequence[str], origin: SourceLocation) -> bool:
        """Whether something with these `platforms` exists on this one."""

    def stopped(self) -> bool:
        """Whether the run has been cancelled."""

    def wait_without_slot(self, recipe: Recipe, waiting_for: str, wait: Callable[[], None]) -> None:
        """Wait for a lock in this recipe's worker, with its slot given to somebody else."""

    def transfer_helpers(self, wanted: int) -> AbstractContextManager[int]:
        """Transfer slots for a batch, beside the recipe's own: up to so many, maybe none."""

    def require_build_dependencies(self, recipe: Recipe) -> None:
        """A recipe turned out to need work: its build dependencies are wanted now, too."""

    def shell_for(self, recipe: Recipe) -> Shell:
        """The shell that the scripts of this recipe are written for."""

    def unsatisfied(self) -> list[str]:
        """Keys of the wanted user-managed packages that are not known to be satisfied."""
