"""A folder of this machine as a package takes it: what is left out of it, and what its links mean.

The rules of a folder are a text, which evidence stores: letters, then `exclude` patterns, each
after `//`. No rules take everything.

Guarantees
  What is taken depends only on content below the folder and on what followed links lead to.
  A link that stays among what is taken is taken as a link. Any other is an error, or is followed.
  A walk ends: a link to a folder that it is inside of is an error, and so are more files and
  folders behind links than the limit.

Loads little, since warm commands compare folders with what was taken of them.
"""

# Plain os functions: these run once per file, perhaps a hundred thousand times.
# ruff: noqa: PTH115, PTH116, PTH118

from __future__ import annotations

import os
import stat

from envy.limits import FOLLOWED_FILES

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterator, Mapping, Sequence

    Row = tuple[str, str, os.stat_result, str]
    Matcher = str | tuple[re.Pattern[str], bool] | None  # a name, a pattern of names, or `**`
    Chain = tuple[tuple[int, int], "Chain"] | None

NOTHING_LEFT_OUT = ""
_MOST_LINKS = 40  # the limit of Linux
_FOLLOW, _NO_HISTORY = "f", "n"
_VERSION_CONTROL = frozenset({".git", ".hg", ".jj", ".svn"})
_MAGIC = frozenset("*?[")


class NotTaken(OSError):
    """Something in a folder that cannot be part of a package; `relative` says what."""

    def __init__(self, relative: str, why: str, hint: str) -> None:
        super().__init__(why)
        self.relative = relative
        self.why = why
        self.hint = hint


def rules_of(*, exclude: Sequence[str] = (), follow: bool = False, history: bool = True) -> str:
    """Return the rules of a folder as text; `history`: the folders of version control are taken."""
    letters = (_FOLLOW if follow else "") + ("" if history else _NO_HISTORY)
    return "//".join([letters, *map(_normal, exclude)])


def _normal(pattern: str) -> str:
    return "/".join(part for part in pattern.split("/") if part not in {"", "."})


class FolderRules:
    """The rules of a folder, ready to be applied to paths below it."""

    __slots__ = ("_history", "_patterns", "follow")

    def __init__(self, text: str) -> None:
        letters, *patterns = text.split("//")
        self.follow = _FOLLOW in letters
        self._history = _NO_HISTORY not in letters
        self._patterns = [_matchers(pattern) for pattern in patterns if pattern]

    def left_out(self, names: Sequence[str]) -> bool:
        """Return whether a path, relative to the folder, is left out, or a folder that it is in."""
        if not self._history and not _VERSION_CONTROL.isdisjoint(names):
            return True
        return any(_matches(names, pattern) for pattern in self._patterns)

    def is_history(self, names: Sequence[str]) -> bool:
        """Return whether a path is left out as version control's."""
        return not self._history and not _VERSION_CONTROL.isdisjoint(names)


def _matchers(pattern: str) -> list[Matcher]:
    return [_matcher(part) for part in pattern.split("/")]


def _matcher(part: str) -> Matcher:
    if part == "**":
        return None
    if _MAGIC.isdisjoint(part):
        return part
    # Imported here, because most folders have no patterns.
    import re
    from fnmatch import translate

    return re.compile(translate(part)), part.startswith(".")


def _matches(names: Sequence[str], pattern: Sequence[Matcher]) -> bool:
    """Return whether a pattern matches a path or a folder that it is in, as `glob` would."""
    end = len(pattern)
    places = _with_none_skipped({0}, pattern)
    for name in names:
        after = set()
        for place in places - {end}:
            matcher = pattern[place]
            if matcher is None:
                if not name.startswith("."):
                    after.add(place)
            elif _is_name(name, matcher):
                after.add(place + 1)
        places = _with_none_skipped(after, pattern)
        if end in places:
            return True
        if not places:
            return False
    return False


def _with_none_skipped(places: set[int], pattern: Sequence[Matcher]) -> set[int]:
    """Return the places in a pattern with those after a `**`, which may match nothing."""
    found = set(places)
    for place in places:
        following = place
        while following < len(pattern) and pattern[following] is None:
            following += 1
            found.add(following)
    return found


def _is_name(name: str, matcher: str | tuple[re.Pattern[str], bool]) -> bool:
    if isinstance(matcher, str):
        return name == matcher
    pattern, hidden = matcher
    return pattern.match(name) is not None and (hidden or not name.startswith("."))


def walk(
    top: str, text: str = NOTHING_LEFT_OUT, *, start: str = "", most: int | None = None
) -> Iterator[Row]:
    """Yield what is taken of a folder: path relative to it, path, status and, of links, the target.

    With `start`, a path relative to the folder, only what is below that. A followed link has the
    status of what it leads to, and no target. A folder comes before its content.

    Raises:
        NotTaken: something cannot be taken; OSError: something cannot be read.
    """
    return _Walk(top, FolderRules(text), most or FOLLOWED_FILES.value).rows(start)


class _Folder:
    """A folder on the way of a walk; `root` is the folder that its links may not leave."""

    __slots__ = ("chain", "depth", "names", "path", "root")

    def __init__(
        self, path: str, names: tuple[str, ...], root: str, depth: int, chain: Chain
    ) -> None:
        self.path = path
        self.names = names  # relative to the top
        self.root = root
        self.depth = depth  # the number of names of the root
        self.chain = chain  # the device and inode of each folder that it is in, and its own


class _Walk:
    def __init__(self, top: str, rules: FolderRules, most: int) -> None:
        self._top = top
        self._rules = rules
        self._most = most
        self._followed = 0

    def rows(self, start: str) -> Iterator[Row]:
        names = tuple(name for name in start.split("/") if name not in {"", "."})
        path, root, depth = os.path.join(self._top, *names), os.path.realpath(self._top), 0
        real = os.path.realpath(path)
        if real != os.path.join(root, *names):
            root, depth = real, len(names)  # reached through a link
        waiting = [_Folder(path, names, root, depth, (_identity(os.stat(path)), None))]
        while waiting:
            folder = waiting.pop()
            with os.scandir(folder.path) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
            below: list[_Folder] = []
            for entry in entries:
                row = self._row(folder, entry, below)
                if row is not None:
                    yield row
            waiting += reversed(below)

    def _row(self, folder: _Folder, entry: os.DirEntry[str], below: list[_Folder]) -> Row | None:
        names = (*folder.names, entry.name)
        if self._rules.left_out(names):
            return None
        relative, path = "/".join(names), entry.path
        status = entry.stat(follow_symlinks=False)
        if folder.depth:
            self._count(relative)
        if stat.S_ISLNK(status.st_mode):
            target = os.readlink(path)
            if self._stays(folder, target):
                return relative, path, status, target
            status = self._behind(folder, relative, path, target)
            if stat.S_ISDIR(status.st_mode):
                below.append(self._elsewhere(folder, names, path, status))
        elif stat.S_ISDIR(status.st_mode):
            chain: Chain = (_identity(status), folder.chain)
            if folder.depth and _is_in(_identity(status), folder.chain):
                raise self._cycle(relative, path)
            below.append(_Folder(path, names, folder.root, folder.depth, chain))
        if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
            raise NotTaken(
                relative,
                f"{path} is neither a file, a directory nor a link",
                f"sockets, pipes and devices cannot be part of a package; {_leave_out(relative)}",
            )
        return relative, path, status, ""

    def _count(self, relative: str) -> None:
        self._followed += 1
        if self._followed > self._most:
            first = relative.partition("/")[0]
            raise NotTaken(
                relative,
                f"{self._top} has links to more than {self._most} files and folders outside, the "
                f"limit {FOLLOWED_FILES.name}; the last was {relative}",
                f"{_leave_out(first)}; {FOLLOWED_FILES.hint}",
            )

    def _stays(self, folder: _Folder, target: str) -> bool:
        """Return whether a link in a folder leads to something that is taken with it."""
        above = folder.names[: folder.depth]
        real = list(folder.names[folder.depth :])
        waiting = target.split("/")[::-1]
        if target.startswith("/"):
            return False  # it would lead to this machine's folder from wherever it is copied to
        followed = 0
        while waiting:
            name = waiting.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                if not real:
                    return False
                real.pop()
                continue
            try:
                to = os.readlink(os.path.join(folder.root, *real, name))
            except OSError:
                real.append(name)
                if self._rules.left_out((*above, *real)):
                    return False
                continue
            followed += 1
            if followed > _MOST_LINKS:
                return True  # it leads nowhere
            if to.startswith("/"):
                return False
            waiting += to.split("/")[::-1]
        return True

    def _behind(self, folder: _Folder, relative: str, path: str, target: str) -> os.stat_result:
        """Return the status of what a link leads to that does not stay.

        Raises:
            NotTaken: such links are not followed, or it leads nowhere.
        """
        real = os.path.realpath(path)
        inner = tuple(os.path.relpath(real, os.path.realpath(self._top)).split("/"))
        if not self._rules.follow:
            hint = f"{_leave_out(relative)}; or take what it leads to: follow = true"
            if inner[0] != ".." and self._rules.left_out(inner):
                why = f"{self._top}: the link {relative} → {target} leads to what is left out"
                if self._rules.is_history(inner):
                    hint += "; or take the folders of version control: vcs = true"
            else:
                why = f"{self._top}: the link {relative} → {target} leads outside"
            raise NotTaken(relative, why, hint)
        try:
            status = os.stat(path)
        except OSError as error:
            raise NotTaken(
                relative,
                f"{self._top}: the link {relative} → {target} cannot be followed: {error.strerror}",
                _leave_out(relative),
            ) from None
        if not folder.depth:
            self._count(relative)
        return status

    def _elsewhere(
        self, folder: _Folder, names: tuple[str, ...], path: str, status: os.stat_result
    ) -> _Folder:
        """Return the folder that a followed link leads to."""
        real = os.path.realpath(path)
        root = os.path.realpath(self._top)
        if _is_in(_identity(status), folder.chain) or (root + "/").startswith(
            real.rstrip("/") + "/"
        ):
            raise self._cycle("/".join(names), path)
        return _Folder(path, names, real, len(names), (_identity(status), folder.chain))

    def _cycle(self, relative: str, path: str) -> NotTaken:
        return NotTaken(
            relative,
            f"{self._top}: {relative} leads to {os.path.realpath(path)}, a folder that it is "
            "itself in, without end",
            _leave_out(relative),
        )


def _is_in(identity: tuple[int, int], chain: Chain) -> bool:
    while chain is not None:
        if chain[0] == identity:
            return True
        chain = chain[1]
    return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _leave_out(relative: str) -> str:
    plain = "".join(f"[{letter}]" if letter in _MAGIC else letter for letter in relative)
    return f'leave it out: exclude = {{ "{plain}" }}'


def covering(folders: Mapping[str, str], path: str) -> tuple[str, str] | None:
    """Return the nearest of these folders (with their rules) of which a path is taken, if any."""
    above = path
    inner: list[str] = []
    while True:
        text = folders.get(above)
        if text is not None and not (text and FolderRules(text).left_out(inner)):
            return above, text
        above, _, name = above.rpartition("/")
        if not name:
            return None
        inner.insert(0, name)
