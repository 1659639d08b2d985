"""The line numbers of a table in the text of a Lua file, for error messages.

Lua has already accepted the text, and callers trust a result only if it has as many elements as the
table that Lua created.
"""

import re
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field

from envy.lua.tokens import (
    Token,
    field_name,
    find_assignment,
    is_keyed,
    matching,
    split_fields,
    tokens_of,
)


@dataclass(frozen=True, slots=True)
class ElementPosition:
    """The line of a positional element; `fields` is None if it is not a table constructor."""

    line: int
    fields: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class TablePositions:
    """The line numbers, counted from 1, of a table that is assigned to a global variable."""

    line: int
    elements: tuple[ElementPosition, ...] = ()
    fields: Mapping[str, int] = field(default_factory=dict)
    rows: Mapping[str, tuple[ElementPosition, ...]] = field(default_factory=dict)  # in a field


def locate_table(text: str, variable: str) -> TablePositions | None:
    """Return the positions in the last `variable = { … }` outside all blocks, or None."""
    if variable not in text:
        return None
    tokens = list(tokens_of(text))
    start = find_assignment(tokens, variable)
    if start is None:
        return None
    end = matching(tokens, start + 2)
    if end is None:
        return None
    lines = _Lines(text)
    elements: list[ElementPosition] = []
    fields: dict[str, int] = {}
    rows: dict[str, tuple[ElementPosition, ...]] = {}
    for first, last in split_fields(tokens, start + 2, end):
        name = field_name(tokens, first, last)
        if name is not None:
            fields[name] = lines.of(tokens[first])
            rows[name] = _rows(tokens, first, last, lines)
        elif not is_keyed(tokens, first, last):
            elements.append(_element(tokens, first, last, lines))
    return TablePositions(lines.of(tokens[start]), tuple(elements), fields, rows)


def count_arguments(text: str, line: int, function: str) -> int | None:
    """Return how many positional elements a call `function { … }` in a line (from 1) is given.

    None if the line has no such call, or several. A last element that may stand for any number of
    values (a call, `...`) is not counted, but for `os.getenv(…)`, which gives one.
    """
    start = _start_of_line(text, line)
    end = text.find("\n", start)
    calls = list(
        re.finditer(rf"\b{function}\s*\(?\s*(?={{)", text[start : end if end >= 0 else None])
    )
    if len(calls) != 1:
        return None
    tokens = list(tokens_of(text[start + calls[0].end() :]))
    closing = matching(tokens, 0)
    if closing is None:
        return None
    items = [
        (first, last)
        for first, last in split_fields(tokens, 0, closing)
        if field_name(tokens, first, last) is None and not is_keyed(tokens, first, last)
    ]
    if items and _may_expand(tokens[items[-1][0] : items[-1][1]]):
        items.pop()
    return len(items)


def _start_of_line(text: str, line: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if start == 0:
            return len(text)
    return start


def _may_expand(tokens: list[Token]) -> bool:
    words = [token.text for token in tokens]
    is_variable = words[:4] == ["os", ".", "getenv", "("] and matching(tokens, 3) == len(words) - 1
    is_call = words[-1] in (")", "}") or tokens[-1].kind == "string"
    return words[-1] == "..." or (len(words) > 1 and is_call and not is_variable)


class _Lines:
    """The line numbers of tokens in a text."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def of(self, token: Token) -> int:
        return bisect_left(self._ends, token.start) + 1


def _rows(tokens: list[Token], first: int, last: int, lines: _Lines) -> tuple[ElementPosition, ...]:
    """Return the positional elements of a field whose value is a table constructor."""
    opening = next(at for at in range(first, last) if tokens[at].text == "=") + 1
    if opening >= last or tokens[opening].text != "{" or matching(tokens, opening) != last - 1:
        return ()
    return tuple(
        _element(tokens, inner, end, lines)
        for inner, end in split_fields(tokens, opening, last - 1)
        if field_name(tokens, inner, end) is None and not is_keyed(tokens, inner, end)
    )


def _element(tokens: list[Token], first: int, last: int, lines: _Lines) -> ElementPosition:
    line = lines.of(tokens[first])
    if tokens[first].text != "{" or matching(tokens, first) != last - 1:
        return ElementPosition(line)
    fields = {
        name: lines.of(tokens[inner])
        for inner, end in split_fields(tokens, first, last - 1)
        if (name := field_name(tokens, inner, end)) is not None
    }
    return ElementPosition(line, fields)
