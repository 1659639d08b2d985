"""Recipe bundles: many recipes from one source, and `envy-bundle.lua`, which says where each is.

Owns the fields of `bundles` in a manifest and the rules for the map of a bundle. Opens no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from envy.declarations import fields
from envy.declarations.key import RecipeKey
from envy.declarations.locations import SourceText
from envy.declarations.sources import SourceItem, inner_path, location, parse_source_item
from envy.declarations.typos import misspelt
from envy.errors import DeclarationError, ManifestError, SourceLocation
from envy.limits import BUNDLE_RECIPES
from envy.lua.values import LuaValue
from envy.masking import masked_address

MAP_NAME = "envy-bundle.lua"
ASKER = "local.bundles@r1"  # on whose behalf a command fetches a bundle: events have this name
_FIELDS = frozenset({"source", "sha256", "ref", "subdir"})
_MAP_FIELDS = frozenset({"recipes"})
_EXAMPLE = 'such as recipes = { ["acme.tool@r1"] = "tool.lua" }'
# Why a bundle cannot bring recipes of a namespace.
_RESERVED = {
    "envy": "the namespace envy has the recipes that ship with envy",
    "local": "the namespace local has the recipes of one project, which are not shared",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One entry of `bundles`: where the bundle is, with its pins."""

    item: SourceItem
    origin: SourceLocation = field(compare=False)

    @property
    def shown(self) -> str:
        """The source as messages show it, without secrets."""
        inner = f" ({self.item.subdir})" if self.item.subdir else ""
        return f"{masked_address(self.item.source)}{inner}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMap:
    """What a bundle says it has: the path of the file of each identity, relative to its folder."""

    recipes: Mapping[str, str]
    source: SourceText  # of the map

    def at(self, identity: str) -> SourceLocation:
        """Return where the map names an identity."""
        return self.source.at("recipes").at_field(identity)


def parse_bundles(value: LuaValue, source: SourceText, base_dir: Path) -> tuple[Bundle, ...]:
    """Return the bundles of a manifest, whose folder is `base_dir`.

    Raises:
        ManifestError, DeclarationError: a field is invalid, or one bundle is listed twice.
    """
    if value is None or value == {}:
        return ()
    if not isinstance(value, list):
        raise ManifestError(
            f"`bundles` must be an array of tables, not {fields.describe(value)}",
            origin=source.at("bundles"),
            hint='such as bundles = { { source = "https://…/recipes.git", ref = "v1" } }',
        )
    array = source.at("bundles", length=len(value))
    known: dict[str, Bundle] = {}
    for i, entry in enumerate(value):
        bundle = _parse_bundle(entry, array.at_element(i), base_dir)
        first = known.setdefault(location(bundle.item), bundle)
        if first is not bundle:
            raise ManifestError(
                f"the bundle {bundle.shown} is listed twice:\n"
                f"    in {first.origin}\n    in {bundle.origin}",
                origin=bundle.origin,
                hint="keep one of them",
            )
    return tuple(known.values())


def _parse_bundle(entry: LuaValue, origin: SourceLocation, base_dir: Path) -> Bundle:
    if not isinstance(entry, dict) or not entry:
        raise DeclarationError(
            f"a bundle must be a table with `source`, not {fields.describe(entry)}",
            origin=origin,
            hint='such as { source = "https://…/recipes.git", ref = "v1" }',
        )
    fields.check_known(entry, _FIELDS, what="a bundle", origin=origin)
    return Bundle(item=parse_source_item(entry, origin=origin, base_dir=base_dir), origin=origin)


def check_has_bundles(
    identity: str, bundles: tuple[Bundle, ...], origin: SourceLocation | None
) -> None:
    """Check that a recipe whose entry has no source may be in a bundle.

    Raises:
        DeclarationError: the manifest has none.
    """
    if not bundles:
        raise DeclarationError(
            f"the source of {identity} is missing",
            origin=origin,
            hint=f'write {{ recipe = "{identity}", source = "…" }}, or list the bundle that has it '
            "in `bundles` of the manifest; only recipes of the namespaces envy and local have a "
            "default source",
        )


def parse_map(values: Mapping[str, LuaValue], source: SourceText) -> BundleMap:
    """Return the map of a bundle from the globals of its `envy-bundle.lua`.

    Raises:
        DeclarationError: `recipes` is missing or invalid; a namespace is not a bundle's to fill; or
            there are too many recipes.
    """
    value, origin = values.get("recipes"), source.at("recipes")
    if value is None:
        meant = next((name for name, _ in misspelt(values, _MAP_FIELDS)), "")
        raise DeclarationError(
            f"{MAP_NAME} has no `recipes`",
            origin=SourceLocation(source.path),
            hint=f"did you mean `recipes` instead of `{meant}`?" if meant else _EXAMPLE,
        )
    if not isinstance(value, dict):
        raise DeclarationError(
            f"`recipes` must map identities to files, not be {fields.describe(value)}",
            origin=origin,
            hint=_EXAMPLE,
        )
    if len(value) > BUNDLE_RECIPES.value:
        raise DeclarationError(
            f"the bundle has {len(value)} recipes, more than {BUNDLE_RECIPES.shown}, the limit "
            f"{BUNDLE_RECIPES.name}",
            origin=origin,
            hint=BUNDLE_RECIPES.hint,
        )
    found = {str(identity): _path_of(value, identity, origin) for identity in value}
    return BundleMap(recipes=dict(sorted(found.items())), source=source)


def _path_of(table: Mapping[str, object], identity: object, origin: SourceLocation) -> str:
    """Return the path of one entry of a map, which is checked."""
    where = fields.field_origin(origin, str(identity)) or origin
    if not isinstance(identity, str):
        raise DeclarationError(
            f"`recipes` must map identities to files, not {identity!r}", origin=where, hint=_EXAMPLE
        )
    try:
        key = RecipeKey.of(identity)
    except DeclarationError as error:
        error.origin = error.origin or where
        raise
    if reason := _RESERVED.get(key.namespace):
        raise DeclarationError(
            f"a bundle cannot bring {identity}: {reason}",
            origin=where,
            hint="give its recipes a namespace of their own",
        )
    is_text = isinstance(table[identity], str) and table[identity] != ""
    path = inner_path(table, identity, origin=origin) if is_text else ""
    if not path or "\0" in path:
        raise DeclarationError(
            f"the file of {identity} must be a relative path", origin=where, hint=_EXAMPLE
        )
    return path
