"""The links that fetched items brought below a root, and the error for those that leave it."""

import os
from dataclasses import dataclass

from envy.errors import EnvyError

Parts = tuple[str, ...]  # of a path below a root
_LONGEST_NAME = 255  # bytes; no file system has longer ones
_LONGEST_TARGET = 4095


@dataclass(frozen=True, slots=True)
class Brought:
    """A link that fetched content brought: the item, its member, and the link's target."""

    item: str
    member: str
    to: str
    judged: bool  # must not lead outside; other links may, but nothing is written through them


Links = dict[Parts, Brought]


class LeadsOutside(EnvyError):
    """A path below a root would leave the root.

    `link` is the link that leaves it, () if the path itself does; `brought` says who brought it.
    `other` describes the link that led to it, or through which it leads; "" if there is none.
    """

    def __init__(
        self, link: Parts, brought: Brought | None, *, what: str = "", other: str = ""
    ) -> None:
        self.what = what or "a link that leads outside"
        self.why = self.what
        if link:
            self.why += f": {described(link, brought)}"
        if other:
            self.why += f", reached through {other}"
        super().__init__(self.why)
        self.link = link
        self.brought = brought
        self.other = other


def why_no_name(name: str) -> str:
    """Return why no file can have a name, which has no slash; "" if one can."""
    size = len(os.fsencode(name))
    return f"has a name of {size} bytes" if size > _LONGEST_NAME else ""


def why_no_target(target: str) -> str:
    """Return why no link can lead to a target; "" if one can."""
    if not target:
        return "is a link to nothing"
    if "\0" in target:
        return "is a link to a path with a zero byte"
    size = len(os.fsencode(target))
    return f"is a link to a path of {size} bytes" if size > _LONGEST_TARGET else ""


def described(link: Parts, brought: Brought | None) -> str:
    """Return a link with its target and who brought it, as part of a sentence."""
    by = f" → {brought.to}, brought by {brought.item}" if brought is not None else ""
    return "/".join(link) + by
