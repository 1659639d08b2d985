"""The folders that a go.mod or go.work names, as far as they are needed here."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def replaced_folders(path: str) -> list[str]:
    """Return the local folders that the `replace` lines of a go.mod or go.work name."""
    found = []
    for words in _lines(path):
        if "=>" in words:
            target = words[words.index("=>") + 1 :][:1]
            found += [name for name in target if name.startswith((".", "/"))]
    return found


def used_folders(path: str) -> list[str]:
    """Return the folders that the `use` lines of a go.work name."""
    found: list[str] = []
    inside = False
    for words in _lines(path):
        if words == ["use", "("]:
            inside = True
        elif words == [")"]:
            inside = False
        elif inside:
            found += words[:1]
        elif words[0] == "use":
            found += words[1:2]
    return found


def _lines(path: str) -> Iterable[list[str]]:
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as file:
            text = file.read(16 << 20)
    except OSError:
        return
    for line in text.splitlines():
        words = [word.strip('"`') for word in line.partition("//")[0].split()]
        if words:
            yield words
