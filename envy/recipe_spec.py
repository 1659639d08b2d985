"""What was asked for: one entry of `packages` or of `dependencies`, strictly parsed.

Owns the fields of an entry, where a recipe comes from when no source is written, and the rule
about `local` recipes. Opens no recipe file.
"""

import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import cast

from envy import fields
from envy.errors import DeclarationError, Origin
from envy.option_text import OptionValue
from envy.phase import NEEDED_BY, RecipePhase
from envy.recipe_key import RecipeKey
from envy.sources import SourceItem, parse_source_item, plain_source
from envy.suggest import did_you_mean

_PINS = frozenset({"sha256", "ref", "subdir"})
ENTRY_FIELDS = frozenset({"recipe", "options", "alias", "platforms", "source", *_PINS})
DEPENDENCY_FIELDS = ENTRY_FIELDS | {"needed_by", "use"}
_ALIAS = re.compile(r"[^.@{}\s\x00-\x1f\x7f]+")


class Use(Enum):
    """What a dependency is for: present whenever the dependent is, or only to build it."""

    RUN = "run"
    BUILD = "build"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeSpec:
    """One recipe as asked for, and where it is to come from."""

    identity: str
    options: Mapping[str, OptionValue] = field(default_factory=dict, hash=False)
    source: SourceItem | None
    alias: str = ""
    platforms: tuple[str, ...] = ()
    origin: Origin = field(compare=False)
    key: RecipeKey = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", RecipeKey.of(self.identity, self.options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """One entry of a recipe's `dependencies`."""

    spec: RecipeSpec
    needed_by: RecipePhase = RecipePhase.CHECK
    use: Use = Use.RUN
    kind: str = "strong"


def parse_spec(
    value: object, *, origin: Origin, base_dir: Path, recipes_dir: Path | None = None
) -> RecipeSpec:
    """An entry of `packages`.

    `base_dir` is the folder of the file that has the entry; a `local` recipe without a source is
    looked for in `recipes_dir`, by default the same folder.

    Raises:
        DeclarationError: a field, an identity or an option that cannot be.
    """
    return _parse_entry(value, ENTRY_FIELDS, origin, base_dir, recipes_dir or base_dir)


def parse_dependency(value: object, *, origin: Origin, base_dir: Path) -> Dependency:
    """An entry of `dependencies`; raises as `parse_spec` does."""
    spec = _parse_entry(value, DEPENDENCY_FIELDS, origin, base_dir, base_dir)
    if not isinstance(value, dict) or not ("needed_by" in value or "use" in value):
        return Dependency(spec=spec)
    return Dependency(
        spec=spec, needed_by=_parse_needed_by(value, origin), use=_parse_use(value, origin)
    )


def parse_dependencies(value: object, *, origin: Origin, base_dir: Path) -> tuple[Dependency, ...]:
    """The array `dependencies`; raises as `parse_spec` does."""
    if value is None or value == {}:
        return ()
    if not isinstance(value, list):
        raise fields.wrong_type(
            "dependencies",
            value,
            "an array of entries",
            origin=origin,
            hint='such as dependencies = { { recipe = "local.gn@r0", source = "gn.lua" } }',
        )
    at_element: Callable[[int], Origin] | None = getattr(origin, "at_element", None)
    return tuple(
        parse_dependency(element, origin=at_element(i) if at_element else origin, base_dir=base_dir)
        for i, element in enumerate(value)
    )


def check_local_rule(parent: RecipeKey, child: RecipeKey, origin: Origin) -> None:
    """Raise if a recipe that others share would depend on one that only this project has."""
    if child.namespace == "local" and parent.namespace != "local":
        raise DeclarationError(
            f"{parent} depends on {child}: a recipe outside namespace local may not depend on a "
            "local one",
            origin=origin,
            hint="give the dependency a namespace of its own, or make the dependent local",
        )


def parse_alias(table: Mapping[str, object], *, origin: Origin | None) -> str:
    """The field `alias`; "" when it is not there."""
    alias = fields.text(table, "alias", origin=origin)
    if alias and not _ALIAS.fullmatch(alias):
        raise DeclarationError(
            f'the alias "{alias}" holds what no alias may',
            origin=fields.field_origin(origin, "alias"),
            hint="an alias has no dot, @, brace or space, so that it is never taken for a query",
        )
    return alias


@functools.cache
def shipped_recipes_dir() -> Path:
    """Where the recipes of namespace `envy` are: in the installed package, or in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


@functools.cache
def _shipped_identities(directory: Path) -> frozenset[str]:
    return frozenset(path.stem for path in directory.glob("envy.*@*.lua"))


def shipped_source(identity: str, *, directory: Path, origin: Origin) -> SourceItem:
    """The source of a recipe that ships with envy.

    Raises:
        DeclarationError: there is none of that identity.
    """
    known = _shipped_identities(directory)
    if identity not in known:
        raise DeclarationError(
            f"no recipe {identity} ships with envy",
            origin=origin,
            hint=did_you_mean(identity, known) or "write a `source` to take it from elsewhere",
        )
    return SourceItem(source=f"{identity}.lua", origin=origin, base_dir=directory)


def _parse_entry(
    value: object, known: frozenset[str], origin: Origin, base_dir: Path, recipes_dir: Path
) -> RecipeSpec:
    try:
        if isinstance(value, str) and value:
            source = _default_source(RecipeKey.of(value), origin, recipes_dir)
            return RecipeSpec(identity=value, source=source, origin=origin)
        if not isinstance(value, dict) or not value:
            raise DeclarationError(
                f"an entry must be a string or a table with `recipe`, not {fields.describe(value)}"
            )
        fields.check_known(value, known, what="an entry", origin=origin)
        return _entry_of_table(value, origin, base_dir, recipes_dir)
    except DeclarationError as error:
        # Identities and options are judged where nobody knows of files.
        error.origin = error.origin or origin
        raise


def _entry_of_table(
    table: dict[str, object], origin: Origin, base_dir: Path, recipes_dir: Path
) -> RecipeSpec:
    identity = table.get("recipe")
    if not isinstance(identity, str):
        if identity is None:
            raise DeclarationError(
                "an entry needs the field `recipe`",
                hint='it names an identity, such as recipe = "local.python@r4"',
            )
        raise fields.wrong_type("recipe", identity, "an identity", origin=origin)
    return RecipeSpec(
        identity=identity,
        options=_parse_options(table.get("options"), origin),
        source=_parse_source(identity, table, origin, base_dir, recipes_dir),
        alias=parse_alias(table, origin=origin) if "alias" in table else "",
        platforms=fields.texts(table, "platforms", origin=origin) if "platforms" in table else (),
        origin=origin,
    )


def _parse_options(value: object, origin: Origin) -> Mapping[str, OptionValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fields.wrong_type(
            "options", value, "a table", origin=origin, hint='such as { version = "3.13" }'
        )
    return cast("dict[str, OptionValue]", value)


def _parse_source(
    identity: str, table: dict[str, object], origin: Origin, base_dir: Path, recipes_dir: Path
) -> SourceItem:
    source = table.get("source")
    pins = () if _PINS.isdisjoint(table) else sorted(_PINS.intersection(table))
    if isinstance(source, str) and source and not pins:
        return plain_source(source, origin=origin, base_dir=base_dir)
    if source is not None:
        if not isinstance(source, str) or not source:
            raise fields.wrong_type("source", source, "a path or a URI", origin=origin)
        written = {name: table[name] for name in ("source", *pins)}
        return parse_source_item(written, origin=origin, base_dir=base_dir)
    if pins:
        raise DeclarationError(
            f"`{pins[0]}` says something about a source, and there is no `source`",
            origin=fields.field_origin(origin, pins[0]),
        )
    return _default_source(RecipeKey.of(identity), origin, recipes_dir)


def _default_source(key: RecipeKey, origin: Origin, recipes_dir: Path) -> SourceItem:
    """Where a recipe comes from when its entry does not say."""
    if key.namespace == "envy":
        return shipped_source(key.identity, directory=shipped_recipes_dir(), origin=origin)
    if key.namespace == "local":
        return SourceItem(source=f"{key.identity}.lua", origin=origin, base_dir=recipes_dir)
    raise DeclarationError(
        f"the source of {key.identity} is missing",
        origin=origin,
        hint=f'write {{ recipe = "{key.identity}", source = "…" }}; only recipes of the '
        "namespaces envy and local have a place of their own",
    )


def _parse_needed_by(table: Mapping[str, object], origin: Origin) -> RecipePhase:
    name = fields.text(table, "needed_by", origin=origin)
    phase = NEEDED_BY.get(name) if name else RecipePhase.CHECK
    if phase is None:
        raise DeclarationError(
            f'`needed_by` names no phase: "{name}"',
            origin=fields.field_origin(origin, "needed_by"),
            hint=did_you_mean(name, NEEDED_BY),
        )
    return phase


def _parse_use(table: Mapping[str, object], origin: Origin) -> Use:
    name = fields.text(table, "use", origin=origin)
    if name not in {"", "run", "build"}:
        raise DeclarationError(
            f'`use` must be "run" or "build", not "{name}"',
            origin=fields.field_origin(origin, "use"),
            hint=did_you_mean(name, ("run", "build")),
        )
    return Use(name or "run")
