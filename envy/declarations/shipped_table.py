"""The table of the recipes that ship with envy: what each is, and the versions that it knows.

`envy list --shipped`, `envy search`, `envy add` and docs/shipped.md are all made from it.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envy.content.plain_file import NotPlain, read_plain
from envy.declarations.definition import parse_definition
from envy.declarations.key import RecipeKey
from envy.declarations.option_text import OptionValue
from envy.declarations.shipped import shipped_identities, shipped_recipes_dir, shipped_source
from envy.declarations.spec import RecipeSpec
from envy.declarations.versions import order_of
from envy.errors import DeclarationError, SourceLocation
from envy.limits import LUA_MEMORY
from envy.lua.quiet_state import quiet_state
from envy.lua.values import LuaValue
from envy.masking import remember


@dataclass(frozen=True, slots=True, kw_only=True)
class ShippedRecipe:
    """A recipe that ships with envy, or is in a bundle, with what it says about itself.

    `version` is what it installs by default, "" if its option `version` does not exist. `versions`
    has the known ones, newest first, each with digests by platform; they are the only ones if
    `is_closed`. `options` are the names of its options.
    """

    identity: str
    name: str
    version: str
    versions: Mapping[str, Mapping[str, str]]
    is_closed: bool
    license: str
    description: str
    products: tuple[str, ...]
    platforms: tuple[str, ...]
    user_managed: bool
    options: frozenset[str]


def shipped_table() -> list[ShippedRecipe]:
    """Return all recipes that ship with envy, by identity."""
    return [shipped_recipe(identity) for identity in identities()]


def identities() -> list[str]:
    """Return the identities of the recipes that ship with envy, sorted."""
    return sorted(shipped_identities(shipped_recipes_dir()))


@functools.cache
def shipped_recipe(identity: str) -> ShippedRecipe:
    """Load the recipe with an identity that is one of `identities`."""
    directory = shipped_recipes_dir()
    origin = SourceLocation(directory)
    source = shipped_source(identity, directory=directory, origin=origin)
    spec = RecipeSpec(identity=identity, source=source, origin=origin)
    return described_recipe(spec, directory / f"{identity}.lua", name=RecipeKey.of(identity).name)


def described_recipe(
    spec: RecipeSpec,
    path: Path,
    *,
    name: str,
    shared_dir: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> ShippedRecipe:
    """Load the recipe in a file, and return what it says about itself.

    Its modules may be in `shared_dir`, too.

    Raises:
        EnvyError: it is not valid, or has another identity.
    """
    state = quiet_state(path.parent, environment=environment or {}, shared_dir=shared_dir)
    try:
        content = read_plain(str(path), LUA_MEMORY)
        state.load_file(path, content)
        values = state.user_globals()
        definition = parse_definition(
            values, spec=spec, path=path, text=content.decode("utf-8", "surrogateescape")
        )
    except (OSError, NotPlain) as error:
        raise DeclarationError(f"{path} cannot be read: {error}") from error
    finally:
        # What it reads may be secret: it is not in a run that could tell.
        remember(filter(None, state.reads.variables.values()))
        state.close()
    options = {option.name: option for option in definition.declarations or ()}
    declared = options.get("version")
    choices = [str(choice) for choice in declared.choices] if declared else []
    products = definition.products if isinstance(definition.products, Mapping) else {}
    return ShippedRecipe(
        identity=spec.identity,
        name=name,
        version=str(definition.options.get("version", "")) if declared else "",
        versions=_known(values.get("options")) or {version: {} for version in reversed(choices)},
        is_closed=bool(choices),
        license=definition.about.get("license", ""),
        description=definition.about.get("description", ""),
        products=tuple(sorted(products)),
        platforms=definition.platforms,
        user_managed=definition.user_managed,
        options=frozenset(options),
    )


def _known(options: LuaValue) -> dict[str, Mapping[str, str]]:
    """Return the digests of each known version, newest first."""
    option = options.get("version") if isinstance(options, dict) else None
    known = option.get("known") if isinstance(option, dict) else None
    if not isinstance(known, dict):
        return {}
    digests = {
        str(version): {str(name): str(digest) for name, digest in sorted(found.items())}
        for version, found in known.items()
        if isinstance(found, dict)
    }
    return dict(sorted(digests.items(), key=lambda row: order_of(row[0]), reverse=True))


def entry_of(recipe: ShippedRecipe, version: str) -> str | dict[str, OptionValue]:
    """Return the entry of `packages` for a recipe, with a version or ("") its default."""
    if not version:
        return recipe.identity
    return {"recipe": recipe.identity, "options": {"version": version}}
