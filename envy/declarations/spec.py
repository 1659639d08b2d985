"""What was asked for, as data: a recipe with its source, and a dependency on one.

Owns what tells two sources apart, and the rule about `local` recipes. How it is written is the
business of recipe_entries.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from envy.declarations.key import RecipeKey
from envy.declarations.option_text import OptionValue
from envy.declarations.sources import SourceItem, location
from envy.errors import DeclarationError, SourceLocation
from envy.phase import RecipePhase


class DependencyUse(Enum):
    """What a dependency is for: present whenever the dependent is, or only to build it."""

    RUN = "run"
    BUILD = "build"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a value stands in a Lua file: a global, then fields and indices (from 1)."""

    file: Path
    keys: tuple[str | int, ...]

    def at(self, *keys: str | int) -> "Address":
        """The address of something inside."""
        return Address(self.file, (*self.keys, *keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomSource:
    """A source that is a function: it fetches the recipe, with tools that it depends on.

    The function itself is not kept: it runs in a Lua state of its own, loaded from the declaring
    file again, where `fetch` says how to find it.
    """

    dependencies: "tuple[Dependency, ...]"
    fetch: Address
    sha256: str = ""
    origin: SourceLocation = field(compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec:
    """One recipe as asked for, and where it is to come from."""

    identity: str
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)
    source: SourceItem | CustomSource | None
    alias: str = ""
    platforms: tuple[str, ...] = ()
    origin: SourceLocation = field(compare=False)
    key: RecipeKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", RecipeKey.of(self.identity, self.options))


class DependencyKind(Enum):
    """How a dependency is bound: to a recipe of its own, or to one that is found in the graph."""

    STRONG = "strong"
    WEAK = "weak"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of a recipe's `dependencies`.

    A strong one has a `spec`; a weak one a `spec` to fall back to and something to look for; a
    required one only that. What is looked for is a `query`, a `product`, or a product whose
    provider answers to the query. A strong dependency on a product has a `spec` and a `product`.
    """

    spec: RecipeSpec | None
    needed_by: RecipePhase = RecipePhase.CHECK
    use: DependencyUse = DependencyUse.RUN
    kind: DependencyKind = DependencyKind.STRONG
    query: str = ""
    product: str = ""
    platforms: tuple[str, ...] = ()
    origin: SourceLocation = field(compare=False)


def source_text(source: SourceItem | CustomSource | None) -> str:
    """One text for where a recipe comes from, to tell whether two sources are the same."""
    if isinstance(source, CustomSource):
        return f"the function in {source.origin}"
    return location(source) if source else ""


def are_written_alike(
    one: SourceItem | CustomSource | None, other: SourceItem | CustomSource | None
) -> bool:
    """Whether two sources are one place by their very words; most that are the same are."""
    if not isinstance(one, SourceItem) or not isinstance(other, SourceItem):
        return False
    same = one.source == other.source and one.ref == other.ref and one.subdir == other.subdir
    if not same or one.sha256 != other.sha256 or one.blake3 != other.blake3:
        return False
    return one.base_dir is other.base_dir or one.source.startswith("/")


def check_local_rule(parent: RecipeKey, child: RecipeKey, origin: SourceLocation) -> None:
    """Raise if a recipe that others share would depend on one that only this project has."""
    if child.namespace == "local" and parent.namespace != "local":
        raise DeclarationError(
            f"{parent} depends on {child}: a recipe outside namespace local may not depend on a "
            "local one",
            origin=origin,
            hint="give the dependency a namespace of its own, or make the dependent local",
        )
