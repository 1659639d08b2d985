"""The files that differ from a commit, and what of a package's inputs is among them.

A path may lead through links: a link that changed counts, and so does what it leads to.

Guarantees
  A file counts as changed unless git says that it is as in the commit. Where git cannot tell, as of
  files that it ignores and of all that is not in the repository, `cannot_tell` says so.
"""

from __future__ import annotations

import os
import stat
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from envy.testing.evidence import FOLDER, LISTING, NAMES, UNIGNORED, VARIABLE, Fact

ADDED, REMOVED, EDITED = "added", "removed", "edited"
_NAMES_ONLY = frozenset({FOLDER, LISTING, UNIGNORED})
_MOST_LINKS = 40  # as Linux follows


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownReads:
    """What is known of the files that a package's tests read.

    `facts` are those of its last remembered result with the same key; `missing` says why they prove
    nothing about the present, and is "" if the result still holds.
    """

    facts: Sequence[Fact] = ()
    missing: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The changes since `ref`: paths below `top`, the real folder of the repository.

    A row of `rows` may be a folder: a repository in the repository, whose files count as changed.
    `manifest` is the manifest or its lock, if that changed. `project` says why the packages of the
    manifest may be others than in the commit.
    """

    ref: str
    top: str
    rows: Mapping[str, str] = field(default_factory=dict)  # ADDED, REMOVED or EDITED, by path
    known: frozenset[str] = frozenset()  # all that git does not ignore
    # Of these, what git calls unchanged, although its bytes may be others than in the commit.
    doubtful: frozenset[str] = frozenset()
    links: Sequence[str] = ()  # among the known
    manifest: str = ""
    project: str = ""
    _order: list[str] = field(default_factory=list)
    _by_folder: dict[str, list[str]] = field(default_factory=dict)
    _folders: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._order.extend(sorted(self.rows))
        for path in self._order:
            self._by_folder.setdefault(os.path.dirname(path), []).append(path)  # noqa: PTH120

    # -- inputs ----------------------------------------------------------------------------------

    def of_file(self, path: str) -> str:
        """Return the change that a file has part in, as a path below the top; "" if none."""
        real, links = self._resolved(path)
        for place in (*links, real):
            if place in self.rows:
                return self.shown(place)
        if os.path.isdir(real):  # noqa: PTH112
            return self._below(real, hidden=True)
        return self._of_a_folder_above(real)

    def of_folder(self, path: str, *, hidden: bool = True) -> str:
        """Return the first change below a folder; without `hidden`, none of names with . or _."""
        real, links = self._resolved(path)
        for link in links:
            if link in self.rows:
                return self.shown(link)
        found = self._below(real, hidden=hidden) or self._of_a_folder_above(real)
        inside = (link for link in self.links if link.startswith(f"{real}/"))
        return found or next(filter(None, map(self.of_file, inside)), "")

    def of_names(self, path: str) -> str:
        """Return the first file below a folder that was added or removed."""
        real, links = self._resolved(path)
        for link in links:
            if link in self.rows:
                return self.shown(link)
        for place in self._places_below(real):
            if self.rows[place] != EDITED:
                return self.shown(place)
        return self._of_a_folder_above(real)

    def of_fact(self, fact: Fact) -> str:
        """Return the change that a row of evidence may have part in."""
        if fact.kind in {VARIABLE, NAMES}:
            return ""
        return self.of_names(fact.subject) if fact.kind in _NAMES_ONLY else self.of_file(
            fact.subject
        )  # fmt: skip

    def in_folder(self, path: str) -> Sequence[str]:
        """Return the changed paths that lie directly in a folder."""
        return self._by_folder.get(self.real(path), ())

    def below(self, path: str) -> Sequence[str]:
        """Return the changed paths below a folder."""
        return self._places_below(self.real(path))

    def ignores(self, path: str) -> bool:
        """Return whether a file is in the repository, and git ignores it."""
        real = self._resolved(path)[0]
        return self._is_inside(real) and real not in self.known and os.path.lexists(real)

    def cannot_tell(self, path: str) -> bool:
        """Return whether a file, or something below a folder, may differ without git's saying so.

        Of a folder, what git ignores below it does not count.
        """
        real = self._resolved(path)[0]
        if not self._is_inside(real):
            return True
        if os.path.isdir(real):  # noqa: PTH112
            return any(place.startswith(f"{real}/") for place in self.doubtful)
        return real in self.doubtful or self.ignores(path)

    def knows(self, path: str) -> bool:
        """Return whether git looks at a file, or at something below a folder."""
        real = self._resolved(path)[0]
        if real == self.top or real in self.known or real in self.rows:
            return True
        return any(place.startswith(f"{real}/") for place in self.known)

    def contains(self, path: str) -> bool:
        """Return whether a file or folder lies in the repository."""
        return self._is_inside(self.real(path))

    def real(self, path: str) -> str:
        """Return where a path leads."""
        return self._resolved(path)[0]

    def shown(self, path: str) -> str:
        """Return a changed path as users are shown it."""
        return path.removeprefix(f"{self.top}/")

    # -- paths -----------------------------------------------------------------------------------

    def _is_inside(self, real: str) -> bool:
        return real == self.top or real.startswith(f"{self.top}/")

    def _below(self, real: str, *, hidden: bool) -> str:
        for place in self._places_below(real):
            inner = place[len(real) + 1 :].split("/")
            if hidden or not any(name[:1] in {".", "_"} for name in inner):
                return self.shown(place)
        return self.shown(real) if real in self.rows else ""

    def _places_below(self, real: str) -> Sequence[str]:
        prefix = f"{real}/" if real != "/" else "/"
        begin = bisect_left(self._order, prefix)
        end = begin
        while end < len(self._order) and self._order[end].startswith(prefix):
            end += 1
        return self._order[begin:end]

    def _of_a_folder_above(self, real: str) -> str:
        """Return the changed row that has this path below it: a repository of its own."""
        above = os.path.dirname(real)  # noqa: PTH120
        while self._is_inside(above) and above != self.top:
            if above in self.rows:
                return self.shown(above)
            above = os.path.dirname(above)  # noqa: PTH120
        return ""

    def _resolved(self, path: str, depth: int = 0) -> tuple[str, tuple[str, ...]]:
        """Return where a path leads, and the links on the way."""
        folder, name = os.path.split(path)
        if not name:
            return (folder, ()) if folder == path else self._resolved(folder, depth)
        real, links = self._folder(folder, depth)
        if name in {".", ".."}:
            return real if name == "." else os.path.dirname(real), links  # noqa: PTH120
        place = f"{real.rstrip('/')}/{name}"
        try:
            is_link = stat.S_ISLNK(os.lstat(place).st_mode)
            target = os.readlink(place) if is_link else ""  # noqa: PTH115
        except (OSError, ValueError):
            return place, links
        if not is_link or depth > _MOST_LINKS:
            return place, links
        led, more = self._resolved(os.path.join(real, target), depth + 1)  # noqa: PTH118
        return led, (*links, place, *more)

    def _folder(self, path: str, depth: int) -> tuple[str, tuple[str, ...]]:
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = self._resolved(path, depth)
        return found
