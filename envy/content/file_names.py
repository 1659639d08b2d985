"""The names that a pattern matches in a folder.

Owns the pattern `**`, which enters no linked folder. Otherwise the names are those that `glob` of
the standard library finds, which follows links: two links of an archive to their own folder keep it
busy for ever.

Warm commands load this module, so it imports little.
"""

from __future__ import annotations

# Paths are text here, since there may be a hundred thousand.
# ruff: noqa: PTH112, PTH118
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_MAGIC = frozenset("*?[")
_ANY_FOLDERS = "**"


def names_matching(pattern: str, top: str) -> list[str]:
    """Return the paths that a pattern matches, sorted, relative to `top` unless it is absolute.

    A name with a leading dot is matched only by a pattern with a leading dot.
    """
    return sorted(name for name in _matches(pattern, top, only_folders=False) if name)


def _matches(pattern: str, top: str, *, only_folders: bool) -> Iterator[str]:
    folder, last = os.path.split(pattern)
    if _MAGIC.isdisjoint(pattern):
        path = os.path.join(top, pattern)
        if os.path.lexists(path) if last else os.path.isdir(path):
            yield pattern
        return
    folders: Iterable[str] = [folder]
    if folder != pattern and not _MAGIC.isdisjoint(folder):
        folders = _matches(folder, top, only_folders=True)
    for found in folders:
        path = os.path.join(top, found)
        if last == _ANY_FOLDERS:
            yield os.path.join(found, "")
            names = _all_below(path, only_folders=only_folders)
        elif _MAGIC.isdisjoint(last):
            exists = os.path.lexists(os.path.join(path, last)) if last else os.path.isdir(path)
            names = iter([last] if exists else [])
        else:
            names = _names_in(path, last, only_folders=only_folders)
        for name in names:
            yield os.path.join(found, name)


def _names_in(folder: str, pattern: str, *, only_folders: bool) -> Iterator[str]:
    import fnmatch

    names = [entry.name for entry in _listed(folder) if not only_folders or _is_folder(entry)]
    if not pattern.startswith("."):
        names = [name for name in names if not name.startswith(".")]
    yield from fnmatch.filter(names, pattern)


def _all_below(top: str, *, only_folders: bool) -> Iterator[str]:
    """Yield all visible names below a folder, each folder before its content."""
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        for entry in _listed(os.path.join(top, inner)):
            if entry.name.startswith("."):
                continue
            name = os.path.join(inner, entry.name)
            is_real_folder = not entry.is_symlink() and _is_folder(entry)
            if is_real_folder:
                waiting.append(name)
            if is_real_folder or not only_folders:
                yield name


def _listed(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder or ".") as entries:
            return list(entries)
    except (OSError, ValueError):  # ValueError: the pattern contains NUL
        return []


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
