"""Places in sources that a log names, and the commands that open them in an editor."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.node import Node
from envy.testing.views.tui.tree import innermost_failures

# The end of `a/b_test.go:12`, what cannot be in such a path, and a path as Python names it.
_ENDING = re.compile(r"\.\w{1,8}:(\d{1,7})\b")
_BEFORE = re.compile(r".*[\s:\"'()\[\]<>|]", re.DOTALL)
_DRIVE = re.compile(r"(?:^|.*[\s:\"'()\[\]<>|])([A-Za-z]:)$", re.DOTALL)
_PYTHON = re.compile(r"File \"([^\"]{1,4096})\", line (\d{1,7})")
_LONGEST = 500  # characters of a line that are searched
_MOST = 10_000  # lines that are searched

_WITH_PLUS = frozenset(
    {
        "vi", "vim", "nvim", "gvim", "view", "nano", "pico", "emacs", "emacsclient", "less", "more",
        "most", "micro", "kak", "joe", "ne", "mg", "jed", "ed", "gedit", "kate", "vis",
    }
)  # fmt: skip
_WITH_GOTO = frozenset({"code", "code-insiders", "codium", "vscodium", "cursor", "windsurf"})
_WITH_COLON = frozenset({"subl", "sublime_text", "atom", "zed", "zeditor", "hx", "helix", "lapce"})
_WITH_LINE = frozenset({"idea", "goland", "pycharm", "clion", "webstorm", "rustrover"})


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file."""

    file: Path
    line: int


def place_in(lines: Iterable[str], folders: Sequence[Path]) -> Place | None:
    """Return the first place in these lines whose file exists, looking below each folder."""
    missing: set[str] = set()
    for line in lines:
        for name, number in _named_in(line[:_LONGEST]):
            if name in missing:
                continue
            for folder in folders:
                path = folder / name
                if _is_file(path):
                    return Place(path.absolute(), int(number))
            missing.add(name)
    return None


def _named_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield the paths and lines that a text names; it takes one look at a text without any."""
    for found in _PYTHON.finditer(text):
        yield found[1], found[2]
    for found in _ENDING.finditer(text):
        at = found.start()
        before = _BEFORE.match(text, 0, at)
        start = before.end() if before else 0
        drive = _DRIVE.match(text, 0, start) if text[start - 1 : start] == ":" else None
        if start < at:
            yield text[drive.start(1) if drive else start : found.start(1) - 1], found[1]


def place_named(model: RunModel, node: Node, *, at: int | None, raw: bool) -> Place | None:
    """Return the place that the log of a node names, from line `at` on if there is one.

    Without a line, the log of the first failure in the node counts most.
    """
    return place_in(
        islice(_lines(model, node, at, raw=raw), _MOST),
        [Path(model.folders.get(node.package, ".")), Path()],
    )


def _lines(model: RunModel, node: Node, at: int | None, *, raw: bool) -> Iterator[str]:
    failing = next(innermost_failures(node), node)
    if at is None and failing is not node:
        yield from model.log(failing, raw=False)
    lines = model.log(node, raw=raw)
    yield from lines[at or 0 :]
    yield from lines[: at or 0]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def editor_of(environment: Mapping[str, str]) -> list[str]:
    """Return the words of the user's editor, $VISUAL before $EDITOR; none if neither is set.

    Raises:
        ValueError: its quotes do not match.
    """
    for name in ("VISUAL", "EDITOR"):
        if environment.get(name, "").strip():
            try:
                return shlex.split(environment[name])
            except ValueError as error:
                raise ValueError(f"{name} cannot be read: {error}") from error
    return []


def editor_command(editor: Sequence[str], place: Place) -> list[str]:
    """Return the command that opens a place; an unknown editor opens the file at its start."""
    name = Path(editor[0]).name.lower().removesuffix(".exe").removesuffix(".cmd")
    file, line = str(place.file), place.line
    if name in _WITH_PLUS:
        words = [f"+{line}", file]
    elif name in _WITH_GOTO:
        words = ["--goto", f"{file}:{line}"]
    elif name in _WITH_COLON:
        words = [f"{file}:{line}"]
    elif name in _WITH_LINE:
        words = ["--line", str(line), file]
    else:
        words = [file]
    return [*editor, *words]
