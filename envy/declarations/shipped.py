"""The recipes that ship with envy, in the namespace `envy`."""

import functools
import re
from pathlib import Path

from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean

TESTS_ENDING = "_test.lua"  # of the name of a file with tests of the recipe beside it


@functools.cache
def shipped_recipes_dir() -> Path:
    """Return the folder of the shipped recipes: in the installed package, or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


@functools.cache
def shipped_identities(directory: Path) -> frozenset[str]:
    """Return the identities of all recipes in the folder of the shipped ones."""
    return frozenset(
        path.stem for path in directory.glob("envy.*@*.lua") if not path.name.endswith(TESTS_ENDING)
    )


def shipped_source(identity: str, *, directory: Path, origin: SourceLocation) -> SourceItem:
    """Return the source of a recipe that ships with envy.

    Raises:
        DeclarationError: no shipped recipe has this identity.
    """
    known = shipped_identities(directory)
    if identity not in known:
        raise DeclarationError(
            f"no recipe {identity} ships with envy",
            origin=origin,
            hint=did_you_mean(identity, known) or "add a `source` to fetch it from elsewhere",
        )
    return SourceItem(source=f"{identity}.lua", origin=origin, base_dir=directory)


_PRODUCTS = re.compile(r"^products = \{(.*)\}$", re.MULTILINE)
_INNER = re.compile(r"\{[^{}]*\}")  # the fields of one product
_PRODUCT = re.compile(r"([A-Za-z0-9_-]+) = ")


def advice_to_add(name: str) -> str:
    """Return how to add the shipped recipe of this name, or with this product; "" without one.

    For error messages only: the texts of the recipes are searched.
    """
    directory = shipped_recipes_dir()
    for identity in sorted(shipped_identities(directory)):
        names = {identity, identity.rpartition("@")[0], identity[len("envy.") :].rpartition("@")[0]}
        text = (directory / f"{identity}.lua").read_text(encoding="utf-8")
        for products in _PRODUCTS.findall(text):
            names.update(_PRODUCT.findall(_INNER.sub("", products)))
        if name in names:
            return f'add "{identity}" to `packages` in the manifest'
    return ""
