"""The projects of node's test runner: which they are, and their test files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from envy.content.json_text import parse_json
from envy.testing.drivers.projects.project import Folder, SuiteProject
from envy.testing.ignoring import unignored

_SUFFIX = r"\.[cm]?js"
# What `node --test` runs without arguments, in any folder but node_modules.
_TEST_FILE = re.compile(rf"(?:test|test-.+|.+[._-]test){_SUFFIX}")
_SOURCE = re.compile(rf".+{_SUFFIX}")
_WITH_VALUE = frozenset(
    {"--conditions", "--env-file", "--experimental-loader", "--import", "--loader", "--require"}
    | {"-C", "-r"}
)
# Flags of the runner itself, which envy takes the place of.
_OF_RUNNER = re.compile(
    r"--(?:test|watch|test-(?:concurrency|name-pattern|reporter|reporter-destination|shard"
    r"|isolation|timeout)|experimental-test-(?:coverage|isolation)|test-coverage-.*)(?:=.*)?"
)
_OWN_VALUE = re.compile(r"--test-(?:concurrency|name-pattern|reporter|reporter-destination|shard)")


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """The words of `node --test` in a script: flags of node, and patterns of files."""

    flags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


def command_of(folder: Folder) -> NodeCommand | None:
    """Return the command of node's runner in the scripts of a package; None if there is none."""
    try:
        scripts = parse_json(folder.read("package.json") or "{}")["scripts"]
        texts = [scripts.get("test"), *scripts.values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    for text in texts:
        for part in re.split(r"&&|\|\||[;|]", text) if isinstance(text, str) else ():
            command = _parsed(part)
            if command is not None:
                return command
    return None


def _parsed(part: str) -> NodeCommand | None:
    try:
        words = shlex.split(part)
    except ValueError:
        return None
    if "node" not in words or "--test" not in words[words.index("node") :]:
        return None
    flags: list[str] = []
    files: list[str] = []
    rest = iter(words[words.index("node") + 1 :])
    for word in rest:
        if _OF_RUNNER.fullmatch(word):
            if _OWN_VALUE.fullmatch(word):  # without `=`: the value follows
                next(rest, None)
        elif word in _WITH_VALUE:
            flags += [word, next(rest, "")]
        elif word.startswith("-"):
            flags.append(word)
        else:
            files.append(word)
    return NodeCommand(tuple(flags), tuple(files))


def test_files(project: SuiteProject, patterns: Sequence[str]) -> list[str]:
    """Return the test files of a project, relative to its folder and sorted.

    Without patterns these are the files that node itself finds. A pattern may name a folder.
    """
    top = project.directory
    found: set[Path] = set()
    for pattern in patterns:
        for path in [top / pattern] if (top / pattern).exists() else top.glob(_plain(pattern)):
            found |= _named(path) if path.is_dir() else {path}
    if not patterns:
        found = _named(top)
    inner = [path for path in found if "node_modules" not in path.relative_to(top).parts]
    return sorted(path.relative_to(top).as_posix() for path in inner if path.is_file())


test_files.__test__ = False  # type: ignore[attr-defined]


def _plain(pattern: str) -> str:
    """Return a pattern without `./`, and with `**` as a whole part, as Python has it."""
    return pattern.removeprefix("./").lstrip("/") or "."


def _named(top: Path) -> set[Path]:
    """Return the files below a folder that node takes for tests."""
    found = set()
    stack = [(str(top), top.name == "test")]
    while stack:
        folder, is_test = stack.pop()
        try:
            entries = unignored(folder)
        except OSError:
            continue
        for name, is_folder in entries:
            if is_folder:
                stack.append((f"{folder}/{name}", is_test or name == "test"))
            elif (_SOURCE if is_test else _TEST_FILE).fullmatch(name):
                found.add(Path(folder, name))
    return found
