"""Links in a part of a tree that lead beside the part: copies of their targets take their places.

Owns when a link leads beside, and the bounds on what is copied: a folder is never copied into
itself, and there is a limit to the copies, since folders full of links to others multiply.
"""

import errno
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from envy.content import tree_copy
from envy.content.below_root import BelowRoot
from envy.content.brought import Brought, LeadsOutside, Parts
from envy.errors import EnvyError
from envy.limits import LINK_FILES, LINK_SIZE, Limit

_DEEPEST = 40  # copies within copies; as many links as a path may lead through


class CannotCopy(EnvyError):
    """A link cannot be replaced by a copy of its target; `why` completes "it is a link …"."""

    def __init__(self, why: str) -> None:
        super().__init__(f"it is a link {why}")
        self.why = why


class NoTarget(CannotCopy):
    """A link leads to something that the tree does not contain."""


class TooManyCopies(CannotCopy):
    """The copies that links would be replaced by are too many, or too large."""

    def __init__(self, limit: Limit) -> None:
        super().__init__(
            f"to what is left out, and copies would exceed {limit.shown}, the limit {limit.name}"
        )
        self.hint = limit.hint


def lowest_level(names: Sequence[str], to: str) -> int:
    """Return how deep the highest folder is that a link passes on the way to its target.

    `names` are the parts of the link itself. The result is negative if the link leaves the tree.
    """
    at = lowest = len(names) - 1
    for name in to.split("/"):
        if name not in {"", "."}:
            at += -1 if name == ".." else 1
            lowest = min(lowest, at)
    return lowest


class _Step(NamedTuple):
    source: Parts  # a real path in the tree
    to: Parts
    top: Parts  # the folder that is being copied
    trail: tuple[Parts, ...]  # the links that led here


@dataclass(slots=True)
class Copies:
    """Copies from a tree to below a root, within the limits."""

    tree: BelowRoot
    below: BelowRoot
    bring: Callable[[Parts, str], Brought]  # from the path of a link in the tree, and its target
    most_files: Limit = LINK_FILES
    most_bytes: Limit = LINK_SIZE
    files: int = 0  # and folders and links
    bytes: int = 0

    def copy_target(
        self, link: Parts, parts: Parts, copied: Callable[[Parts], None] = lambda _: None
    ) -> int:
        """Copy what a link of the tree leads to; return the number of files and links.

        `copied` is called with the path of each file.
        Links inside a copied folder that stay in it are kept, others are replaced in turn.

        Raises:
            CannotCopy: there is no target, or it contains the link; TooManyCopies: a limit.
            LeadsOutside: the copy would be written outside of the root.
        """
        link = self.tree.find(link, follow=False)
        target = self._target(link, ())
        waiting = [_Step(target, parts, target, (link,))]
        count = 0
        while waiting:
            step = waiting.pop()
            path = Path(self.tree.root, *step.source)
            status = os.lstat(path)
            self._spend(status)
            if stat.S_ISDIR(status.st_mode):
                self.below.real_folder(step.to)
                names = sorted(os.listdir(path), reverse=True)  # noqa: PTH208  names alone
                waiting += (
                    step._replace(source=(*step.source, name), to=(*step.to, name))
                    for name in names
                )
                continue
            if stat.S_ISLNK(status.st_mode):
                text = self.tree.read_link(step.source)
                if text.startswith("/") or lowest_level(step.source, text) < len(step.top):
                    target = self._target(step.source, step.trail)
                    waiting.append(_Step(target, step.to, target, (*step.trail, step.source)))
                    continue
                self.below.create_link(step.to, self.bring(step.source, text))
            else:
                tree_copy.copy_file(path, self.below, step.to)
                copied(step.to)
            count += 1
        return count

    def _target(self, link: Parts, trail: Sequence[Parts]) -> Parts:
        """Return the real path that a link leads to, unless its copy would be endless."""
        try:
            target = self.tree.find(link, follow=True)
            status = self.tree.status(target) if target else None
        except LeadsOutside as error:
            raise CannotCopy(f"to {error.why}") from None
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR}:
                raise
            raise CannotCopy("that leads nowhere") from None
        if len(trail) > _DEEPEST:
            raise CannotCopy(f"that leads on through more than {_DEEPEST} folders with links")
        if any(_contains(target, position) for position in (*trail, link)):
            raise CannotCopy("to a folder that contains it, so that a copy would be endless")
        if status is None:
            raise NoTarget(f"to {'/'.join(target)}, which does not exist")
        return target

    def _spend(self, status: os.stat_result) -> None:
        self.files += 1
        self.bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
        if self.files > self.most_files.value:
            raise TooManyCopies(self.most_files)
        if self.bytes > self.most_bytes.value:
            raise TooManyCopies(self.most_bytes)


def _contains(folder: Parts, path: Parts) -> bool:
    return folder != path and path[: len(folder)] == folder
