"""Finding the tests of recipes: `NAME_test.lua` beside the recipe `NAME.lua`.

Other programs have files with such names, too. So a file counts if the one beside it declares an
identity, as each recipe does. Nothing is run here: a text says which tests it has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.declarations.shipped import TESTS_ENDING
from envy.lua.tokens import Token, tokens_of
from envy.testing.pattern_folders import PASSED_OVER

ENDING = TESTS_ENDING
_IDENTITY = re.compile(r"^[ \t]*identity[ \t]*=", re.MULTILINE)
_OPENS = frozenset({"function", "if", "do", "repeat"})
_CLOSES = frozenset({"end", "until"})


@dataclass(frozen=True, slots=True)
class WrittenTest:
    """A test as its file defines it."""

    name: str
    line: int
    is_local: bool = False


def is_test_file(name: str) -> bool:
    """Return whether a file's name is that of tests of a recipe."""
    return name.endswith(ENDING) and name[0] not in "._" and name != ENDING


def recipe_of(path: Path) -> Path:
    """Return the recipe that a file of tests is for."""
    return path.with_name(f"{path.name.removesuffix(ENDING)}.lua")


def is_for_a_recipe(path: Path) -> bool:
    """Return whether the file beside a file of tests is a recipe."""
    try:
        text = recipe_of(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return _IDENTITY.search(text) is not None


def package_name(path: Path, root: Path) -> str:
    """Return the name of the package that a file of tests is: its path without the ending."""
    short = str(path).removesuffix(ENDING)
    return short.removeprefix(f"{root}/")


def find_test_files(root: Path, patterns: Sequence[str]) -> list[Path]:
    """Return the files that patterns match, sorted.

    A pattern is a folder, a folder followed by `/...` for all below it, a file of tests, its
    recipe, or the name of a package.
    """
    found = {path for pattern in patterns for path in _matching(root, pattern)}
    return sorted(found)


def _matching(root: Path, pattern: str) -> Iterator[Path]:
    below = pattern == "..." or pattern.endswith("/...")
    named = Path(os.path.normpath(root / (pattern[:-3] if below else pattern)))
    if below:
        if named.is_dir():
            yield from filter(is_for_a_recipe, _below(str(named)))
        return
    if named.is_dir():
        entries = sorted(os.listdir(named))  # noqa: PTH208
        yield from filter(is_for_a_recipe, (named / name for name in entries if is_test_file(name)))
        return
    if is_test_file(named.name):
        candidate = named
    else:
        candidate = named.with_name(f"{named.name.removesuffix('.lua')}{ENDING}")
    if candidate.is_file() and (is_for_a_recipe(candidate) or candidate == named):
        yield candidate


def _below(top: str) -> Iterator[Path]:
    stack = [top]
    while stack:
        folder = stack.pop()
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if name[0] not in "._" and name not in PASSED_OVER:
                            stack.append(entry.path)
                    elif is_test_file(name):
                        yield Path(entry.path)
        except OSError:
            continue


def written_tests(text: str) -> list[WrittenTest]:
    """Return the tests that a text defines outside of all blocks, in its order."""
    tokens = list(tokens_of(text))
    found: list[WrittenTest] = []
    blocks = brackets = 0
    line = 1
    at = 0
    for index, token in enumerate(tokens):
        line, at = line + text.count("\n", at, token.start), token.start
        word = token.text
        if token.kind == "sign":
            brackets += (word in "({[") - (word in ")}]")
        elif token.kind == "name":
            if word in _OPENS:
                blocks += 1
            elif word in _CLOSES:
                blocks -= 1
            elif word.startswith("test_"):
                test = _defined(tokens, index, line, depth=blocks + brackets)
                if test is not None:
                    found.append(test)
    return found


def _defined(tokens: Sequence[Token], index: int, line: int, *, depth: int) -> WrittenTest | None:
    """Return the test that is defined by the name at this index, if one is."""
    word = tokens[index].text
    before = [token.text for token in tokens[max(0, index - 2) : index]]
    following = tokens[index + 1].text if index + 1 < len(tokens) else ""
    if before[-1:] == ["function"]:
        # The word `function` has opened the block of its body.
        return WrittenTest(word, line, before[0] == "local") if depth == 1 else None
    if following != "=" or depth or before[-1:] in (["."], [":"], [","]):
        return None
    return WrittenTest(word, line, before[-1:] == ["local"])
