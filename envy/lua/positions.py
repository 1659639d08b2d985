"""The line numbers of a table in the text of a Lua file, for error messages.

Owns a tokenizer, not a parser: Lua has already accepted the text, and callers trust a result only
if it has as many elements as the table that Lua created.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<skip>    \s+ | --\[(?P<deep>=*)\[ .*? (?:\](?P=deep)\] | \Z) | --[^\n]* )
    | (?P<string>  "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | \[(?P<level>=*)\[ .*? \](?P=level)\] )
    | (?P<name>    [A-Za-z_]\w* )
    | (?P<number>  \.?\d(?:[eEpP][+-]|[\w.])* )
    | (?P<sign>    \.\.\.? | [=~<>]= | // | << | >> | :: | . )
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS_BLOCK = frozenset({"function", "if", "do", "repeat"})
_CLOSES_BLOCK = frozenset({"end", "until"})
_OPENING = frozenset("({[")
_CLOSING = frozenset(")}]")
# A name after one of these is not assigned as a global, or not as the only target.
_NOT_GLOBAL_AFTER = frozenset({".", ":", ",", "local", "function", "goto", "for"})


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


class _Token(NamedTuple):
    kind: str
    text: str
    start: int


def locate_table(text: str, variable: str) -> TablePositions | None:
    """Return the positions in the last `variable = { … }` outside all blocks, or None."""
    if variable not in text:
        return None
    tokens = list(_tokens(text))
    start = _find_assignment(tokens, variable)
    if start is None:
        return None
    end = _matching(tokens, start + 2)
    if end is None:
        return None
    lines = _Lines(text)
    elements: list[ElementPosition] = []
    fields: dict[str, int] = {}
    for first, last in _split(tokens, start + 2, end):
        name = _field_name(tokens, first, last)
        if name is not None:
            fields[name] = lines.of(tokens[first])
        elif not _is_keyed(tokens, first, last):
            elements.append(_element(tokens, first, last, lines))
    return TablePositions(lines.of(tokens[start]), tuple(elements), fields)


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
    tokens = list(_tokens(text[start + calls[0].end() :]))
    closing = _matching(tokens, 0)
    if closing is None:
        return None
    items = [
        (first, last)
        for first, last in _split(tokens, 0, closing)
        if _field_name(tokens, first, last) is None and not _is_keyed(tokens, first, last)
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


def _may_expand(tokens: list[_Token]) -> bool:
    words = [token.text for token in tokens]
    is_variable = words[:4] == ["os", ".", "getenv", "("] and _matching(tokens, 3) == len(words) - 1
    is_call = words[-1] in (")", "}") or tokens[-1].kind == "string"
    return words[-1] == "..." or (len(words) > 1 and is_call and not is_variable)


class _Lines:
    """The line numbers of tokens in a text."""

    def __init__(self, text: str) -> None:
        self._ends = [match.start() for match in re.finditer("\n", text)]

    def of(self, token: _Token) -> int:
        return bisect_left(self._ends, token.start) + 1


def _tokens(text: str) -> Iterator[_Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind in ("deep", "skip"):
            continue
        yield _Token("string" if kind == "level" else kind, match[0], match.start())


def _find_assignment(tokens: list[_Token], variable: str) -> int | None:
    """Return the index of the variable's name in its last assignment of a table at top level."""
    found = None
    blocks = brackets = 0
    for index, token in enumerate(tokens):
        word = token.text
        if token.kind == "sign":
            brackets += (word in _OPENING) - (word in _CLOSING)
        elif token.kind == "name":
            if word in _OPENS_BLOCK:
                blocks += 1
            elif word in _CLOSES_BLOCK:
                blocks -= 1
            elif word == variable and blocks == brackets == 0 and _assigns(tokens, index):
                found = index
    return found


def _assigns(tokens: list[_Token], index: int) -> bool:
    if index and tokens[index - 1].text in _NOT_GLOBAL_AFTER:
        return False
    return [token.text for token in tokens[index + 1 : index + 3]] == ["=", "{"]


def _matching(tokens: list[_Token], opening: int) -> int | None:
    """Return the index of the bracket that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == "sign":
            word = tokens[index].text
            depth += (word in _OPENING) - (word in _CLOSING)
            if depth == 0:
                return index
    return None


def _split(tokens: list[_Token], opening: int, closing: int) -> Iterator[tuple[int, int]]:
    """Yield the indexes of the first token and past the last token of each field in braces."""
    depth = blocks = 0
    separators = [opening]
    for index in range(opening + 1, closing):
        token = tokens[index]
        if token.kind == "sign":
            depth += (token.text in _OPENING) - (token.text in _CLOSING)
            # Inside the body of a function, a `,` or `;` does not separate fields.
            if depth == 0 and blocks == 0 and token.text in (",", ";"):
                separators.append(index)
        elif token.kind == "name":
            blocks += (token.text in _OPENS_BLOCK) - (token.text in _CLOSES_BLOCK)
    for before, after in pairwise([*separators, closing]):
        if before + 1 < after:
            yield before + 1, after


def _field_name(tokens: list[_Token], first: int, last: int) -> str | None:
    """Return the name in `name = …` or `["name"] = …`, or None."""
    words = [token.text for token in tokens[first : min(last, first + 4)]]
    if tokens[first].kind == "name" and words[1:2] == ["="]:
        return words[0]
    if len(words) == 4 and tokens[first + 1].kind == "string" and words[2:] == ["]", "="]:
        quoted = words[1]
        return quoted[1:-1] if words[0] == "[" and quoted[0] in "\"'" else None
    return None


def _is_keyed(tokens: list[_Token], first: int, last: int) -> bool:
    """Return whether a field has the form `[…] = …`, with an expression as its key."""
    if tokens[first].text != "[":
        return False
    closing = _matching(tokens, first)
    return closing is not None and closing + 1 < last and tokens[closing + 1].text == "="


def _element(tokens: list[_Token], first: int, last: int, lines: _Lines) -> ElementPosition:
    line = lines.of(tokens[first])
    if tokens[first].text != "{" or _matching(tokens, first) != last - 1:
        return ElementPosition(line)
    fields = {
        name: lines.of(tokens[inner])
        for inner, end in _split(tokens, first, last - 1)
        if (name := _field_name(tokens, inner, end)) is not None
    }
    return ElementPosition(line, fields)
