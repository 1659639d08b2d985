"""The words that name a shipped recipe on a command line: `ninja`, `ninja@1.11.1`, `envy.ninja@r1`.

A bare name is only ever a recipe that ships with envy; it is never looked up in a registry.
"""

import re
from dataclasses import dataclass

from envy.declarations.shipped_table import (
    ShippedRecipe,
    identities,
    shipped_recipe,
    shipped_table,
)
from envy.declarations.version_choice import choose
from envy.declarations.versions import is_constraint, nearest_versions
from envy.errors import EnvyError
from envy.suggest import nearest

_VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+!-]*")
_REGISTRIES = {"pypi": "Python packages", "npm": "packages of npm"}


@dataclass(frozen=True, slots=True)
class NamedTool:
    """A shipped recipe, and the version that was asked for; "" is its default."""

    recipe: ShippedRecipe
    version: str


def named_tool(word: str, *, command: str) -> NamedTool:
    """Return the shipped recipe and the version that a word of `envy COMMAND` names.

    Raises:
        EnvyError: no recipe has this name, or it does not take the version.
    """
    scheme, colon, rest = word.partition(":")
    if colon and scheme in _REGISTRIES:
        raise _of_registry(word, scheme, rest, command)
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


def _of_registry(word: str, scheme: str, rest: str, command: str) -> EnvyError:
    name = rest.replace("==", "@").partition("@")[0]
    recipe = next((one for one in shipped_table() if one.name == name), None)
    if recipe is not None:
        hint = f"envy ships a recipe for it: envy {command} {name}"
    elif command == "add":
        hint = (
            f'write a recipe whose `fetch` is "{scheme}:…" (docs/recipes.md); '
            "`envy list --shipped` shows what ships with envy"
        )
    else:
        hint = "`envy list --shipped` shows the tools that there are"
    return EnvyError(f"{word}: envy ships no recipe that installs {_REGISTRIES[scheme]}", hint=hint)


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
