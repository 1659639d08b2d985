"""Recipe: plain data about one package of the graph, without behaviour, threads or locks.

The records of a recipe are filled in one after another. Only its own worker, and the engine while
the recipe rests, write to them; other code reads what a completed phase has written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from envy.answers.evidence import Evidence
from envy.declarations.key import RecipeKey
from envy.declarations.option_text import serialise_options
from envy.declarations.sources import SourceItem
from envy.declarations.spec import Dependency, DependencyUse, RecipeSpec
from envy.errors import InternalError, SourceLocation
from envy.phase import RecipePhase

if TYPE_CHECKING:
    from envy.cache.layout import EntryPaths
    from envy.cache.lock import FileLock
    from envy.cache.write import Attempt
    from envy.content.arriving import Unpacked
    from envy.content.brought import Links
    from envy.content.unpacked_size import UnpackedSize
    from envy.content.written_digests import WrittenDigests
    from envy.declarations.definition import RecipeDefinition
    from envy.declarations.products import Product
    from envy.declarations.tables import Exports
    from envy.lua.runtime import LuaState
    from envy.lua.sandbox import ReadLog
    from envy.lua.values import LuaFunction, LuaValue


class Outcome(Enum):
    """How a recipe was completed."""

    CACHED = "cached"
    TAKEN = "taken"  # from a depot, in this run
    INSTALLED = "installed"
    SATISFIED = "satisfied"  # user-managed: its check succeeded from the start
    CHANGED = "changed"  # user-managed: installed now
    UNCONFIRMED = "unconfirmed"  # user-managed: installed now, but its check still does not hold


@dataclass(frozen=True, slots=True)
class Edge:
    """The need of one recipe for another."""

    key: RecipeKey
    needed_by: RecipePhase
    use: DependencyUse
    kind: str
    origin: SourceLocation = field(compare=False)
    product: str = ""  # the product that the dependency names, if any
    exports: bool = True  # whether the dependent gets what the dependency exports


@dataclass(slots=True, eq=False)
class Reference:
    """A weak or required dependency of a recipe, or of its source, and what it was bound to."""

    owner: RecipeKey
    index: int
    dependency: Dependency
    of_source: bool
    provider: RecipeKey | None = None
    by_fallback: bool = False
    undecided: bool = False  # it stays open, because its owner has failed

    @property
    def open(self) -> bool:
        """Whether the reference still waits to be bound."""
        return self.provider is None and not self.undecided

    @property
    def text(self) -> str:
        """The query, or the product with the query, in short."""
        dependency = self.dependency
        if not dependency.product:
            return dependency.query
        by = f" by {dependency.query}" if dependency.query else ""
        return f"product {dependency.product}{by}"

    @property
    def quoted(self) -> str:
        """The query or product, as part of a sentence."""
        dependency = self.dependency
        if not dependency.product:
            return f"{dependency.query!r}"
        by = f" of {dependency.query!r}" if dependency.query else ""
        return f"the product {dependency.product!r}{by}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class FetchAnswer:
    """The result of a fetch function that was called for its sources."""

    acts: bool = False
    value: LuaValue = None
    error: Exception | None = None
    messages: tuple[tuple[str, str], ...] = ()  # level and message
    variables: frozenset[str] = frozenset()  # that it read
    files: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class LoadedRecipe:
    """The content of a recipe's file, as loaded."""

    path: Path
    recipe_dir: Path  # the folder of the file
    digest: str  # BLAKE3 of the file
    text: str
    definition: RecipeDefinition
    function_names: tuple[str, ...]  # globals that phases call; data alone needs no Lua state
    reads: ReadLog  # the files and variables that it read while it loaded
    exports: Exports
    provides: Mapping[str, Product]  # products by name, as declared
    bundle: str = ""  # the recipe bundle that the file is from, as messages show it


@dataclass(slots=True, eq=False, repr=False)
class RecipeFunctions:
    """The functions of a recipe's file, usable while their Lua state is open.

    The state is closed and created again as needed; only `execution.recipe_lua` changes this
    record.
    """

    state: LuaState | None = None
    live: Mapping[str, LuaFunction] = field(default_factory=dict)


_MAKING = frozenset({RecipePhase.FETCH, RecipePhase.STAGE, RecipePhase.BUILD, RecipePhase.INSTALL})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Placement:
    """The cache entry of a recipe, and what its key was computed from."""

    entry_key: str  # 64 hex digits; a user-managed recipe has one for the keys of its dependents
    entry: EntryPaths
    ingredients: str = ""  # the JSON text whose digest is the entry key
    sources: tuple[SourceItem, ...] | None = None  # what fetch declares; None: its function fetches
    # What its phases may read of its own folder, with the rules of folders.
    inputs: Mapping[str, str] = field(default_factory=dict)
    exports_within: bool = False  # the recipe or its run closure exports something
    asset_dir: Path  # not used for a user-managed recipe
    padded: EntryPaths | None = None  # the entry by its padded path, for `relocate = "padded"`


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Work:
    """The progress of the work on a recipe. Only its own worker and the engine write to it."""

    cached: bool = False
    taken: bool = False  # its entry was taken from a depot in this run
    undeployed: bool = False  # its entry exists but is not deployed
    wanted: bool = False
    expected: Sequence[float] | None = None  # seconds of its phases from fetch on, in earlier runs
    satisfied: bool = False  # user-managed: its check succeeds
    entry_lock: FileLock | None = None
    locks: list[FileLock] = field(default_factory=list)  # all locks that its worker holds
    locked_at: float = 0.0
    attempt: Attempt | None = None
    fetched: dict[str, SourceItem] = field(default_factory=dict)  # by their name in fetch_dir
    links: dict[str, Links] = field(default_factory=dict)  # that fetched items brought, by root
    unpacked: UnpackedSize | None = None  # what its archives have unpacked to, all together
    unpacked_ahead: Unpacked | None = None  # the archive that is unpacked already
    written: WrittenDigests | None = None  # of the files that its archives brought
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
            InternalError: check has not begun an attempt, or install has published it.
        """
        if self.attempt is None:
            raise InternalError("an entry is worked on without an attempt")
        return self.attempt


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Recipe:
    """One package: its key and what was requested, with a record for each later step.

    `loaded` and `placement` are unset until their step has set them, and raise InternalError when
    they are read before; code that may run earlier reads `loaded_or_none` and `placement_or_none`.
    """

    key: RecipeKey
    spec: RecipeSpec
    declarations: list[tuple[RecipeKey | None, RecipeSpec]] = field(default_factory=list)
    # The entry key depends on these; they grow until the key is computed.
    evidence: Evidence = field(default_factory=Evidence)
    loaded: LoadedRecipe = field(init=False, repr=False)  # set by recipe_fetch
    fetch_answer: FetchAnswer | None = None  # of a fetch that is a function
    functions: RecipeFunctions = field(default_factory=RecipeFunctions)
    placement: Placement = field(init=False, repr=False)  # set once the graph is resolved
    work: Work = field(default_factory=Work)

    def __getattr__(self, name: str) -> NoReturn:
        # Python calls this only for a slot that is unset, so reading one that is set costs no more.
        if name == "loaded":
            raise InternalError(f"{self.key} is used before recipe_fetch has loaded its file")
        if name == "placement":
            raise InternalError(f"{self.key} is used in check or later without an entry key")
        raise AttributeError(name)

    @property
    def loaded_or_none(self) -> LoadedRecipe | None:
        """The content of the recipe's file, or None before recipe_fetch has loaded it."""
        try:
            found: LoadedRecipe = _LOADED.__get__(self)
        except AttributeError:
            return None
        return found

    @property
    def placement_or_none(self) -> Placement | None:
        """The cache entry of the recipe and its key, or None before the key is computed."""
        try:
            found: Placement = _PLACEMENT.__get__(self)
        except AttributeError:
            return None
        return found

    @property
    def excluded(self) -> bool:
        """Whether the recipe is excluded on this platform by its `platforms`."""
        try:
            return self.loaded.definition.excluded
        except InternalError:
            return False

    @property
    def user_managed(self) -> bool:
        """Whether the recipe has a `check` and is installed outside the cache."""
        try:
            return self.loaded.definition.user_managed
        except InternalError:
            return False

    @property
    def alias(self) -> str:
        """The alias in the file of the recipe, or ""."""
        try:
            return self.loaded.definition.alias
        except InternalError:
            return ""

    @property
    def options(self) -> Mapping[str, object]:
        """The options with defaults filled in; only those requested before the file is loaded."""
        try:
            return self.loaded.definition.options
        except InternalError:
            return self.spec.options

    @property
    def variant(self) -> tuple[str, str]:
        """Its file and its options; packages with equal ones have one entry in the cache.

        Two keys can have one variant: an option may be a default, a constraint or an override.
        """
        try:
            loaded = self.loaded
        except InternalError:
            return "", self.key.canonical
        options = loaded.definition.options
        if options == self.key.options:
            return str(loaded.path), self.key.canonical
        return str(loaded.path), self.key.identity + serialise_options(options)

    @property
    def provides(self) -> Mapping[str, Product]:
        """The products by name, as declared; none before the file is loaded."""
        try:
            return self.loaded.provides
        except InternalError:
            return {}

    @property
    def entry_key(self) -> str:
        """The entry key, or "" before it is computed."""
        placement = self.placement_or_none
        return placement.entry_key if placement is not None else ""

    def work_paths(self, phase: RecipePhase) -> EntryPaths:
        """Return the entry by the path that a phase sees: the padded one while it is being made."""
        padded = self.placement.padded if phase in _MAKING else None
        return padded or self.placement.entry

    @property
    def asset_dir(self) -> Path | None:
        """The asset folder; None before the key is computed, and for a user-managed recipe."""
        try:
            return None if self.user_managed else self.placement.asset_dir
        except InternalError:
            return None


def one_of_each(recipes: Iterable[Recipe]) -> list[Recipe]:
    """Return the recipes, of each variant only the first."""
    found: dict[tuple[str, str], Recipe] = {}
    for recipe in recipes:
        found.setdefault(recipe.variant, recipe)
    return list(found.values())


# The slots themselves: what is not set yet is asked for often, and raising an InternalError for it
# takes ten times as long.
_LOADED: Any = vars(Recipe)["loaded"]
_PLACEMENT: Any = vars(Recipe)["placement"]
