"""The tokens of a Lua text, and the extent of its table constructors.

Owns a tokenizer, not a parser: Lua decides what the text means, and a caller that relies on what it
finds here compares that with the values that Lua made of the text.
"""

import re
from collections.abc import Iterator, Sequence
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


class Token(NamedTuple):
    """A string, name, number or sign of a text, and where it starts."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """The position after the token."""
        return self.start + len(self.text)


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of a text, without spaces and comments."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "sign"
        if kind in ("deep", "skip"):
            continue
        yield Token("string" if kind == "level" else kind, match[0], match.start())


def find_assignment(tokens: Sequence[Token], variable: str) -> int | None:
    """Return the index of the variable's name in its last `variable = {` outside all blocks."""
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


def _assigns(tokens: Sequence[Token], index: int) -> bool:
    if index and tokens[index - 1].text in _NOT_GLOBAL_AFTER:
        return False
    return [token.text for token in tokens[index + 1 : index + 3]] == ["=", "{"]


def matching(tokens: Sequence[Token], opening: int) -> int | None:
    """Return the index of the bracket that closes the one at `opening`."""
    depth = 0
    for index in range(opening, len(tokens)):
        if tokens[index].kind == "sign":
            word = tokens[index].text
            depth += (word in _OPENING) - (word in _CLOSING)
            if depth == 0:
                return index
    return None


def split_fields(tokens: Sequence[Token], opening: int, closing: int) -> Iterator[tuple[int, int]]:
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


def field_name(tokens: Sequence[Token], first: int, last: int) -> str | None:
    """Return the name in `name = …` or `["name"] = …`, or None."""
    words = [token.text for token in tokens[first : min(last, first + 4)]]
    if tokens[first].kind == "name" and words[1:2] == ["="]:
        return words[0]
    if len(words) == 4 and tokens[first + 1].kind == "string" and words[2:] == ["]", "="]:
        quoted = words[1]
        return quoted[1:-1] if words[0] == "[" and quoted[0] in "\"'" else None
    return None


def is_keyed(tokens: Sequence[Token], first: int, last: int) -> bool:
    """Return whether a field has the form `[…] = …`, with an expression as its key."""
    if tokens[first].text != "[":
        return False
    closing = matching(tokens, first)
    return closing is not None and closing + 1 < last and tokens[closing + 1].text == "="
