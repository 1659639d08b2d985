"""Go's regular expressions for test names, as far as they can be judged without a Go program.

A pattern of -run is alternatives divided by `|`, each of parts divided by `/`, one part a level.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from envy.errors import UsageError

# What Python takes and Go does not, and what both take in different ways.
_NOT_IN_GO = re.compile(r"\(\?(?:=|!|<=|<!|P=|#|\()|\\[1-9]|[*+?}]\+")
_NOT_IN_PYTHON = re.compile(r"\\[pPQEC]|\[\[:|\(\?[a-zA-Z]*U|\(\?<[a-zA-Z_]")


def split_alternatives(pattern: str) -> list[list[str]]:
    """The alternatives of a pattern, each as its parts by level."""
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
    """One part as Python reads it; None when only Go can say what it matches."""
    if _NOT_IN_PYTHON.search(part):
        return None
    try:
        return re.compile(part.replace(r"\z", r"\Z"))
    except re.error:
        return None


def check_pattern(pattern: str, *, option: str) -> None:
    """See that a pattern is a regular expression.

    Raises:
        UsageError: it is none.
    """
    for parts in split_alternatives(pattern):
        for part in parts:
            if _NOT_IN_PYTHON.search(part):
                continue
            try:
                re.compile(part.replace(r"\z", r"\Z"))
            except re.error as error:
                raise UsageError(
                    f"{option} {pattern!r} is no regular expression: {error}"
                ) from error
            if _NOT_IN_GO.search(part):
                raise UsageError(
                    f"{option} {pattern!r} uses what Go's regular expressions do not have",
                    hint="no look-around and no back-references",
                )


def select_top_level(names: Iterable[str], *, run: str, skip: str) -> tuple[str, ...] | None:
    """The top-level tests that -run and -skip leave; None when only Go can say."""
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


def exactly(names: Iterable[str], *, run: str) -> str:
    """The pattern of -run for exactly these tests, with the lower levels of the user's own."""
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
