"""The table `overrides` of the manifest: what packages get, whatever entries ask for.

Owns its fields, and applying it to entries before their keys are made. Overrides are applied where
entries are parsed, and reach the dependencies of a recipe with its spec.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from envy.declarations import fields
from envy.declarations.key import RecipeKey
from envy.declarations.option_text import OptionValue, serialise_options
from envy.declarations.options import OptionDeclaration
from envy.declarations.query_match import matches_identity, split_query
from envy.declarations.source_digests import digest
from envy.declarations.sources import SourceItem, parse_source_item
from envy.declarations.spec import (
    BUNDLED,
    NO_OVERRIDES,
    CustomSource,
    Dependency,
    Override,
    Overrides,
    RecipeSpec,
    Replaced,
    Source,
)
from envy.declarations.tables import is_included
from envy.errors import DeclarationError, ManifestError, SourceLocation
from envy.host.platform import Platform

EVERYWHERE = "*"
_PINS = ("sha256", "ref")
_FIELDS = frozenset({"options", "source", "subdir", "platforms", *_PINS})


def parse_overrides(
    value: object, *, origin: SourceLocation, base_dir: Path, platform: Platform
) -> Overrides:
    """Return the overrides for a platform; `base_dir` is the folder of the manifest.

    Raises:
        ManifestError: a name is not one of packages; DeclarationError: a field is invalid.
    """
    if value is None or value == {}:
        return NO_OVERRIDES
    if not isinstance(value, dict):
        raise ManifestError(
            f"`overrides` must be a table of packages, not {fields.describe(value)}",
            origin=origin,
            hint='such as overrides = { ["local.zlib"] = { options = { version = "1.3.1" } } }',
        )
    found: dict[str, Override] = {}
    for name, table in value.items():
        here = fields.field_origin(origin, str(name)) or origin
        override = _parse_override(name, table, here, base_dir)
        if is_included(override.platforms, platform, here):
            found[override.name] = override
    everywhere = found.pop(EVERYWHERE, None)
    # The more exact name is applied last: zlib, local.zlib, zlib@r1, local.zlib@r1.
    ordered = sorted(found.values(), key=lambda one: ("@" in one.name, "." in one.name, one.name))
    return Overrides(tuple(ordered), everywhere)


def _parse_override(
    name: object, table: object, origin: SourceLocation, base_dir: Path
) -> Override:
    if not isinstance(name, str) or (name != EVERYWHERE and not _is_name(name)):
        raise ManifestError(
            f"`overrides` has a name that does not name packages: {name!r}",
            origin=origin,
            hint='use a name, namespace.name, an identity, or "*" for every recipe that declares '
            "the options",
        )
    what = f"overrides of {name}"
    if not isinstance(table, dict) or not table:
        raise fields.wrong_type(
            what, table, "a table", origin=origin, hint='such as { options = { version = "1.3" } }'
        )
    fields.check_known(table, _FIELDS, what=f"`{what}`", origin=origin)
    options = table.get("options", {})
    if not isinstance(options, dict):
        raise fields.wrong_type(f"{what}.options", options, "a table", origin=origin)
    serialise_options(options, origin=origin)  # raises for what is not data
    unfit = [field for field in table if field not in {"options", "platforms"}]
    if name == EVERYWHERE and (unfit or not options):
        raise ManifestError(
            f'`overrides["*"]` cannot have `{unfit[0]}`, which belongs to one recipe'
            if unfit
            else '`overrides["*"]` has no options',
            origin=origin,
            hint="it sets the options that recipes declare",
        )
    pins = {
        "sha256": digest(table, "sha256", origin=origin),
        "ref": fields.text(table, "ref", origin=origin),
        "subdir": fields.text(table, "subdir", origin=origin),
    }
    pins = {field: pin for field, pin in pins.items() if pin}
    source = None
    if "source" in table:
        written = {"source": table["source"], **pins}
        source = parse_source_item(written, origin=origin, base_dir=base_dir)
        pins = {}
    return Override(
        name=name,
        options=cast("Mapping[str, OptionValue]", options),
        source=source,
        pins=pins,
        platforms=fields.texts(table, "platforms", origin=origin),
        origin=origin,
    )


def _is_name(name: str) -> bool:
    return "{" not in name and split_query(name) is not None


def matching(overrides: Overrides, identity: str) -> list[Override]:
    """Return the overrides of a recipe, the most exact last."""
    return [
        override
        for override in overrides.named
        if matches_identity(*(split_query(override.name) or ("", "")), identity)
    ]


def overridden(spec: RecipeSpec, overrides: Overrides) -> RecipeSpec:
    """Return an entry after the overrides of its package, and of what its source depends on.

    Raises:
        DeclarationError: pins are given for a source that cannot have them.
    """
    if overrides is NO_OVERRIDES:
        return spec
    options, source = dict(spec.options), spec.source
    found = matching(overrides, spec.identity)
    for override in found:
        options.update(override.options)
        source = _source_of(override, source, spec)
    if isinstance(source, CustomSource):
        dependencies = tuple(overridden_dependencies(source.dependencies, overrides))
        source = replace(source, dependencies=dependencies)
    replaced = Replaced(spec.key, found[-1].origin) if found else None
    return replace(spec, options=options, source=source, overrides=overrides, replaced=replaced)


def overridden_dependencies(
    dependencies: Iterable[Dependency], overrides: Overrides
) -> list[Dependency]:
    """Return dependencies after the overrides of the packages that they and fallbacks name."""
    return [
        replace(one, spec=overridden(one.spec, overrides)) if one.spec is not None else one
        for one in dependencies
    ]


def _source_of(override: Override, source: Source, spec: RecipeSpec) -> Source:
    if override.source is not None:
        return override.source
    if not override.pins:
        return source
    if not isinstance(source, SourceItem):
        raise DeclarationError(
            f"the override of {override.name} pins a source, and that of {spec.identity} is a "
            + ("bundle" if source is BUNDLED else "function"),
            origin=override.origin,
            hint="override its `source` as well",
        )
    written = {
        "source": source.source,
        **{name: pin for name in ("sha256", "ref", "subdir") if (pin := getattr(source, name))},
        **override.pins,
    }
    pinned = parse_source_item(written, origin=override.origin, base_dir=source.base_dir)
    return replace(source, **{name: getattr(pinned, name) for name in override.pins})


def everywhere_for(
    spec: RecipeSpec, declarations: Iterable[OptionDeclaration]
) -> Mapping[str, OptionValue]:
    """Return the options that `overrides["*"]` gives a recipe: those that it declares.

    An override of the recipe itself is more exact.
    """
    everywhere = spec.overrides.everywhere
    if everywhere is None:
        return {}
    own = {name for one in matching(spec.overrides, spec.identity) for name in one.options}
    declared = {one.name for one in declarations} - own
    return {name: value for name, value in everywhere.options.items() if name in declared}


def describe_replaced(key: RecipeKey, replaced: Replaced) -> str:
    """Return a sentence about what an override made of the key that an entry asked for."""
    if replaced.key == key:
        return f"{replaced.origin} overrides {key}"
    return f"{replaced.origin} overrides {replaced.key}, which makes it {key}"


def describe_unused(override: Override) -> str:
    """Return why an override changes nothing."""
    if override.name == EVERYWHERE:
        return f"no recipe declares {' and '.join(override.options)}"
    return "no package in the graph has this name"


def unused(
    overrides: Overrides, packages: Iterable[tuple[RecipeKey, Iterable[OptionDeclaration]]]
) -> list[Override]:
    """Return the overrides that change nothing in a graph; each package has its declarations."""
    rows = list(packages)
    used = {one.name for key, _ in rows for one in matching(overrides, key.identity)}
    found = [one for one in overrides.named if one.name not in used]
    everywhere = overrides.everywhere
    if everywhere is not None:
        declared = {one.name for _, declarations in rows for one in declarations}
        options = {k: value for k, value in everywhere.options.items() if k not in declared}
        found += [replace(everywhere, options=options)] if options else []
    return found
