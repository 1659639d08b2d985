"""Who brought each path below a root, while the items of one fetch are unpacked into it.

Owns the rule for two items that bring the same path: they must bring the same content, unless the
later one may replace what came before. Paths are real ones, so that a link cannot hide a conflict.
Content is read only where two items meet.
"""

from collections.abc import Callable
from typing import NamedTuple

from envy.content.brought import Parts
from envy.errors import EnvyError


class Content(NamedTuple):
    """What is compared of a file or a link: not its time, nor permissions but to be executed."""

    is_link: bool
    executable: bool
    digest: str  # of a file; the target of a link


Look = Callable[[Parts], Content | None]


class PathConflict(EnvyError):
    """Two items bring the same path, and only one of them can be kept."""

    def __init__(
        self,
        path: Parts,
        why: str,
        *,
        first: str,
        second: str,
        more: int = 0,
        is_of_kind: bool = False,
    ) -> None:
        self.path = "/".join(path)
        self.why = why
        self.first = first
        self.second = second
        self.more = more  # further paths that the second replaces
        self.is_of_kind = is_of_kind  # a folder and a file: neither can replace the other
        super().__init__(f"{first} and {second} both bring {self.path}, {why}")


class Arrivals:
    """The paths that the items have brought so far, and those that the present one replaces."""

    def __init__(self) -> None:
        self._item = ""
        self._overlay = False
        self._brought: dict[Parts, dict[str, str]] = {}  # items by folder and name
        self._replaced: dict[Parts, tuple[str, Content]] = {}

    def begin(self, item: str, *, overlay: bool) -> None:
        """Begin an item, which replaces what others have brought only if `overlay` is true."""
        self._item = item
        self._overlay = overlay
        self._replaced.clear()

    def note(self, folder: Parts, name: str) -> None:
        """Record that the item brought a file or a link; `folder` is a real path."""
        try:
            self._brought[folder][name] = self._item
        except KeyError:
            self._brought[folder] = {name: self._item}

    def note_replaced(self, path: Parts, look: Look) -> None:
        """Record what is about to be replaced, if another item brought it."""
        other = self.item_at(path)
        if self._overlay or other in {None, self._item} or path in self._replaced:
            return
        content = look(path)
        if other is not None and content is not None:
            self._replaced[path] = (other, content)

    def taken(self, path: Parts, *, is_folder: bool) -> PathConflict | None:
        """Return the error for a folder in place of a file, or the reverse; None if nobody else's.

        `is_folder` says what is at the path now.
        """
        other = self._within(path) if is_folder else self.item_at(path)
        if other in {None, self._item}:
            return None
        why = "one as a file and one as a folder"
        return PathConflict(path, why, first=str(other), second=self._item, is_of_kind=True)

    def item_at(self, path: Parts) -> str | None:
        """Return the item that brought a file or a link; None if none did."""
        return self._brought.get(path[:-1], {}).get(path[-1])

    def _within(self, path: Parts) -> str | None:
        """Return another item that brought something into a folder."""
        found = (
            item
            for folder, names in self._brought.items()
            if folder[: len(path)] == path
            for item in names.values()
            if item != self._item
        )
        return next(found, None)

    def check(self, look: Look) -> None:
        """Compare what the item replaced with what it brought, once all of it is unpacked.

        Raises:
            PathConflict: the content differs.
        """
        wrong = []
        for path, (other, before) in sorted(self._replaced.items()):
            now = look(path)
            if now is not None and now != before:
                wrong.append((path, other, _difference(before, now)))
        if wrong:
            path, other, why = wrong[0]
            raise PathConflict(path, why, first=other, second=self._item, more=len(wrong) - 1)


def _difference(before: Content, now: Content) -> str:
    if before.is_link != now.is_link:
        return "one as a file and one as a link"
    if before.is_link:
        return "as links to different targets"
    if before.digest != now.digest:
        return "with different content"
    return "and only one of the two is executable"
