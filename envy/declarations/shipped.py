"""The recipes that ship with envy, in namespace `envy`: where they are, and which there are."""

import functools
from pathlib import Path

from envy.declarations.sources import SourceItem
from envy.errors import DeclarationError, SourceLocation
from envy.suggest import did_you_mean


@functools.cache
def shipped_recipes_dir() -> Path:
    """Where the recipes of namespace `envy` are: in the installed package, or in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "shipped_recipes"
    return installed if installed.is_dir() else package.parent / "recipes"


@functools.cache
def _shipped_identities(directory: Path) -> frozenset[str]:
    return frozenset(path.stem for path in directory.glob("envy.*@*.lua"))


def shipped_source(identity: str, *, directory: Path, origin: SourceLocation) -> SourceItem:
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
