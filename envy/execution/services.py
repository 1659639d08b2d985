"""The interface of phases: the collaborators of a command, and the operations of the engine.

Phases import only the rooms below them; of the engine they know only the protocol here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from envy.cache.resolutions import Resolutions, Upstream
from envy.declarations.key import RecipeKey
from envy.declarations.mirrors import PrefixMap
from envy.declarations.spec import RecipeSpec
from envy.events import EventBus
from envy.graph.recipe import Recipe
from envy.graph.recipe_graph import RecipeGraph
from envy.host.platform import Platform
from envy.limits import LUA_STEPS, Limit
from envy.locking.lock import NO_LOCK, LockView
from envy.lua.open_states import OpenStates
from envy.transport.context import Memo, StandIn

if TYPE_CHECKING:
    from envy.cache.downloads import Downloads
    from envy.cache.layout import CacheLayout
    from envy.declarations.bundles import Bundle
    from envy.execution.open_bundle import OpenBundle
    from envy.host.children import Children
    from envy.host.shell import Shell
    from envy.jobserver.budget import Jobserver
    from envy.sharing.place import SharedPlaces
    from envy.sharing.remote_scripts import RemoteScripts


class Terminal(Protocol):
    """The user's terminal, if there is one: for questions and for interactive runs."""

    def consent(self, list_packages: Callable[[], Sequence[str]]) -> None:
        """Ask whether the listed user-managed packages may be installed, unless already answered.

        Raises:
            EnvyError: the answer is no, or there is no terminal to ask on.
        """

    def lent(self) -> AbstractContextManager[None]:
        """Lend the terminal to one program at a time.

        Raises:
            EnvyError: there is no terminal.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The collaborators of one command, built by the wiring."""

    platform: Platform
    environment: Mapping[str, str]
    project_dir: Path
    layout: CacheLayout
    events: EventBus
    children: Children
    terminal: Terminal
    cores: int
    fetch_jobs: int
    stamp: str  # names this run's log folders; sorts by time
    jobserver: Jobserver | None = None  # None: the tools of scripts choose their own jobs
    memo: Memo = field(default_factory=Memo)  # answers of repositories and registries
    resolutions: Resolutions = field(default_factory=Resolutions)  # what unpinned sources were
    upstream: Upstream = Upstream.ASKED
    downloads: Downloads | None = None  # those that the cache keeps
    offline: bool = False  # nothing is requested from elsewhere
    lock: LockView = NO_LOCK  # what envy.lock says about the platform
    require_digest: bool = False  # a download without a digest is refused
    mirrors: PrefixMap = field(default_factory=dict)  # those that the manifest names
    # The files of recipes with a custom source, by key: a lock for another platform has no tools.
    custom_recipes: Mapping[str, Path] = field(default_factory=dict)
    bundles: tuple[Bundle, ...] = ()  # of the manifest
    open_bundles: dict[Bundle, OpenBundle] = field(default_factory=dict)  # in this run
    bundle_roots: set[Path] = field(default_factory=set)  # the folders of those that were opened
    sharing: SharedPlaces | None = None  # to the depots of finished entries
    remote_scripts: RemoteScripts | None = None  # the server that runs scripts of recipes
    spellings: set[str] = field(default_factory=set)  # other paths of the cache, found in entries
    open_states: OpenStates = field(default_factory=OpenStates)
    # In a test of a recipe: what takes the place of transports, the folder that functions may write
    # to, and how much Lua code may do.
    stand_in: StandIn | None = None
    writes_below: Path | None = None
    lua_steps: Limit = LUA_STEPS


class PhaseServices(Protocol):
    """The operations of the engine that a phase may use."""

    services: Services
    graph: RecipeGraph

    def declare_recipe(self, spec: RecipeSpec, *, parent: RecipeKey) -> None:
        """Add a dependency of `parent` to the graph unless it is in it, and start its fetch."""

    def stopped(self) -> bool:
        """Return whether the run has been cancelled."""

    def pause(self, seconds: float) -> None:
        """Wait for a time, or until the run is cancelled."""

    def wait_without_slot(self, recipe: Recipe, waiting_for: str, wait: Callable[[], None]) -> None:
        """Wait in this recipe's worker for a lock, with its slot released."""

    def transfer_helpers(self, wanted: int) -> AbstractContextManager[int]:
        """Borrow up to `wanted` more transfer slots for a batch; yield how many, perhaps 0."""

    def take_late(self, recipe: Recipe) -> bool:
        """Take a missing entry, whose lock is held, if a depot has it by now; return whether."""

    def require_build_dependencies(self, recipe: Recipe) -> None:
        """Also want the build dependencies of a recipe that turned out to need work."""

    def shell_for(self, recipe: Recipe) -> Shell:
        """Return the shell that the scripts of this recipe are written for."""

    def awaited_by(self, recipe: Recipe) -> list[RecipeKey]:
        """Return the wanted recipes with work to do that need this one, in key order."""

    def unsatisfied(self) -> list[str]:
        """Return the wanted user-managed packages that are not known to be satisfied, as text."""
