"""What git ignores below a folder, by its `.gitignore` files: read here, so that git need not run.

Owns the rules of gitignore(5): patterns, negation, anchors, `**`, folders. Not read are the user's
own `core.excludesFile`, as tests give the same results on other machines, and the index: a file
that git tracks in spite of a pattern counts as ignored.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LARGEST = 1 << 20  # bytes of a .gitignore
_CACHE_TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
# What tools write beside sources, whether git is told so or not.
ALWAYS = frozenset(
    {
        *(".git", ".hg", ".svn", ".envy", ".venv", ".tox", ".nox", ".coverage", ".DS_Store"),
        *("__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"),
        "node_modules",
    }
)
_COMPILED = (".pyc", ".pyo")


def is_of_tools(path: str) -> bool:
    """Return whether a path is, or is below, what tools write beside sources."""
    return not ALWAYS.isdisjoint(path.split("/")) or path.endswith(_COMPILED)


class IgnoreRules:
    """The patterns of one `.gitignore`: (pattern, is negated, is for folders only)."""

    __slots__ = ("folder", "rows")

    def __init__(
        self, folder: str, rows: Sequence[tuple[re.Pattern[str], bool, bool]]
    ) -> None:  # fmt: skip
        self.folder = folder
        self.rows = rows


def unignored(folder: str, above: Sequence[IgnoreRules] | None = None) -> list[tuple[str, bool]]:
    """Return (name, is a folder) of what git does not ignore in a folder, sorted.

    A link is not a folder, and a folder that says that it is a cache is left out. `above` are the
    rules of the folders above, which are read if not given.

    Raises:
        OSError: the folder cannot be read.
    """
    rules = rules_of(folder, above)
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name in ALWAYS or name.endswith(_COMPILED):
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            path = f"{folder}/{name}"
            if rules and is_ignored(path, rules, is_folder=is_folder):
                continue
            if not (is_folder and is_cache(path)):
                found.append((name, is_folder))
    found.sort()
    return found


def is_cache(folder: str) -> bool:
    """Return whether a folder has the tag of caches, as `target` of cargo has."""
    return _start_of(f"{folder}/CACHEDIR.TAG", len(_CACHE_TAG)) == _CACHE_TAG


def _start_of(path: str, size: int) -> bytes:
    """Return the first bytes of a file; nothing if there is none, or only a pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, size)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def rules_of(folder: str, above: Sequence[IgnoreRules] | None = None) -> list[IgnoreRules]:
    """Return the rules that count in a folder, the nearest last."""
    if above is None:
        return _rules_above(folder)
    own = read_rules(folder)
    return [*above, own] if own is not None else list(above)


def _rules_above(folder: str) -> list[IgnoreRules]:
    """Return the rules from the top of the repository down to this folder."""
    found = []
    here = folder
    while True:
        rules = read_rules(here)
        if rules is not None:
            found.append(rules)
        parent = os.path.dirname(here)
        if parent == here or os.path.lexists(f"{here}/.git"):
            break
        here = parent
    if not os.path.lexists(f"{here}/.git"):
        found = [rules for rules in found if rules.folder == folder]
    return found[::-1]


def read_rules(folder: str) -> IgnoreRules | None:
    """Return the rules of a folder's `.gitignore`; None if it has none."""
    rows = _parsed(_start_of(f"{folder}/.gitignore", _LARGEST))
    return IgnoreRules(folder, rows) if rows else None


@lru_cache(maxsize=256)
def _parsed(data: bytes) -> tuple[tuple[re.Pattern[str], bool, bool], ...]:
    rows = []
    for line in data.decode("utf-8", "surrogateescape").split("\n"):
        row = _row(line.removesuffix("\r"))
        if row is not None:
            rows.append(row)
    return tuple(rows)


def _row(line: str) -> tuple[re.Pattern[str], bool, bool] | None:
    if line.startswith("#"):
        return None
    while line.endswith(" ") and not line.endswith("\\ "):
        line = line[:-1]
    negated = line.startswith("!")
    pattern = line[1:] if negated else line
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    if not pattern:
        return None
    anchored = "/" in pattern
    pattern = pattern.removeprefix("/")
    try:
        expression = _expression(pattern)
        return (
            re.compile(expression if anchored else f"(?:.*/)?{expression}"),
            negated,
            folders_only,
        )
    except re.error:
        return None  # git, too, ignores a pattern that it cannot read


def _expression(pattern: str) -> str:
    """Return the regular expression for a pattern, which is to match a whole relative path."""
    found = ""
    at = 0
    while at < len(pattern):
        rest = pattern[at:]
        if rest.startswith("**/") and (at == 0 or pattern[at - 1] == "/"):
            found += "(?:.*/)?"
            at += 3
        elif rest == "**" and at and pattern[at - 1] == "/":
            found += ".+"
            at += 2
        elif rest[0] == "*":
            found += "[^/]*"
            at += 1
        elif rest[0] == "?":
            found += "[^/]"
            at += 1
        elif rest[0] == "[" and (end := _end_of_class(rest)):
            text = rest[1 : end - 1].replace("\\", "\\\\") if "\\" not in rest[1 : end - 1] else (
                rest[1 : end - 1]
            )  # fmt: skip
            text = f"^{text[1:]}" if text[:1] in {"!", "^"} else text
            found += f"(?!/)[{text}]"
            at += end
        elif rest[0] == "\\" and len(rest) > 1:
            found += re.escape(rest[1])
            at += 2
        else:
            found += re.escape(rest[0])
            at += 1
    return found


def _end_of_class(text: str) -> int:
    """Return the length of `[…]` at the start of a text; 0 if it does not end."""
    start = 2 if text[1:2] in {"!", "^"} else 1
    return text.find("]", start + 1) + 1


def is_ignored(path: str, rules: Sequence[IgnoreRules], *, is_folder: bool) -> bool:
    """Return whether the last rule that matches a path ignores it; its folder is not ignored."""
    for one in reversed(rules):
        relative = path[len(one.folder) + 1 :]
        for pattern, negated, folders_only in reversed(one.rows):
            if (is_folder or not folders_only) and pattern.fullmatch(relative):
                return not negated
    return False


def names_of(folder: str) -> str:
    """Return what git does not ignore in a folder as text: names in lines, folders with a slash."""
    return "\n".join(f"{name}{'/' if is_folder else ''}" for name, is_folder in unignored(folder))
