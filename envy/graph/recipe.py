"""Recipe: plain data about one package of the graph. No behaviour, no threads, no locks taken.

Phases fill it in from left to right; the fields say which phase does. Only a recipe's own worker
writes to it; others read what a completed phase has left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from envy.answers.evidence import Evidence
from envy.declarations.key import RecipeKey
from envy.declarations.sources import SourceItem
from envy.declarations.spec import Dependency, DependencyUse, RecipeSpec
from envy.errors import SourceLocation
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.cache.layout import EntryPaths
    from envy.cache.lock import FileLock
    from envy.cache.write import Attempt
    from envy.declarations.definition import RecipeDefinition
    from envy.declarations.tables import Exports
    from envy.lua.runtime import LuaState
    from envy.lua.sandbox import ReadLog
    from envy.lua.values import LuaValue


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
    said: tuple[tuple[str, str], ...] = ()  # level and message


@dataclass(slots=True, kw_only=True, eq=False)
class Recipe:
    """One package: what was asked for, what its file says, and how far it has come."""

    key: RecipeKey
    spec: RecipeSpec
    declarations: list[tuple[RecipeKey | None, RecipeSpec]] = field(default_factory=list)

    # recipe_fetch
    path: Path | None = None
    recipe_dir: Path | None = None
    digest: str = ""  # BLAKE3 of the recipe file
    lua: LuaState | None = None
    reads: ReadLog | None = None  # what its file read while it loaded
    evidence: Evidence = field(default_factory=Evidence)  # what all of this rests on
    definition: RecipeDefinition | None = None
    text: str = ""  # of the recipe file
    fetch_answer: FetchAnswer | None = None  # of a fetch that is a function, asked for its sources
    exports: Exports | None = None
    exports_within: bool = False  # it, or something that it needs to run, exports something
    excluded: bool = False  # its `platforms` leave it out here
    input_files: frozenset[Path] = frozenset()  # what its phases may read of its own folder
    edges: tuple[Edge, ...] = ()
    references: list[Reference] = field(default_factory=list)  # its own, and its source's
    source_edges: tuple[Edge, ...] = ()  # what must be complete before it can be fetched
    provides: dict[str, str] = field(default_factory=dict)  # products by name, as declared

    # once the graph is resolved
    entry_key: str = (
        ""  # 64 hex digits; of a user-managed recipe, what stands for it in others' keys
    )
    ingredients: str = ""  # what the entry key is the digest of, as JSON
    sources: tuple[SourceItem, ...] | None = None  # what fetch declares; None: its function acts
    entry: EntryPaths | None = None
    cached: bool = False
    undeployed: bool = False  # its entry is there, and lacks its deploy
    wanted: bool = False
    expected: Sequence[float] | None = None  # seconds of its phases from fetch on, in earlier runs

    # check and later
    satisfied: bool = False  # user-managed: its check holds
    lock: FileLock | None = None  # its entry's
    locks: list[FileLock] = field(default_factory=list)  # all that it works under
    locked_at: float = 0.0
    attempt: Attempt | None = None
    fetched: dict[str, SourceItem] = field(default_factory=dict)  # by their name in fetch_dir
    log_dir: Path | None = None
    log_path: Path | None = None  # the log of the phase that ran last
    asset_dir: Path | None = None
    products: dict[str, str] = field(default_factory=dict)
    outcome: Outcome | None = None
    took: list[float] | None = None  # seconds of its phases from fetch on, in this run
    away: float = 0.0  # seconds that its worker spent without a slot
