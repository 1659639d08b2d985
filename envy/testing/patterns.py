"""Go's regular expressions for test names, as far as Python can evaluate them.

A pattern of -run has alternatives separated by `|`; each has parts separated by `/`, one per level
of subtests.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from envy.errors import UsageError
from envy.testing.package import Selection

# Syntax that Python accepts and Go rejects, and syntax that only Go has or both read differently.
_NOT_IN_GO = re.compile(r"\(\?(?:=|!|<=|<!|P=|#|\()|\\[1-9]|[*+?}]\+")
_NOT_IN_PYTHON = re.compile(r"\\[pPQEC]|\\x\{|\[\[:|\(\?[a-zA-Z]*U|\(\?<[a-zA-Z_]")


def split_alternatives(pattern: str) -> list[list[str]]:
    """Return the alternatives of a pattern, each as a list with one part per level."""
    alternatives: list[list[str]] = [[""]]
    brackets = parens = 0
    escaped = False
    for letter in pattern:
        if not escaped and not brackets and not parens and letter in "|/":
            if letter == "|":
                alternatives.append([""])
            else:
                alternatives[-1].append("")
            continue
        alternatives[-1][-1] += letter
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == "[":
            brackets += 1
        elif letter == "]":
            brackets = max(0, brackets - 1)
        elif letter == "(" and not brackets:
            parens += 1
        elif letter == ")" and not brackets:
            parens = max(0, parens - 1)
    return alternatives


def compile_part(part: str) -> re.Pattern[str] | None:
    """Compile one part of a pattern; None if only Go can tell what it matches."""
    if _NOT_IN_PYTHON.search(part):
        return None
    try:
        return re.compile(part.replace(r"\z", r"\Z"))
    except re.error:
        return None


def check_pattern(pattern: str, *, option: str) -> None:
    """Check that a pattern is a regular expression that Go accepts.

    Raises:
        UsageError: The pattern is not valid.
    """
    for parts in split_alternatives(pattern):
        for part in parts:
            if _NOT_IN_PYTHON.search(part):
                continue
            try:
                re.compile(part.replace(r"\z", r"\Z"))
            except re.error as error:
                raise UsageError(
                    f"{option} {pattern!r} is not a valid regular expression: {error}"
                ) from error
            if _NOT_IN_GO.search(part):
                raise UsageError(
                    f"{option} {pattern!r} uses syntax that Go's regular expressions do not have",
                    hint="look-around and back-references are not supported",
                )


def select_top_level(names: Iterable[str], *, run: str, skip: str) -> tuple[str, ...] | None:
    """Return the top-level tests that -run and -skip select; None if only Go can tell."""
    kept = list(names)
    if run:
        firsts = [compile_part(parts[0]) for parts in split_alternatives(run)]
        if None in firsts:
            return None
        kept = [name for name in kept if any(first and first.search(name) for first in firsts)]
    if skip:
        # A pattern of several levels skips subtests, never their parent.
        firsts = [compile_part(p[0]) for p in split_alternatives(skip) if len(p) == 1]
        if None in firsts:
            return None
        kept = [name for name in kept if not any(first and first.search(name) for first in firsts)]
    return tuple(kept)


def selected_tests(names: Sequence[str], selection: Selection) -> tuple[str, ...]:
    """Return the selected tests of a package, in their order, for drivers that run no Go.

    A slash in a pattern may be one that a name has, which is written `%2F` there. If no name
    matches in this way, it divides a test from its subtests, as with Go.

    Raises:
        UsageError: only Go can tell which they are.
    """
    if selection.names is not None:
        wanted = set(selection.names)
        names = [name for name in names if name in wanted]
    if selection.run:
        kept = {name for one in split_alternatives(selection.run) for name in _matched(names, one)}
        names = [name for name in names if name in kept]
    for parts in split_alternatives(selection.skip) if selection.skip else ():
        left_out = set(_matched(names, parts, only_whole=len(parts) > 1))
        names = [name for name in names if name not in left_out]
    return tuple(names)


def subtests_of(names: Iterable[str], pattern: str) -> dict[str, list[list[str]]]:
    """Return what a pattern says of the subtests of tests: alternatives with a part for each level.

    A test that has no entry is meant as a whole.
    """
    names = list(names)
    found: dict[str, list[list[str]]] = {}
    whole: set[str] = set()
    for parts in split_alternatives(pattern) if pattern else ():
        is_name = len(parts) == 1 or bool(_matched(names, parts, only_whole=True))
        for name in _matched(names, parts):
            if is_name:
                whole.add(name)
            else:
                found.setdefault(name, []).append(parts[1:])
    return {name: rows for name, rows in found.items() if name not in whole}


def _matched(names: Iterable[str], parts: Sequence[str], *, only_whole: bool = False) -> list[str]:
    """Return the tests that one alternative matches; with `only_whole`, by a name with slashes."""
    names = list(names)
    if len(parts) > 1:
        whole = compile_part("/".join(parts))  # None: flags within are for one level
        found = [name for name in names if whole and whole.search(name.replace("%2F", "/"))]
        if found or only_whole:
            return found
    first = _compiled(parts[0])
    return [name for name in names if first.search(name)]


def _compiled(part: str) -> re.Pattern[str]:
    pattern = compile_part(part)
    if pattern is None:
        raise UsageError(f"--run or --skip has syntax that only Go can evaluate: {part!r}")
    return pattern


def exactly(names: Iterable[str], *, run: str) -> str:
    """Return a -run pattern for exactly these tests; lower levels are those of the user's `run`."""
    names = list(names)
    alternatives = split_alternatives(run) if run else [[""]]
    if all(len(parts) == 1 for parts in alternatives):
        return _anchored(names)
    texts = []
    for parts in alternatives:
        first = compile_part(parts[0])
        matching = [name for name in names if first is None or first.search(name)]
        if matching:
            texts.append("/".join([_anchored(matching), *parts[1:]]))
    return "|".join(texts)


def _anchored(names: list[str]) -> str:
    return "^(" + "|".join(re.escape(name) for name in names) + ")$"
