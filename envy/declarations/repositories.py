"""Where the git repositories of one fetch are unpacked."""

from collections.abc import Sequence
from dataclasses import replace

from envy.declarations.sources import Scheme, SourceItem, last_part, scheme_of


def placed_apart(items: Sequence[SourceItem]) -> Sequence[SourceItem]:
    """Return the items, with `into` for each of several repositories that has none.

    It is `dest`, or the last part of the address. One repository alone is unpacked into the stage
    folder itself.
    """
    repositories = [scheme_of(item.source) is Scheme.GIT for item in items]
    if sum(repositories) < 2:
        return items
    return [
        replace(item, into=item.dest or last_part(item, Scheme.GIT))
        if is_one and not item.into
        else item
        for item, is_one in zip(items, repositories, strict=True)
    ]
