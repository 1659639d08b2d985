"""The rule for the file names of one fetch: each has its own, and none lies inside of another."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from envy.errors import DeclarationError, SourceLocation


class NamedItem(Protocol):
    """What is needed of an item to check its name."""

    @property
    def source(self) -> str:
        """The item's source, as written."""

    @property
    def kind(self) -> str:
        """The kind of release, for a registry."""

    @property
    def python(self) -> str:
        """The version of Python that a release is for."""

    @property
    def origin(self) -> SourceLocation | None:
        """Where the item is declared."""


def check_file_names(
    items: Sequence[NamedItem], names: Sequence[str], *, repositories: Sequence[str]
) -> None:
    """Raise if two items have the same file name in fetch_dir, or one lies inside another.

    A name is "" if a registry decides it. `repositories` are those names that addresses of
    repositories gave.
    """
    taken: dict[str, NamedItem] = {}
    for given, item in zip(names, items, strict=True):
        name = "/".join(part for part in given.split("/") if part not in {"", "."})
        # A registry gives one name to the same release.
        key = name or f"{item.source} {item.kind} {item.python}"
        first = taken.setdefault(key, item)
        if first is not item:
            raise same_file_name(name, first, item, by_into=repositories.count(name) > 1)
    for name, item in taken.items():
        _check_not_inside(name, item, taken)


def same_file_name(
    name: str, first: NamedItem, second: NamedItem, *, by_into: bool = False
) -> DeclarationError:
    """Return the error for two items of one file name in fetch_dir; "" for one of a registry.

    With `by_into`, `into` would tell them apart as well.
    """
    what = f'two sources have the file name "{name}": {first.source} and {second.source}'
    if by_into:
        what = f"two repositories have the same name: {first.source} and {second.source}"
    return DeclarationError(
        what if name else f"two sources have the same file: {second.source}",
        origin=second.origin,
        hint='unpack one of them into a folder that you choose: into = "FOLDER"'
        if by_into
        else 'give one of them another name: dest = "NAME"',
    )


def _check_not_inside(name: str, item: NamedItem, taken: Mapping[str, NamedItem]) -> None:
    """Raise if an item would be written into another one, and perhaps through a link of it."""
    above = name
    while "/" in above:
        above = above.rpartition("/")[0]
        if above in taken:
            raise DeclarationError(
                f'"{name}", for {item.source}, lies inside of "{above}", which is '
                f"{taken[above].source}",
                origin=item.origin,
                hint='give it a name outside: dest = "NAME" (`into` chooses a folder of the stage)',
            )
