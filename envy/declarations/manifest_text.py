"""Edits of `packages` in the text of a manifest, which keep its layout.

Owns the choice of the place and of the signs around it: indentation, separators, quotes, line ends
and comments stay as their author wrote them. Pure: what Lua makes of an edited text is compared in
`manifest_edit`, so a text that is not understood here is never written.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from envy.declarations.option_text import OptionValue, serialise_options
from envy.lua.tokens import (
    Token,
    field_name,
    find_assignment,
    is_keyed,
    matching,
    split_fields,
    tokens_of,
)

_PLAIN = re.compile(r'"[^"\'\\]*"')
_REST_OF_LINE = re.compile(r"[ \t]*(?:--(?!\[=*\[)[^\r\n]*)?(\r?\n)")


def lua_text(value: OptionValue, quote: str = '"') -> str:
    """Return the Lua text of a value as people write it, such as `{ version = "1.0" }`."""
    if isinstance(value, dict) and value:
        fields = [f"{_key_text(key)} = {lua_text(inner, quote)}" for key, inner in value.items()]
        return "{ " + ", ".join(fields) + " }"
    if isinstance(value, list) and value:
        return "{ " + ", ".join(lua_text(inner, quote) for inner in value) + " }"
    text = serialise_options({"_": value})[3:-1]
    return f"{quote}{text[1:-1]}{quote}" if _PLAIN.fullmatch(text) else text


def _key_text(key: str) -> str:
    return serialise_options({key: True})[1 : -len("=true}")]


def insert_element(text: str, entry: OptionValue) -> str | None:
    """Return the text with an entry at the end of `packages`; None if there is no place for it."""
    braces = _packages(text)
    return None if braces is None else _inserted(braces, lua_text(entry, _quote_of(braces)))


def remove_element(text: str, index: int) -> str | None:
    """Return the text without the entry at an index (from 0) of `packages`; None if not found."""
    braces = _packages(text)
    elements = () if braces is None else braces.elements()
    if braces is None or index >= len(elements):
        return None
    return _removed(braces, braces.items.index(elements[index]))


def is_listed(text: str, index: int, table: str) -> bool:
    """Return whether an entry at an index of a table is written in it."""
    braces = _packages(text, table)
    return braces is not None and index < len(braces.elements())


def set_field(
    text: str,
    index: int,
    path: Sequence[str],
    value: OptionValue | None,
    *,
    table: str = "packages",
) -> str | None:
    """Return the text in which a field of the entry at an index (from 0) of a table has this value.

    The path leads to the field: ("options", "version"), say. None as the value removes it. Returns
    None if the entry is not written in a way that is understood here.
    """
    braces = _packages(text, table)
    elements = () if braces is None else braces.elements()
    if braces is None or index >= len(elements):
        return None
    first, last = elements[index]
    quote = _quote_of(braces)
    token = braces.tokens[first]
    if last - first == 1 and token.kind == "string":
        if value is None:
            return text
        name, nested = path[0], _nested(path[1:], value)
        entry = f"{{ recipe = {token.text}, {_key_text(name)} = {lua_text(nested, quote)} }}"
        return text[: token.start] + entry + text[token.end :]
    return _with_field(_table_at(braces, first, last), path, value, quote)


def _nested(path: Sequence[str], value: OptionValue) -> OptionValue:
    for name in reversed(path):
        value = {name: value}
    return value


# -- tables --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Braces:
    """A table constructor: the indexes of its braces, and the tokens of each field."""

    text: str
    tokens: Sequence[Token]
    opening: int
    closing: int
    items: Sequence[tuple[int, int]]

    def elements(self) -> Sequence[tuple[int, int]]:
        """Return the fields without a name or key."""
        return [
            item
            for item in self.items
            if field_name(self.tokens, *item) is None and not is_keyed(self.tokens, *item)
        ]

    def start(self, item: int) -> int:
        return self.tokens[self.items[item][0]].start

    def end(self, item: int) -> int:
        return self.tokens[self.items[item][1] - 1].end

    def separator(self, item: int) -> Token | None:
        """Return the `,` or `;` after a field, or None."""
        index = self.items[item][1]
        return self.tokens[index] if index < self.closing else None


def _packages(text: str, table: str = "packages") -> _Braces | None:
    tokens = list(tokens_of(text))
    name = find_assignment(tokens, table)
    return None if name is None else _braces(text, tokens, name + 2)


def _braces(text: str, tokens: Sequence[Token], opening: int) -> _Braces | None:
    closing = matching(tokens, opening)
    if closing is None:
        return None
    items = tuple(split_fields(tokens, opening, closing))
    return _Braces(text=text, tokens=tokens, opening=opening, closing=closing, items=items)


def _table_at(braces: _Braces, first: int, last: int) -> _Braces | None:
    """Return the table constructor that these tokens are, or None."""
    if braces.tokens[first].text != "{":
        return None
    found = _braces(braces.text, braces.tokens, first)
    return found if found is not None and found.closing == last - 1 else None


def _quote_of(braces: _Braces) -> str:
    """Return the quotes that most strings of a table have."""
    strings = [
        token.text[0]
        for token in braces.tokens[braces.opening : braces.closing]
        if token.kind == "string" and token.text[0] in "\"'"
    ]
    return "'" if strings.count("'") > strings.count('"') else '"'


def _line_start(text: str, position: int) -> int:
    return text.rfind("\n", 0, position) + 1


def _indentation(text: str, position: int) -> str | None:
    """Return the white space before a position; None if its line has something else there."""
    before = text[_line_start(text, position) : position]
    return before if not before.strip(" \t") else None


# -- insertion -----------------------------------------------------------------------------------


def _inserted(braces: _Braces, what: str) -> str:
    """Return the text with one more field at the end of a table."""
    text, close = braces.text, braces.tokens[braces.closing].start
    margin = _indentation(text, close)
    if not braces.items:
        return _inserted_first(braces, what, margin)
    last = len(braces.items) - 1
    end, separator = braces.end(last), braces.separator(last)
    sign = separator.text if separator else _separator_of(braces)
    after = sign if separator else ""
    comma = "" if separator else sign
    indentation = _indentation(text, braces.start(last))
    if margin is None:
        place = separator.end if separator else end
        rest = _REST_OF_LINE.match(text, place)
        if rest is not None and rest[0].strip():  # a comment, which belongs to the last field
            place = rest.start(1)
            glue = rest[1] + (indentation if indentation is not None else "  ")
        elif indentation is not None and "\n" in text[: braces.start(last)]:
            glue = _line_end(text, braces.start(last)) + indentation
        else:
            glue = " "
        return text[:end] + comma + text[end:place] + glue + what + after + text[place:]
    line = close - len(margin)
    indentation = margin + "  " if indentation is None else indentation
    row = indentation + what + after + _line_end(text, close)
    return text[:end] + comma + text[end:line] + row + text[line:]


def _inserted_first(braces: _Braces, what: str, margin: str | None) -> str:
    text, close = braces.text, braces.tokens[braces.closing].start
    start = braces.tokens[braces.opening].end
    inside = text[start:close]
    if margin is None or "\n" not in inside:
        return text[:start] + inside.rstrip() + f" {what} " + text[close:]
    line = close - len(margin)
    # A commented line shows how entries are indented.
    shown = re.search(r"\n([ \t]+)--", inside)
    indentation = shown[1] if shown else margin + "  "
    return f"{text[:line]}{indentation}{what},{_line_end(text, close)}{text[line:]}"


def _separator_of(braces: _Braces) -> str:
    found = braces.separator(0)
    return found.text if found else ","


def _line_end(text: str, position: int) -> str:
    """Return the line end before a position."""
    newline = text.rfind("\n", 0, position)
    return "\r\n" if newline > 0 and text[newline - 1] == "\r" else "\n"


# -- removal -------------------------------------------------------------------------------------


def _removed(braces: _Braces, item: int) -> str:
    """Return the text without a field, its separator and, if it has a line of its own, that."""
    text = braces.text
    start, separator = braces.start(item), braces.separator(item)
    end = separator.end if separator else braces.end(item)
    is_last = item == len(braces.items) - 1
    # The field before the last one ends the table now, as the last one did.
    before = braces.separator(item - 1) if item and is_last and separator is None else None
    indentation = _indentation(text, start)
    rest = _REST_OF_LINE.match(text, end)
    if indentation is not None and rest is not None:
        if is_last and _indentation(text, braces.tokens[braces.closing].start) is None:
            # The brace ends the line of the last field, and it may end that of the one before.
            start -= len(text[:start]) - len(text[:start].rstrip(" \t\r\n"))
            return _without(text, before, start, rest.start(1))
        return _without(text, before, start - len(indentation), rest.end())
    if not is_last and not text[end : braces.start(item + 1)].strip(" \t"):
        return text[:start] + text[braces.start(item + 1) :]
    if len(braces.items) == 1:
        opened, close = braces.tokens[braces.opening].end, braces.tokens[braces.closing].start
        if not (text[opened:start] + text[end:close]).strip():
            return text[:opened] + text[close:]
    begin = braces.tokens[braces.items[item][0] - 1].end
    # Not over the end of a comment, of which the rest would become a part.
    blank = " \t" if text[begin:start].strip() else " \t\r\n"
    start -= len(text[:start]) - len(text[:start].rstrip(blank))
    return _without(text, before, start, end)


def _without(text: str, before: Token | None, start: int, end: int) -> str:
    if before is None:
        return text[:start] + text[end:]
    return text[: before.start] + text[before.end : start] + text[end:]


# -- fields --------------------------------------------------------------------------------------


def _with_field(
    braces: _Braces | None, path: Sequence[str], value: OptionValue | None, quote: str
) -> str | None:
    if braces is None:
        return None
    text, tokens = braces.text, braces.tokens
    name, inner = path[0], path[1:]
    found = [item for item in braces.items if field_name(tokens, *item) == name]
    if not found:
        if value is None:
            return text
        return _inserted(braces, f"{_key_text(name)} = {lua_text(_nested(inner, value), quote)}")
    first, last = found[-1]
    begin = first + (2 if tokens[first].kind == "name" else 4)
    if inner:
        return _with_field(_table_at(braces, begin, last), inner, value, quote)
    if value is None:
        return _removed(braces, braces.items.index(found[-1]))
    return _replaced(text, tokens[begin:last], lua_text(value, quote))


def _replaced(text: str, old: Sequence[Token], new: str) -> str | None:
    """Return the text with another value of a field; None if the value is computed."""
    if len(old) != 1 or (old[0].kind == "name" and old[0].text not in {"true", "false", "nil"}):
        return None
    return text[: old[0].start] + new + text[old[0].end :]


def entry_text(entry: str | Mapping[str, OptionValue]) -> str:
    """Return an entry of `packages` as messages show it."""
    return lua_text(entry if isinstance(entry, str) else dict(entry))
