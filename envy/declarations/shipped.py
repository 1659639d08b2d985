"""The recipes that ship with envy, in the namespace `envy`."""

import functools
from pathlib import Path

from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean


@functools.cache
def shipped_recipes_dir() -> Path:
    """Return the folder of the shipped recipes: in the installed package, or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


@functools.cache
def shipped_identities(directory: Path) -> frozenset[str]:
    """Return the identities of all recipes in the folder of the shipped ones."""
    return frozenset(path.stem for path in directory.glob("envy.*@*.lua"))


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
