"""Requested recipes with their sources, and dependencies on recipes, as data.

Owns the comparison of sources, and the rule about `local` recipes. The syntax is in `entries`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TypeAlias

from envy.declarations.key import RecipeKey
from envy.declarations.option_text import OptionValue
from envy.declarations.sources import SourceItem, location
from envy.errors import DeclarationError, SourceLocation
from envy.phase import RecipePhase


class DependencyUse(Enum):
    """When a dependency is needed: whenever the dependent is used, or only to build it."""

    RUN = "run"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Address:
    """The path to a value in a Lua file: a global, then fields and indices (from 1).

    If the global is a function, the path leads through what it returns for some options, which
    `options_text` serialises.
    """

    file: Path
    keys: tuple[str | int, ...]
    options_text: str = ""
    options: Mapping[str, OptionValue] = field(default_factory=dict, compare=False)

    def at(self, *keys: str | int) -> "Address":
        """Return the address of a value inside this one."""
        return Address(self.file, (*self.keys, *keys), self.options_text, self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSource:
    """A source that is a function, which fetches the recipe with the tools it depends on.

    The function itself is not kept: it runs in a separate Lua state, into which the declaring file
    is loaded again; `fetch` is its address there.
    """

    dependencies: "tuple[Dependency, ...]"
    fetch: Address
    sha256: str = ""
    origin: SourceLocation = field(compare=False)


@dataclass(frozen=True, slots=True)
class BundledSource:
    """The source of a recipe that a bundle of the manifest has; which one, their maps say."""


BUNDLED = BundledSource()
Source: TypeAlias = SourceItem | CustomSource | BundledSource | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What the manifest says instead of what the entries of some packages say.

    `name` is a query without options. A source takes the place of the whole source of an entry;
    pins alone change those of its source.
    """

    name: str
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)
    source: SourceItem | None = None
    pins: Mapping[str, str] = field(default_factory=dict, hash=False)
    platforms: tuple[str, ...] = ()
    origin: SourceLocation = field(compare=False)


@dataclass(frozen=True, slots=True)
class Overrides:
    """The overrides of a manifest, and the one for every recipe that declares its options."""

    named: tuple[Override, ...] = ()
    everywhere: Override | None = None


NO_OVERRIDES = Overrides()


@dataclass(frozen=True, slots=True)
class Replaced:
    """The key that an entry asked for, and where the manifest overrides it."""

    key: RecipeKey
    origin: SourceLocation = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec:
    """One requested recipe and its source, after the overrides of the manifest.

    They reach the dependencies of the recipe through `overrides`.
    """

    identity: str
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)
    source: Source
    alias: str = ""
    platforms: tuple[str, ...] = ()
    exports: bool = True  # whether the package is used where the entry is declared
    origin: SourceLocation = field(compare=False)
    overrides: Overrides = field(default=NO_OVERRIDES, compare=False, repr=False)
    replaced: Replaced | None = field(default=None, compare=False)
    key: RecipeKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", RecipeKey.of(self.identity, self.options))


class DependencyKind(Enum):
    """How a dependency is bound: to the recipe it names, or to one that is found in the graph."""

    STRONG = "strong"
    WEAK = "weak"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of a recipe's `dependencies`.

    A strong dependency has a `spec`, and a `product` if it needs one. A weak or required dependency
    searches for a `query`, a `product`, or a product of a provider that answers to the query; a
    weak one has a `spec` as its fallback. Without `exports`, nothing that the package exports
    reaches the dependent.
    """

    spec: RecipeSpec | None
    needed_by: RecipePhase = RecipePhase.CHECK
    use: DependencyUse = DependencyUse.RUN
    kind: DependencyKind = DependencyKind.STRONG
    query: str = ""
    product: str = ""
    platforms: tuple[str, ...] = ()
    exports: bool = True
    origin: SourceLocation = field(compare=False)


def source_text(source: Source) -> str:
    """Return one text for a source; two sources are the same if their texts are equal."""
    if isinstance(source, CustomSource):
        options = source.fetch.options_text
        return f"the function in {source.origin}{f' for the options {options}' if options else ''}"
    if isinstance(source, BundledSource):
        return "a bundle of the manifest"
    return location(source) if source else ""


def are_written_alike(one: Source, other: Source) -> bool:
    """Return whether two sources are written the same way, as most equal sources are."""
    if not isinstance(one, SourceItem) or not isinstance(other, SourceItem):
        return False
    same = one.source == other.source and one.ref == other.ref and one.subdir == other.subdir
    if not same or _pins(one) != _pins(other):
        return False
    return one.base_dir is other.base_dir or one.source.startswith("/")


def _pins(item: SourceItem) -> tuple[object, ...]:
    digests = item.sha256, item.blake3, item.sha512, item.sha256sums, item.sha512sums
    return *digests, item.signature


def check_local_rule(parent: RecipeKey, child: RecipeKey, origin: SourceLocation) -> None:
    """Raise if a recipe of another namespace depends on a `local` one, which is not shared."""
    if child.namespace == "local" and parent.namespace != "local":
        raise DeclarationError(
            f"{parent} depends on {child}: a recipe outside namespace local may not depend on a "
            "local one",
            origin=origin,
            hint="give the dependency a namespace of its own, or make the dependent local",
        )
