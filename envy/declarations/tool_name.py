"""The words that name a shipped recipe on a command line: `ninja`, `ninja@1.11.1`, `envy.ninja@r1`.

A bare name is a recipe that ships with envy, or for `envy add` one of a bundle; it is never looked
up in a registry. With `pypi:` or `npm:`, it is a package of that registry, for the recipe that
installs any of them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from envy.declarations.option_text import OptionValue
from envy.declarations.shipped_table import (
    ShippedRecipe,
    entry_of,
    identities,
    shipped_recipe,
    shipped_table,
)
from envy.declarations.sources import SourceItem
from envy.declarations.version_choice import choose
from envy.declarations.versions import is_constraint, nearest_versions
from envy.errors import EnvyError
from envy.suggest import nearest

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+!-]*")
_SIGNS = re.compile(r"[-_.]+")
_REGISTRIES = {"pypi": "envy.pytool@r1", "npm": "envy.npmtool@r1"}
_PACKAGE = {
    "pypi": re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:(?:@|==)([A-Za-z0-9][A-Za-z0-9._+!-]*))?"),
    "npm": re.compile(
        r"((?:@[a-z0-9][a-z0-9._-]*/)?[a-z0-9][a-z0-9._-]*)(?:@([0-9][A-Za-z0-9._+-]*))?"
    ),
}


@dataclass(frozen=True, slots=True)
class NamedTool:
    """A shipped recipe, and the version that was asked for; "" is its default.

    `package` is that of a registry, for a recipe that installs any of them.
    """

    recipe: ShippedRecipe
    version: str
    package: str = ""

    @property
    def program(self) -> str:
        """The program with the name of the package of a registry."""
        return self.package.rpartition("/")[2]

    def entry(self, *programs: str) -> str | dict[str, OptionValue]:
        """Return the entry of `packages`; `programs` are those to provide instead of `program`."""
        if not self.package:
            return entry_of(self.recipe, self.version)
        options: dict[str, OptionValue] = {"package": self.package}
        if self.version:
            options["version"] = self.version
        if programs:
            options["programs"] = list(programs)
        return {"recipe": self.recipe.identity, "options": options}


def named_tool(word: str, *, command: str) -> NamedTool:
    """Return the shipped recipe and the version that a word of `envy COMMAND` names.

    Raises:
        EnvyError: no recipe has this name, or it does not take the version.
    """
    scheme, colon, rest = word.partition(":")
    if colon and scheme in _REGISTRIES:
        return _of_registry(word, scheme, rest, command)
    known = identities()
    if word in known:
        return NamedTool(shipped_recipe(word), "")
    name, at, version = word.removeprefix("envy.").partition("@")
    found = [identity for identity in known if identity.startswith(f"envy.{name}@")]
    if not name or not found:
        raise _unknown(word, name, command)
    if f"envy.{name}@{version}" in found:
        return NamedTool(shipped_recipe(f"envy.{name}@{version}"), "")
    if at and not version:
        raise EnvyError(f"{word} has no version after the @", hint=f"envy {command} {name}")
    recipe = shipped_recipe(found[-1])
    check_version(recipe, version)
    return NamedTool(recipe, version)


def is_shipped_name(word: str) -> bool:
    """Return whether a word names a recipe that ships with envy, whatever its version."""
    name = word.removeprefix("envy.").partition("@")[0]
    return any(identity.startswith(f"envy.{name}@") for identity in identities())


def released_as(identity: str, options: Mapping[str, object], base_dir: Path) -> SourceItem | None:
    """Return the release that a recipe of any package of a registry installs; None for others."""
    for scheme, recipe in _REGISTRIES.items():
        name = str(options.get("package") or "").partition("[")[0]
        if recipe == identity and name and options.get("version"):
            separator = "==" if scheme == "pypi" else "@"
            source = f"{scheme}:{name}{separator}{options['version']}"
            return SourceItem(source=source, base_dir=base_dir)
    return None


def registry_package(identity: str, package: object) -> str:
    """Return what an entry with this option `package` installs, such as "pypi:black"; or ""."""
    for scheme, recipe in _REGISTRIES.items():
        if recipe == identity and isinstance(package, str) and package:
            return f"{scheme}:{_plain_name(scheme, package.partition('[')[0])}"
    return ""


def _plain_name(scheme: str, name: str) -> str:
    """Return the name as its registry spells it: for the index, Ruamel_Yaml is ruamel-yaml."""
    return _SIGNS.sub("-", name).lower() if scheme == "pypi" else name


def check_version(recipe: ShippedRecipe, version: str) -> None:
    """Check that a recipe takes a version or a constraint; "" is its default.

    A recipe without fixed choices takes versions that it was not tested with, too: whether there is
    such a release, its registry says.

    Raises:
        EnvyError: it does not; the nearest three are in the message.
    """
    if not version or version in recipe.versions:
        return
    if not recipe.version:
        raise EnvyError(
            f"{recipe.identity} has no option `version`",
            hint=f"leave the version out: {recipe.description[:1].lower()}{recipe.description[1:]}",
        )
    if is_constraint(version):
        choose("version", version, list(recipe.versions), origin=None)
    elif recipe.is_closed:
        near = ", ".join(nearest_versions(version, recipe.versions))
        raise EnvyError(f"{recipe.identity} knows no version {version}", hint=f"it has {near}")
    elif not _VERSION.fullmatch(version):
        raise EnvyError(f"{version!r} is not a version", hint=f"such as {recipe.version}")


def _of_registry(word: str, scheme: str, rest: str, command: str) -> NamedTool:
    found = _PACKAGE[scheme].fullmatch(rest)
    if found is None:
        example = "pypi:black@26.1.0" if scheme == "pypi" else "npm:prettier@3.0.0"
        raise EnvyError(
            f"{word} does not name a package: a name and perhaps a version follow {scheme}:",
            hint=f"envy {command} {example}",
        )
    name = _plain_name(scheme, found[1])
    return NamedTool(shipped_recipe(_REGISTRIES[scheme]), found[2] or "", name)


def _unknown(word: str, name: str, command: str) -> EnvyError:
    table = shipped_table()
    names = [recipe.name for recipe in table]
    by_product = {product: recipe for recipe in table for product in recipe.products}
    provider = by_product.get(name)
    near = nearest(name, [*names, *by_product])
    if provider is not None:
        hint = f"{name} is a program of {provider.name}: envy {command} {provider.name}"
        if command == "x":
            hint = (
                f"{name} is a program of {provider.name}: envy x --program {name} {provider.name}"
            )
    elif near is not None:
        near = near if near in names else by_product[near].name
        hint = f'did you mean "{near}"?'
    else:
        hint = f"they are {', '.join(names)}"
        if command == "add":
            hint += "; a recipe from elsewhere is added by its URL"
    return EnvyError(f'none of the {len(names)} recipes that ship with envy is "{word}"', hint=hint)
