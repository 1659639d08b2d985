"""Which members of an archive are taken, and which become executable, by patterns of their paths.

A pattern matches as in `exclude` of a folder: a path, or a folder that it is in. Paths are those
below the folder that the archive is unpacked to, so `strip` and `subdir` come first.
"""

from collections.abc import Iterable, Sequence

from envy.content.folder_walk import FolderRules, rules_of

Parts = tuple[str, ...]


class MemberSelection:
    """The patterns for one archive, which remembers those that matched."""

    def __init__(
        self,
        *,
        only: Sequence[str] = (),
        exclude: Sequence[str] = (),
        executable: Sequence[str] = (),
    ) -> None:
        self._only = _ready(only)
        self._exclude = _ready(exclude)
        self._executable = _ready(executable)
        self._unused = {("only", pattern) for pattern in only}
        self._unused |= {("executable", pattern) for pattern in executable}

    def takes(self, parts: Parts) -> bool:
        """Return whether a member is taken: `only` matches, if it is given, and `exclude` not."""
        if self._only and not self._matches("only", self._only, parts):
            return False
        return not any(rules.left_out(parts) for _, rules in self._exclude)

    def makes_executable(self, parts: Parts) -> bool:
        """Return whether a file becomes executable."""
        return self._matches("executable", self._executable, parts)

    def unused(self) -> list[tuple[str, str]]:
        """Return field and text of each pattern of `only` and `executable` that matched nothing."""
        return sorted(self._unused)

    def _matches(
        self, field: str, patterns: Iterable[tuple[str, FolderRules]], parts: Parts
    ) -> bool:
        found = [pattern for pattern, rules in patterns if rules.left_out(parts)]
        self._unused.difference_update((field, pattern) for pattern in found)
        return bool(found)


def _ready(patterns: Sequence[str]) -> list[tuple[str, FolderRules]]:
    return [(pattern, FolderRules(rules_of(exclude=(pattern,)))) for pattern in patterns]
