"""The names of tests of other runners, as events have them.

Guarantees
  Different texts have different names: what a name cannot show is in a digest at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from blake3 import blake3

_LONGEST = 500
_DIGITS = 16
_LOSSY = re.compile(rf"…[0-9a-f]{{{_DIGITS}}}$")
_PERCENT = re.compile("%(?=25|2F)")  # that would be read as what this module writes
_WRITTEN = re.compile("%(25|2F)")


def test_name(text: str) -> str:
    """Return a name for one level of a test: a slash, which divides levels, becomes `%2F`.

    Other characters that no line can show are replaced, and a long name is cut. Such a name ends
    with a digest of the text.
    """
    name = _PERCENT.sub("%25", text).replace("/", "%2F")
    shown = name
    if not shown.isprintable():
        shown = "".join(letter if letter.isprintable() else _escaped(letter) for letter in shown)
    shown = shown.strip() or "(no name)"
    if shown == name and len(name) <= _LONGEST:
        return name
    digest = blake3(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
    return f"{shown[: _LONGEST - _DIGITS - 1]}…{digest}"


def raw_name(name: str) -> str:
    """Return what `test_name` was given, unless the name `is_lossy`."""
    return _WRITTEN.sub(lambda found: "%" if found[1] == "25" else "/", name)


def is_lossy(name: str) -> bool:
    """Return whether a name does not show all of the text that it is for."""
    return _LOSSY.search(name) is not None


def unequal(names: Iterable[str]) -> list[str]:
    """Return a name for each of the names: an equal one gets a number, as in `name#01`."""
    names = list(names)
    taken = set(names)
    found: list[str] = []
    numbers: dict[str, int] = {}
    for name in names:
        number = numbers.get(name, -1) + 1
        while number and f"{name}#{number:02}" in taken:
            number += 1
        numbers[name] = number
        found.append(f"{name}#{number:02}" if number else name)
        taken.add(found[-1])
    return found


test_name.__test__ = False  # type: ignore[attr-defined]


def _escaped(letter: str) -> str:
    if letter in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[letter]
    return letter.encode("unicode_escape", "surrogatepass").decode("ascii")


def test_path(*levels: str) -> str:
    """Return the name of a test or subtest from the names of its levels."""
    return "/".join(test_name(level) for level in levels)


test_path.__test__ = False  # type: ignore[attr-defined]
