"""Entries of `packages` and of `dependencies`, strictly parsed.

Owns the fields of an entry, the rule that makes a dependency strong, weak or required, and the
default source of a recipe. Opens no recipe file.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, cast

from envy.declarations import fields
from envy.declarations.key import Query, RecipeKey
from envy.declarations.option_text import OptionValue
from envy.declarations.shipped import shipped_recipes_dir, shipped_source
from envy.declarations.source_digests import digest
from envy.declarations.sources import SourceItem, parse_source_item, plain_source
from envy.declarations.spec import (
    BUNDLED,
    Address,
    BundledSource,
    CustomSource,
    Dependency,
    DependencyKind,
    DependencyUse,
    RecipeSpec,
)
from envy.errors import DeclarationError, InvalidIdentity, SourceLocation
from envy.lua.values import LuaFunction
from envy.phase import NEEDED_BY, RecipePhase
from envy.suggest import did_you_mean

_PINS = frozenset({"sha256", "ref", "subdir"})
_FALLBACK_FIELDS = frozenset({"recipe", "options", "alias", "platforms", "source", *_PINS})
ENTRY_FIELDS = _FALLBACK_FIELDS | {"exports"}
DEPENDENCY_FIELDS = ENTRY_FIELDS | {"needed_by", "use", "weak", "product"}
_CUSTOM_FIELDS = frozenset({"dependencies", "fetch", "sha256"})
_FULL_IDENTITY = re.compile(r"(envy|local)\.[^@{}]+@[^@{}]+")
_ALIAS = re.compile(r"[^.@{}\s\x00-\x1f\x7f]+")


def parse_spec(
    value: object,
    *,
    origin: SourceLocation,
    base_dir: Path,
    recipes_dir: Path | None = None,
    address: Address | None = None,
) -> RecipeSpec:
    """Return the recipe of an entry of `packages`.

    `base_dir` is the folder of the file with the entry; a `local` recipe without a source is
    expected in `recipes_dir`, by default the same folder.

    Raises:
        DeclarationError: a field, an identity or an option is invalid.
    """
    context = _Context(origin, base_dir, recipes_dir or base_dir, address)
    return _parse_entry(value, ENTRY_FIELDS, context)


def parse_dependency(
    value: object,
    *,
    origin: SourceLocation,
    base_dir: Path,
    recipes_dir: Path | None = None,
    address: Address | None = None,
) -> Dependency:
    """Return the dependency of an entry of `dependencies`; raises like `parse_spec`."""
    context = _Context(origin, base_dir, recipes_dir or base_dir, address)
    if not isinstance(value, dict) or not value:
        return Dependency(spec=_parse_entry(value, DEPENDENCY_FIELDS, context), origin=origin)
    with _LocatedErrors(context):
        _check_fields(value, DEPENDENCY_FIELDS, origin)
        needed_by = _parse_needed_by(value, origin) if "needed_by" in value else RecipePhase.CHECK
        use = _parse_use(value, origin) if "use" in value else DependencyUse.RUN
        product = fields.text(value, "product", origin=origin) if "product" in value else ""
        if "weak" in value or not _is_strong(value):
            return _parse_reference(value, context, needed_by=needed_by, use=use, product=product)
    spec = _parse_entry(value, DEPENDENCY_FIELDS, context)
    return Dependency(
        spec=spec,
        needed_by=needed_by,
        use=use,
        product=product,
        platforms=spec.platforms,
        exports=spec.exports,
        origin=origin,
    )


def _is_strong(table: Mapping[str, object]) -> bool:
    """Return whether an entry has a source, or implies one."""
    if "source" in table or not _PINS.isdisjoint(table):
        return True
    recipe = table.get("recipe")
    if not isinstance(recipe, str):
        # Without a product either, the entry lacks its `recipe`, and the error says so.
        return "product" not in table
    return bool(_FULL_IDENTITY.fullmatch(recipe))


def _parse_reference(
    table: dict[str, object],
    context: "_Context",
    *,
    needed_by: RecipePhase,
    use: DependencyUse,
    product: str,
) -> Dependency:
    """Return a weak or required dependency: a query or product, and perhaps a fallback."""
    origin = context.origin
    query = fields.text(table, "recipe", origin=origin) if "recipe" in table else ""
    if not query and not product:
        raise DeclarationError(
            "a reference needs `recipe`, `product`, or both: what to search for", origin=origin
        )
    if query:
        Query.parse(query)
    for name in ("options", "alias", "source", *sorted(_PINS)):
        if name in table:
            raise DeclarationError(
                f"`{name}` cannot be used in a reference, which only searches for a package",
                origin=fields.field_origin(origin, name),
                hint="write options in the query, recipe = 'python{version=\"3.13\"}', or `weak`",
            )
    fallback = None
    if "weak" in table:
        inner = table["weak"]
        address = context.address.at("weak") if context.address else None
        fallback = _parse_entry(
            inner,
            _FALLBACK_FIELDS,
            _Context(origin, context.base_dir, context.recipes_dir, address),
        )
    return Dependency(
        spec=fallback,
        needed_by=needed_by,
        use=use,
        kind=DependencyKind.WEAK if fallback else DependencyKind.REQUIRED,
        query=query,
        product=product,
        platforms=fields.texts(table, "platforms", origin=origin) if "platforms" in table else (),
        exports=_parse_exports(table, origin),
        origin=origin,
    )


def parse_dependencies(
    value: object,
    *,
    origin: SourceLocation,
    base_dir: Path,
    recipes_dir: Path | None = None,
    address: Address | None = None,
) -> tuple[Dependency, ...]:
    """Return the dependencies of the array `dependencies`; raises like `parse_spec`."""
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
    at_element: Callable[[int], SourceLocation] | None = getattr(origin, "at_element", None)
    return tuple(
        parse_dependency(
            element,
            origin=at_element(i) if at_element else origin,
            base_dir=base_dir,
            recipes_dir=recipes_dir,
            address=address.at(i + 1) if address else None,
        )
        for i, element in enumerate(value)
    )


def parse_alias(table: Mapping[str, object], *, origin: SourceLocation | None) -> str:
    """Return the field `alias`; "" if it is missing."""
    alias = fields.text(table, "alias", origin=origin)
    if alias and not _ALIAS.fullmatch(alias):
        raise DeclarationError(
            f'the alias "{alias}" contains a character that is not allowed',
            origin=fields.field_origin(origin, "alias"),
            hint="dots, @, braces and spaces would make an alias look like another query",
        )
    return alias


class _Context(NamedTuple):
    """The location of an entry, and the folders that its relative paths start from."""

    origin: SourceLocation
    base_dir: Path
    recipes_dir: Path
    address: Address | None


class _LocatedErrors:
    """Adds a location and a suggestion to errors of the code that checks identities and options.

    A class, not a generator, which takes three times as long: every entry passes here twice.
    """

    __slots__ = ("_context",)

    def __init__(self, context: _Context) -> None:
        self._context = context

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DeclarationError):
            error.origin = error.origin or self._context.origin
        if isinstance(error, InvalidIdentity):
            from envy.declarations.identity_suggestion import suggest_identity

            suggest_identity(error, self._context.recipes_dir)


def _parse_entry(value: object, known: frozenset[str], context: _Context) -> RecipeSpec:
    origin = context.origin
    with _LocatedErrors(context):
        if isinstance(value, str) and value:
            source = _default_source(RecipeKey.of(value), origin, context.recipes_dir)
            return RecipeSpec(identity=value, source=source, origin=origin)
        if not isinstance(value, dict) or not value:
            raise DeclarationError(
                f"an entry must be a string or a table with `recipe`, not {fields.describe(value)}"
            )
        _check_fields(value, known, origin)
        return _entry_of_table(value, context)


def _check_fields(
    table: Mapping[str, object], known: frozenset[str], origin: SourceLocation
) -> None:
    if "fetch" in table and not table.keys() - known - {"fetch"}:
        raise DeclarationError(
            'an entry has no field "fetch"; a function that fetches the recipe is a part of its '
            "source",
            origin=fields.field_origin(origin, "fetch"),
            hint="write source = { fetch = … }",
        )
    fields.check_known(table, known, what="an entry", origin=origin)


def _entry_of_table(table: dict[str, object], context: _Context) -> RecipeSpec:
    origin = context.origin
    identity = table.get("recipe")
    if not isinstance(identity, str):
        if identity is None:
            raise DeclarationError(
                "an entry needs the field `recipe`",
                hint='`recipe` is an identity, such as recipe = "local.python@r4"',
            )
        raise fields.wrong_type("recipe", identity, "an identity", origin=origin)
    return RecipeSpec(
        identity=identity,
        options=_parse_options(table.get("options"), origin),
        source=_parse_source(identity, table, context),
        alias=parse_alias(table, origin=origin) if "alias" in table else "",
        platforms=fields.texts(table, "platforms", origin=origin) if "platforms" in table else (),
        exports=_parse_exports(table, origin),
        origin=origin,
    )


def _parse_exports(table: Mapping[str, object], origin: SourceLocation) -> bool:
    return "exports" not in table or fields.flag(table, "exports", origin=origin)


def _parse_options(value: object, origin: SourceLocation) -> Mapping[str, OptionValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fields.wrong_type(
            "options", value, "a table", origin=origin, hint='such as { version = "3.13" }'
        )
    return cast("dict[str, OptionValue]", value)


def _parse_source(
    identity: str, table: dict[str, object], context: _Context
) -> SourceItem | CustomSource | BundledSource:
    origin, base_dir = context.origin, context.base_dir
    source = table.get("source")
    pins = () if _PINS.isdisjoint(table) else sorted(_PINS.intersection(table))
    if isinstance(source, str) and source and not pins:
        return plain_source(source, origin=origin, base_dir=base_dir)
    if isinstance(source, dict) and context.address is not None:
        return _parse_custom_source(source, context)
    if source is not None:
        if not isinstance(source, str) or not source:
            raise fields.wrong_type("source", source, "a path or a URI", origin=origin)
        written = {name: table[name] for name in ("source", *pins)}
        return parse_source_item(written, origin=origin, base_dir=base_dir)
    if pins:
        raise DeclarationError(
            f"`{pins[0]}` is about a source, and there is no `source`",
            origin=fields.field_origin(origin, pins[0]),
        )
    return _default_source(RecipeKey.of(identity), origin, context.recipes_dir)


def _parse_custom_source(table: dict[str, object], context: _Context) -> CustomSource:
    """`source = { dependencies = {…}, fetch = function(ctx, opts) … end }`."""
    origin = fields.field_origin(context.origin, "source") or context.origin
    assert context.address is not None
    fields.check_known(table, _CUSTOM_FIELDS, what="a custom source", origin=origin)
    if not isinstance(table.get("fetch"), LuaFunction):
        raise fields.wrong_type(
            "fetch",
            table.get("fetch"),
            "a function that fetches recipe.lua",
            origin=origin,
            hint="source = { fetch = function(ctx, opts) … ctx.commit_fetch(name) end }; a path "
            'is a string: source = "recipes/x.lua"',
        )
    address = context.address.at("source")
    dependencies = parse_dependencies(
        table.get("dependencies"),
        origin=origin,
        base_dir=context.base_dir,
        recipes_dir=context.recipes_dir,
        address=address.at("dependencies"),
    )
    for dependency in dependencies:
        if dependency.needed_by is not RecipePhase.CHECK:
            raise DeclarationError(
                "`needed_by` cannot be used in a dependency of a source, which is always complete "
                "before the recipe is fetched",
                origin=dependency.origin,
            )
    return CustomSource(
        dependencies=dependencies,
        fetch=address.at("fetch"),
        sha256=digest(table, "sha256", origin=origin),
        origin=origin,
    )


def _default_source(
    key: RecipeKey, origin: SourceLocation, recipes_dir: Path
) -> SourceItem | BundledSource:
    """Return the source of a recipe whose entry has none."""
    if key.namespace == "envy":
        return shipped_source(key.identity, directory=shipped_recipes_dir(), origin=origin)
    if key.namespace == "local":
        return SourceItem(source=f"{key.identity}.lua", origin=origin, base_dir=recipes_dir)
    return BUNDLED  # if the manifest has no bundles, that is found where the entry is declared


def _parse_needed_by(table: Mapping[str, object], origin: SourceLocation) -> RecipePhase:
    name = fields.text(table, "needed_by", origin=origin)
    phase = NEEDED_BY.get(name) if name else RecipePhase.CHECK
    if phase is None:
        raise DeclarationError(
            f'`needed_by` is not a phase: "{name}"',
            origin=fields.field_origin(origin, "needed_by"),
            hint=did_you_mean(name, NEEDED_BY),
        )
    return phase


def _parse_use(table: Mapping[str, object], origin: SourceLocation) -> DependencyUse:
    name = fields.text(table, "use", origin=origin)
    if name not in {"", "run", "build"}:
        raise DeclarationError(
            f'`use` must be "run" or "build", not "{name}"',
            origin=fields.field_origin(origin, "use"),
            hint=did_you_mean(name, ("run", "build")),
        )
    return DependencyUse(name or "run")
