"""Finding native test packages, and reading the tests from their sources.

What the compiler makes of a source decides which tests there are. The source is read before that,
to list tests without building them, and to find what never reaches the compiler's output.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from envy.testing.pattern_folders import PASSED_OVER

C_SUFFIXES = (".c",)
CXX_SUFFIXES = (".cc", ".cpp", ".cxx")
SUFFIXES = C_SUFFIXES + CXX_SUFFIXES
_TEST_ENDINGS = tuple(f"_test{suffix}" for suffix in SUFFIXES)

# Comments, strings and characters, and lines of the preprocessor; a raw string of C++ first.
_NOT_CODE = re.compile(
    r'R"(?P<delimiter>[^()\\\s]{0,16})\([\s\S]*?\)(?P=delimiter)"'
    r"|//(?:\\\n|[^\n])*|/\*[\s\S]*?(?:\*/|\Z)"
    r'|"(?:\\[\s\S]|[^"\\\n])*"|\'(?:\\[\s\S]|[^\'\\\n])*\''
    r"|^[ \t]*#(?:\\\n|[^\n])*",
    re.MULTILINE,
)
_TOPS = (".git", "envy.lua")  # what is at the top of a project
_WORD = r"[A-Za-z_]\w*"
_FUNCTION = re.compile(
    rf"(?P<static>\bstatic\s+(?:inline\s+)?)?(?P<type>\b{_WORD}[\s*]+)"
    rf"(?P<name>test_\w*|main)\s*\((?P<parameters>[^(){{}};]*)\)\s*"
    rf"(?:noexcept\s*)?(?:{_WORD}[^(){{}}=]*;\s*)?\{{"  # the declarations are those of old C
)
_MAIN = re.compile(r"(?<![\w:.>])main\b\s*(?:\w+\s*)?\(")


class SourceFunction(NamedTuple):
    """A test, or `main`, as its source defines it."""

    name: str
    line: int
    is_static: bool
    takes_nothing: bool  # as a test does; others with such a name are called by tests


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePackage:
    """A folder with native tests: its files by their names, sorted."""

    directory: Path
    tests: tuple[str, ...]
    library: tuple[str, ...]


def is_cxx(name: str) -> bool:
    """Return whether a source is C++."""
    return name.endswith(CXX_SUFFIXES)


def is_test_file(name: str) -> bool:
    """Return whether a file's name is that of a native test."""
    return name.endswith(_TEST_ENDINGS) and not name.startswith((".", "_"))


def read_functions(text: str) -> list[SourceFunction]:
    """Return the tests that a source defines, and `main`, in its order."""
    if "test_" not in text and "main" not in text:
        return []
    code = _NOT_CODE.sub(_blank, text)
    found: list[SourceFunction] = []
    line, at = 1, 0
    for match in _FUNCTION.finditer(code):
        if match["type"].split()[0] in {"return", "else", "case"}:
            continue
        line += code.count("\n", at, match.start("name"))
        at = match.start("name")
        # In a class, a static member is no function of the file.
        inside = code.count("{", 0, at) > code.count("}", 0, at)
        found.append(
            SourceFunction(
                name=match["name"],
                line=line,
                is_static=match["static"] is not None and not inside,
                takes_nothing=match["parameters"].strip() in {"", "void"},
            )
        )
    return found


def find_main(text: str) -> list[SourceFunction]:
    """Return the `main` of a library's source, in whatever form it is written."""
    if "main" not in text:
        return []
    code = _NOT_CODE.sub(_blank, text)
    match = _MAIN.search(code)
    if match is None:
        return []
    line = code.count("\n", 0, match.start()) + 1
    return [SourceFunction(name="main", line=line, is_static=False, takes_nothing=False)]


def _blank(match: re.Match[str]) -> str:
    return "\n" * match.group().count("\n") or " "


def package_name(folder: Path, root: Path) -> str:
    """Return the name of the package in a folder: its path below the root, as a pattern.

    The root itself has its own name, unless a folder in it has the same.
    """
    if folder == root:
        return "." if (root / root.name).is_dir() else root.name
    try:
        return folder.relative_to(root).as_posix()
    except ValueError:
        return str(folder)


def place_of(name: str, root: Path) -> str:
    """Return the name that a package has on every machine; `name` is what `package_name` gave it.

    The root has another name in every checkout, and what lies beside it another path.
    """
    first, colon, rest = name.partition(":")  # what follows tells packages of one folder apart
    if first == root.name and not (root / first).is_dir():
        return f".{colon}{rest}"
    if not first.startswith("/"):
        return name
    above = (root, *root.parents)
    top = next((one for one in above if any((one / sign).exists() for sign in _TOPS)), None)
    if top is None or not Path(first).is_relative_to(top):
        return name
    return f"{os.path.relpath(first, root)}{colon}{rest}"


def find_packages(root: Path, patterns: Sequence[str]) -> list[SourcePackage]:
    """Return the folders with native tests that the patterns match, sorted by path.

    A pattern is a folder, a folder followed by `/...` for all below it, or a native test file.
    Other patterns, and folders without native tests, match nothing.
    """
    found: dict[Path, SourcePackage] = {}
    for pattern in patterns:
        for folder, names in _folders(root, pattern):
            package = _package(folder, names)
            if package is not None:
                found[folder] = package
    return [found[folder] for folder in sorted(found)]


def _folders(root: Path, pattern: str) -> Iterator[tuple[Path, list[str]]]:
    below = pattern == "..." or pattern.endswith("/...")
    named = Path(os.path.normpath(root / (pattern[:-3] if below else pattern)))
    if not below and is_test_file(named.name) and named.is_file():
        named = named.parent
    if pattern == root.name and not named.is_dir():
        named = root
    if not named.is_dir():
        return
    if below:
        yield from _walk(str(named))
        return
    yield named, [entry.name for entry in os.scandir(named) if not entry.is_dir()]


def _walk(top: str) -> Iterator[tuple[Path, list[str]]]:
    stack = [top]
    while stack:
        folder = stack.pop()
        files = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name
                    if not entry.is_dir(follow_symlinks=False):
                        files.append(name)
                    elif name[0] not in "._" and name not in PASSED_OVER:
                        stack.append(entry.path)
        except OSError:
            continue
        if any(is_test_file(name) for name in files):
            yield Path(folder), files


def _package(folder: Path, names: Sequence[str]) -> SourcePackage | None:
    tests = tuple(sorted(name for name in names if is_test_file(name)))
    if not tests:
        return None
    library = tuple(
        sorted(
            name
            for name in names
            if name.endswith(SUFFIXES) and not is_test_file(name) and name[0] not in "._"
        )
    )
    return SourcePackage(directory=folder, tests=tests, library=library)
