"""Values of Lua as text, and what differs between two of them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence

from envy.lua.values import LuaFunction

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WIDEST = 80
_MOST_LINES = 200  # of one difference


def are_equal(one: object, other: object) -> bool:
    """Return whether two values are equal in Lua: tables by content, and `true` is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(are_equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(are_equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return one == other


def shown(value: object) -> str:
    """Return a value as Lua writes it, in one line or, if that is too long, in several."""
    return "\n".join(_lines(value, ""))


def difference(found: object, wanted: object) -> str:
    """Return the lines that say how two values differ."""
    texts = isinstance(found, str) and isinstance(wanted, str) and "\n" in found + wanted
    old, new = (
        (wanted.splitlines(), found.splitlines())
        if texts and isinstance(found, str) and isinstance(wanted, str)
        else (list(_opened(wanted)), list(_opened(found)))
    )
    if texts and old == new:  # they differ in how they end
        old, new = [repr(wanted)], [repr(found)]
    if len(old) == len(new) == 1:
        return f"found:  {new[0]}\nwanted: {old[0]}"
    rows = [
        row.rstrip("\n")
        for row in difflib.unified_diff(old, new, n=3, lineterm="")
        if not row.startswith(("---", "+++", "@@"))
    ]
    left_out = len(rows) - _MOST_LINES
    rows = [*rows[:_MOST_LINES], *([f"… {left_out} more lines"] if left_out > 0 else [])]
    return "\n".join(["- wanted", "+ found", *rows])


def _opened(value: object) -> Iterator[str]:
    """Yield the lines of a value; a table that is not empty has a line for each field."""
    if isinstance(value, Mapping | list) and value:
        yield from _table(value, "")
    else:
        yield from _lines(value, "")


def _lines(value: object, indent: str) -> Iterator[str]:
    if not isinstance(value, Mapping | list):
        yield _plain(value)
        return
    line = _in_one_line(value)
    if len(indent) + len(line) <= _WIDEST:
        yield line
    else:
        yield from _table(value, indent)


def _table(value: Mapping[object, object] | Sequence[object], indent: str) -> Iterator[str]:
    inner = f"{indent}  "
    yield "{"
    for name, each in _fields(value):
        first, *rest = _lines(each, inner)
        rows = [f"{inner}{name}{first}", *rest]
        rows[-1] += ","
        yield from rows
    yield f"{indent}}}"


def _in_one_line(value: object) -> str:
    if not isinstance(value, Mapping | list):
        return _plain(value)
    fields = [f"{name}{_in_one_line(each)}" for name, each in _fields(value)]
    return f"{{ {', '.join(fields)} }}" if fields else "{}"


def _fields(value: Mapping[object, object] | Sequence[object]) -> Iterator[tuple[str, object]]:
    if not isinstance(value, Mapping):
        yield from (("", each) for each in value)
        return
    for key, each in value.items():
        is_name = isinstance(key, str) and _NAME.fullmatch(key)
        yield (f"{key} = " if is_name else f"[{_plain(key)}] = "), each


def _plain(value: object) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return '"' + "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in escaped) + '"'
    if isinstance(value, LuaFunction):
        return f"function ({value.where})"
    return str(value)
