"""Recipe: plain data about one package of the graph. No behaviour, no threads, no locks taken.

The records of a recipe are filled in from left to right. Only a recipe's own worker, and the
engine while it rests, write to them; others read what a completed phase has left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from envy.answers.evidence import Evidence
from envy.declarations.key import RecipeKey
from envy.declarations.sources import SourceItem
from envy.declarations.spec import Dependency, DependencyUse, RecipeSpec
from envy.errors import InternalError, SourceLocation
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.cache.layout import EntryPaths
    from envy.cache.lock import FileLock
    from envy.cache.write import Attempt
    from envy.content.below_root import Links
    from envy.declarations.definition import RecipeDefinition
    from envy.declarations.tables import Exports
    from envy.lua.runtime import LuaState
    from envy.lua.sandbox import ReadLog
    from envy.lua.values import LuaFunction, LuaValue


class Outcome(Enum):
    """How a recipe came to be complete."""

    CACHED = "cached"
    INSTALLED = "installed"
    SATISFIED = "satisfied"  # user-managed: its check held from the start
    CHANGED = "changed"  # user-managed: installed now


@dataclass(frozen=True, slots=True)
class Edge:
    """What one recipe needs of another."""

    key: RecipeKey
    needed_by: RecipePhase
    use: DependencyUse
    kind: str
    origin: SourceLocation = field(compare=False)
    product: str = ""  # what the dependency is for, if it names a product


@dataclass(slots=True, eq=False)
class Reference:
    """A weak or required dependency of a recipe, or of its source, and what it was bound to."""

    owner: RecipeKey
    index: int
    dependency: Dependency
    of_source: bool
    provider: RecipeKey | None = None
    by_fallback: bool = False
    undecided: bool = False  # its owner has failed, because the graph is incomplete

    @property
    def open(self) -> bool:
        """Whether it still waits to be bound."""
        return self.provider is None and not self.undecided

    @property
    def text(self) -> str:
        """What is looked for, in short."""
        dependency = self.dependency
        if not dependency.product:
            return dependency.query
        by = f" by {dependency.query}" if dependency.query else ""
        return f"product {dependency.product}{by}"

    @property
    def quoted(self) -> str:
        """What is looked for, within a sentence."""
        dependency = self.dependency
        if not dependency.product:
            return f"{dependency.query!r}"
        by = f" of {dependency.query!r}" if dependency.query else ""
        return f"the product {dependency.product!r}{by}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchAnswer:
    """What a fetch function did when it was asked for its sources."""

    acts: bool = False
    value: LuaValue = None
    error: Exception | None = None
    messages: tuple[tuple[str, str], ...] = ()  # level and message


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedRecipe:
    """What a recipe's file said when it was loaded."""

    path: Path
    digest: str  # BLAKE3 of the file
    text: str
    definition: RecipeDefinition
    function_names: tuple[str, ...]  # globals that phases call; data alone needs no Lua state
    reads: ReadLog  # the files and variables that it read while it loaded
    exports: Exports
    provides: Mapping[str, str]  # products by name, as declared
    fetch_answer: FetchAnswer | None = None  # of a fetch that is a function

    @property
    def recipe_dir(self) -> Path:
        """The folder of the recipe file."""
        return self.path.parent


@dataclass(slots=True)
class RecipeFunctions:
    """The functions of a recipe's file, alive while their Lua state is open.

    The state is closed and made again as needed; only `execution.recipe_lua` changes this record.
    """

    state: LuaState | None = None
    live: Mapping[str, LuaFunction] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Which entry of the cache a recipe has, and what its key was computed from."""

    entry_key: str  # 64 hex digits; of a user-managed recipe, what stands for it in others' keys
    entry: EntryPaths
    ingredients: str = ""  # what the entry key is the digest of, as JSON
    sources: tuple[SourceItem, ...] | None = None  # what fetch declares; None: its function acts
    input_files: frozenset[Path] = frozenset()  # what its phases may read of its own folder
    exports_within: bool = False  # it, or something that it needs to run, exports something
    asset_dir: Path | None = None  # None: user-managed


@dataclass(slots=True, kw_only=True)
class Work:
    """How far the work on a recipe has come. Only its own worker, and the engine, write to it."""

    cached: bool = False
    undeployed: bool = False  # its entry exists, and lacks its deploy
    wanted: bool = False
    expected: Sequence[float] | None = None  # seconds of its phases from fetch on, in earlier runs
    satisfied: bool = False  # user-managed: its check holds
    entry_lock: FileLock | None = None
    locks: list[FileLock] = field(default_factory=list)  # all that it works under
    locked_at: float = 0.0
    attempt: Attempt | None = None
    fetched: dict[str, SourceItem] = field(default_factory=dict)  # by their name in fetch_dir
    links: dict[str, Links] = field(default_factory=dict)  # that fetched items brought, by root
    log_dir: Path | None = None
    log_path: Path | None = None  # the log of the phase that ran last
    products: Mapping[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    took: list[float] | None = None  # seconds of its phases from fetch on, in this run
    away: float = 0.0  # seconds that its worker spent without a slot

    @property
    def open_attempt(self) -> Attempt:
        """The attempt at its entry.

        Raises:
            InternalError: check has begun none, or install has published it.
        """
        if self.attempt is None:
            raise InternalError("an entry is worked on without an attempt")
        return self.attempt


@dataclass(slots=True, kw_only=True, eq=False)
class Recipe:
    """One package: who it is and what was asked for, with a record for each later step.

    `loaded` and `placement` are for phases that come after these steps; who may come earlier looks
    at the fields.
    """

    key: RecipeKey
    spec: RecipeSpec
    declarations: list[tuple[RecipeKey | None, RecipeSpec]] = field(default_factory=list)
    evidence: Evidence = field(default_factory=Evidence)  # what its key rests on; grows until then
    loaded_or_none: LoadedRecipe | None = None  # set by recipe_fetch
    functions: RecipeFunctions = field(default_factory=RecipeFunctions)
    placement_or_none: Placement | None = None  # set once the graph is resolved
    work: Work = field(default_factory=Work)

    @property
    def loaded(self) -> LoadedRecipe:
        """What its file said.

        Raises:
            InternalError: recipe_fetch has not completed.
        """
        if self.loaded_or_none is None:
            raise InternalError(f"{self.key} is used before recipe_fetch has loaded its file")
        return self.loaded_or_none

    @property
    def placement(self) -> Placement:
        """Its entry and the key of it.

        Raises:
            InternalError: the key has not been computed, which happens before check.
        """
        if self.placement_or_none is None:
            raise InternalError(f"{self.key} is used in check or later without an entry key")
        return self.placement_or_none

    @property
    def excluded(self) -> bool:
        """Whether its `platforms` leave it out here."""
        return self.loaded_or_none is not None and self.loaded_or_none.definition.excluded

    @property
    def user_managed(self) -> bool:
        """Whether it has a `check` of its own, and lives outside of the cache."""
        return self.loaded_or_none is not None and self.loaded_or_none.definition.user_managed

    @property
    def alias(self) -> str:
        """What its own file calls it, or ""."""
        return self.loaded_or_none.definition.alias if self.loaded_or_none is not None else ""

    @property
    def options(self) -> Mapping[str, object]:
        """Its options with defaults filled in, or those asked for while its file is not loaded."""
        loaded = self.loaded_or_none
        return loaded.definition.options if loaded is not None else self.spec.options

    @property
    def provides(self) -> Mapping[str, str]:
        """Its products by name, as declared; none before its file is loaded."""
        return self.loaded_or_none.provides if self.loaded_or_none is not None else {}

    @property
    def entry_key(self) -> str:
        """The key of its entry, or "" before it is computed."""
        return self.placement_or_none.entry_key if self.placement_or_none is not None else ""

    @property
    def asset_dir(self) -> Path | None:
        """The folder of its asset; None before its key is computed, and if it is user-managed."""
        return self.placement_or_none.asset_dir if self.placement_or_none is not None else None
