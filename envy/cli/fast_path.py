"""The plainest `envy sync` and `envy asset`, answered before the command line is loaded.

Nine tenths of what a warm command costs would be imports: of click, of dataclasses, of what they
import. So this reads the words by itself, understands few of them, and leaves every other command
line, and every problem, to `main`. What it does understand it takes as `main` would: a test
compares the two. It loads nothing but what the answer takes; functional_tests/test_warm.py keeps
it so.
"""

from __future__ import annotations

import os
import sys
import time

from envy import __version__
from envy.answers.lookup import Answer, installed
from envy.declarations.manifest_search import nearest_manifest
from envy.environment import environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Options that change nothing of what a warm command says; those with a value take a number.
_FLAGS = frozenset({"--fail-fast", "-y", "--yes", "--no-progress"})
_NUMBERS = frozenset({"-j", "--jobs", "--fetch-jobs"})
_PATHS = {"--manifest": "ENVY_MANIFEST", "--cache-root": "ENVY_CACHE_ROOT"}
_WORDS_FOR_YES_AND_NO = frozenset({"", "1", "true", "yes", "on", "0", "false", "no", "off"})


class Words:
    """A command line that was understood."""

    __slots__ = ("command", "paths", "queries", "quiet")

    def __init__(self) -> None:
        self.command = ""
        self.queries: list[str] = []
        self.paths: dict[str, str] = {}  # what was written, by the variable that it goes before
        self.quiet = False


def answer(arguments: Sequence[str]) -> int | None:
    """Do what the command line says, if that is plain and all is there, and return the exit code.

    None: nothing was done, and nothing said.
    """
    if list(arguments) == ["--version"] and sys.stdout is not None:
        return _print(f"envy {__version__}")
    started = time.monotonic()
    words = understand(arguments)
    found = _find(words) if words is not None else None
    if words is None or found is None:
        return None
    if words.command == "sync":
        if not words.quiet:
            _say(all_cached(found.count, time.monotonic() - started))
        return 0
    [folder] = found.folders
    # How to spell any other is for those to know who know the terminal.
    return _print(folder) if folder.isascii() else None


def _find(words: Words) -> Answer | None:
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        return None  # the next file to be opened would take its place
    variables = environment()
    places = find_places(words, variables)
    return installed(*places, words.queries, variables) if places is not None else None


def _print(line: str) -> int:
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError as error:
        from envy.cli.main import report_output

        return report_output(error)
    return 0


def all_cached(count: int, seconds: float) -> str:
    """The final line of a sync that had nothing to do, as `console.summary` has it."""
    packages = "1 package" if count == 1 else f"{count} packages"
    return f"sync complete: {packages}, 0 user-managed, 0 failed ({count} cached) in {seconds:.1f}s"


def _say(line: str) -> None:
    try:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        pass  # a stream that is gone or full takes nothing; contextlib is not loaded


def understand(arguments: Sequence[str]) -> Words | None:
    """The words of a plain command line; None for any other."""
    words = Words()
    waiting = list(reversed(arguments))
    while waiting:
        word = waiting.pop()
        if word.startswith("-"):
            if not _take_option(words, word, waiting):
                return None
        elif not words.command:
            words.command = word or "?"  # an empty word is none either
        else:
            words.queries.append(word)
    if words.command == "sync" or (words.command == "asset" and len(words.queries) == 1):
        return words
    return None


def _take_option(words: Words, word: str, waiting: list[str]) -> bool:
    """Take one option, with the value after it; False if it is not understood."""
    if word in _FLAGS or (word == "--no-install" and words.command == "asset"):
        return True
    if word in {"-q", "--quiet"}:
        words.quiet = True
        return True
    name, equals, value = word.partition("=")
    if name not in _NUMBERS and name not in _PATHS:
        return False
    if not equals:
        if not waiting:
            return False
        value = waiting.pop()
    if name in _PATHS:
        words.paths[_PATHS[name]] = value
        return value != "" and not value.startswith("-")
    # `-j=4` is no option with a number: click takes the `=` for a part of the value.
    return value.isascii() and value.isdigit() and int(value) > 0 and not (equals and name == "-j")


def find_places(words: Words, variables: Mapping[str, str]) -> tuple[str, str] | None:
    """The root of the cache and the manifest; None where that takes more than looking."""
    if variables.get("ENVY_YES", "").strip().lower() not in _WORDS_FOR_YES_AND_NO:
        return None
    if not (variables.get("ENVY_CACHE_ROOT") or "/").startswith("/"):
        return None
    try:
        here = os.getcwd()  # noqa: PTH109  pathlib is not loaded here
        manifest = _place("ENVY_MANIFEST", words, variables, here)
        manifest = nearest_manifest(here)[0] if manifest is None else manifest
        root = _place("ENVY_CACHE_ROOT", words, variables, here)
        root = _user_cache(variables) if root is None else root
        plain = root and manifest and os.path.isfile(manifest)  # noqa: PTH113
    except (OSError, ValueError):
        return None
    return (root, manifest) if plain else None


def _place(name: str, words: Words, variables: Mapping[str, str], here: str) -> str | None:
    """A path that was written, or stands in the environment; None: neither. "": not plain."""
    text = words.paths.get(name)
    if text is None:
        text = variables.get(name) or None
        if text is None:
            return None
    if not text or text.startswith("~"):
        return ""
    path = text if text.startswith("/") else f"{here}/{text}"
    return path if _is_plain(path) else ""


def _user_cache(variables: Mapping[str, str]) -> str:
    """Where platformdirs has the caches of a user, on the systems that follow XDG."""
    if sys.platform != "linux":
        return ""
    folder = variables.get("XDG_CACHE_HOME", "")
    if not folder.strip():
        home = variables.get("HOME", "")
        folder = f"{home}/.cache" if home else ""
    return f"{folder}/envy" if folder.startswith("/") and _is_plain(folder) else ""


def _is_plain(path: str) -> bool:
    """Whether pathlib would leave an absolute path as it is; it takes out what says nothing."""
    parts = path[1:].split("/")
    return "" not in parts and "." not in parts
