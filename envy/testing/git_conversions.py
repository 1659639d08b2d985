"""The files that git may call unchanged although their bytes are others than it checked out.

git compares a file as it would store it: with its line ends, and through the filter that its
attributes name. Two contents of a file may be stored as the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_ATTRIBUTES = ("text", "crlf", "eol", "filter", "ident", "working-tree-encoding")
_OF_LINES = frozenset({"text", "crlf", "eol"})
_NOTHING = frozenset({"unspecified", "unset"})
_ANY_OF_THEM = f":(exclude,attr:{' '.join(f'!{name}' for name in _ATTRIBUTES)})"
_MOST_NAMES = 1000  # in one command line
_LARGE = 16 << 20  # bytes; a larger file is not read
_OFF = frozenset({"false", "no", "off", "0"})

Call = Callable[[Sequence[str]], bytes]


def converted_files(call: Call, top: str, names: Sequence[str]) -> set[str]:
    """Return those of the tracked files below `top` that git may wrongly call unchanged.

    `call` returns what git writes when it is run with some words.
    """
    marked = _names(call(["ls-files", "-z", "--cached", "--", _ANY_OF_THEM]))
    setting = call(["config", "--get", "--default", "false", "core.autocrlf"])
    default = {} if setting.strip().decode("ascii", "replace").lower() in _OFF else {"text": "auto"}
    known = set(names)
    rows = _attributes(call, sorted(known.intersection(marked)))
    everything = known if default else rows
    return {
        name
        for name in everything
        if _may_differ(f"{top}/{name}", {**default, **rows.get(name, {})})
    }


def _attributes(call: Call, names: Sequence[str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for some in _parts(names):
        texts = iter(_names(call(["check-attr", "-z", *_ATTRIBUTES, "--", *some])))
        for name, attribute, value in zip(texts, texts, texts, strict=True):
            if value != "unspecified":
                found.setdefault(name, {})[attribute] = value
    return found


def _may_differ(path: str, attributes: Mapping[str, str]) -> bool:
    given = {name for name, value in attributes.items() if value not in _NOTHING}
    if given - _OF_LINES:
        return True
    text = attributes.get("text", attributes.get("crlf", ""))
    if not given or text == "unset":
        return False
    return not _has_lines_as_checked_out(path, attributes.get("eol", ""), is_auto=text == "auto")


def _has_lines_as_checked_out(path: str, line_end: str, *, is_auto: bool) -> bool:
    """Return whether all lines end as those of a file that git has just written."""
    try:
        if os.path.islink(path):  # noqa: PTH114
            return True
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read(_LARGE + 1)
    except OSError:  # it is gone or a folder, and git says so
        return True
    if len(content) > _LARGE:
        return False
    if is_auto and b"\0" in content:  # git takes it for no text
        return True
    lines, pairs = content.count(b"\n"), content.count(b"\r\n")
    return pairs == (lines if line_end == "crlf" else 0)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(names), _MOST_NAMES):
        yield names[begin : begin + _MOST_NAMES]


def _names(data: bytes) -> Iterable[str]:
    return [os.fsdecode(one) for one in data.removesuffix(b"\0").split(b"\0") if data]
