"""The one rule for which packages a query matches, decided on plain text.

A query names a package by its name, namespace.name, name@revision or namespace.name@revision;
options may follow, as in `python{version="3.13"}`. The alias that a recipe file gives itself counts
as a name. Aliases of the manifest are exact, and callers look them up before.

Warm commands use this module, so it imports nothing at first; the code that reads options is
imported when a query has options.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeVar

    T = TypeVar("T")

_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-")


def split_query(query: str) -> tuple[str, str] | None:
    """Return the name (with a namespace, if any) and the revision ("" without one) of a query.

    None if the text before its options does not name a package.
    """
    name, at, revision = query.partition("{")[0].partition("@")
    is_whole = name and (revision or not at)
    return (name, revision) if is_whole and _NAME_CHARACTERS.issuperset(name + revision) else None


def matches_identity(name: str, revision: str, identity: str, alias: str = "") -> bool:
    """Return whether a package has this name and revision; an empty revision is any."""
    full_name, _, own_revision = identity.rpartition("@")
    if revision and revision != own_revision:
        return False
    # A name may contain dots, so text with a dot is a name or a namespace with a name.
    return name in (full_name, full_name.partition(".")[2], alias)


def find_answering(query: str, packages: Iterable[tuple[str, str]]) -> list[int]:
    """Return the positions of the packages that match a query.

    Each package is its canonical key and the alias that its recipe file gives it ("" without one).
    A text that is not a query matches nothing; a key whose options cannot be read is not matched.
    """
    parts = split_query(query)
    if parts is None:
        return []
    name, revision = parts
    named = [
        (position, key)
        for position, (key, alias) in enumerate(packages)
        # The first test is cheap, and excludes most keys.
        if (name in key or name == alias)
        and matches_identity(name, revision, key.partition("{")[0], alias)
    ]
    if "{" in query and named:
        from envy.declarations.option_match import has_options

        return [position for position, key in named if has_options(key, query)]
    return [position for position, _key in named]


def prefer_exact(query: str, packages: Sequence[T], key_of: Callable[[T], str]) -> list[T]:
    """Return the package whose canonical key is the query itself, or all if there is none.

    A full key means only that package, although its variants with more options match, too.
    """
    exact = [package for package in packages if key_of(package) == query]
    return exact or list(packages)
