"""The canonical text of a table of options, and parsing it.

Guarantees
  Injective: two tables have the same text only if Lua cannot distinguish them.
  Lua 5.4 evaluates the text to the same table, and `parse_options` returns it.
  The text is one line of valid UTF-8 without characters that control a terminal.
"""

import math
import re
from collections.abc import Mapping
from typing import TypeAlias, cast

from envy.errors import DeclarationError, SourceLocation

OptionValue: TypeAlias = bool | int | float | str | list["OptionValue"] | dict[str, "OptionValue"]

DEEPEST = 100
_RESERVED = frozenset(
    "and break do else elseif end false for function goto if in local nil not or repeat return "  # noqa: SIM905
    "then true until while".split()
)
_LEAST_INTEGER = -(2**63)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Controls, separators and bidirectional overrides would change how a line is shown.
# Surrogates stand for bytes that are not UTF-8.
_UNSAFE = re.compile('["\\\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]')


class BareWord(str):
    """A word of a query written without quotes: a string, or a number or boolean of that text."""

    __slots__ = ()


def serialise_options(
    options: Mapping[str, OptionValue], *, origin: SourceLocation | None = None
) -> str:
    """Return the canonical text of a table of options, `{}` for an empty one.

    Raises:
        DeclarationError: a value is not an option; the message names it.
    """
    return _write_table(options, "options", 0, origin)


def _write_value(value: object, path: str, depth: int, origin: SourceLocation | None) -> str:
    if isinstance(value, str):
        return _write_text(value, path, origin)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return _write_integer(value, path, origin)
    if isinstance(value, float):
        return _write_float(value, path, origin)
    if isinstance(value, dict):
        return _write_table(value, path, depth + 1, origin)
    if isinstance(value, list | tuple):
        _check_depth(depth, path, origin)
        parts = [
            _write_value(element, f"{path}[{i}]", depth + 1, origin)
            for i, element in enumerate(value, start=1)
        ]
        return "{" + ",".join(parts) + "}"
    what = "nil" if value is None else "a function"
    raise DeclarationError(
        f"`{path}` is {what}",
        origin=origin,
        hint="options are strings, numbers, booleans and tables of these",
    )


def _write_table(
    table: Mapping[str, object], path: str, depth: int, origin: SourceLocation | None
) -> str:
    _check_depth(depth, path, origin)
    for key in table:
        if not isinstance(key, str):
            raise DeclarationError(
                f"`{path}` mixes named values with the index {key}",
                origin=origin,
                hint="make it an array, without gaps, or give every value a name",
            )
    parts = []
    for key in sorted(table):
        value = table[key]
        inner = f"{path}.{key}"
        if key == "version" and isinstance(value, float):
            raise DeclarationError(
                f"`{inner}` is the number {value}: as a number, 3.10 would become 3.1",
                origin=origin,
                hint="write the version in quotes",
            )
        text = _write_value(value, inner, depth, origin)
        parts.append(f"{_write_key(key, inner, origin)}={text}")
    return "{" + ",".join(parts) + "}"


def _check_depth(depth: int, path: str, origin: SourceLocation | None) -> None:
    if depth > DEEPEST:
        shown = path if len(path) < 80 else path[:60] + "…"
        raise DeclarationError(f"`{shown}` is nested too deep, or contains itself", origin=origin)


def _write_key(key: str, path: str, origin: SourceLocation | None) -> str:
    if _NAME.fullmatch(key) and key not in _RESERVED:
        return key
    return f"[{_write_text(key, path, origin)}]"


def _write_text(value: str, path: str, origin: SourceLocation | None) -> str:
    if not _UNSAFE.search(value):
        return f'"{value}"'
    try:
        # Surrogates that form valid UTF-8 together are the characters that Lua will see.
        value = value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise DeclarationError(f"`{path}` is not valid text: {value!r}", origin=origin) from None
    return f'"{_UNSAFE.sub(_escape, value)}"'


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if found[0] in '"\\':
        return "\\" + found[0]
    if code < 0x80:
        return f"\\{code:03}"
    # Always three digits, so that a digit that follows is not part of the escape.
    return f"\\{code - 0xDC00:03}" if code >= 0xD800 and code <= 0xDFFF else f"\\u{{{code:x}}}"


def _write_integer(value: int, path: str, origin: SourceLocation | None) -> str:
    if not _LEAST_INTEGER <= value < 2**63:
        raise DeclarationError(f"`{path}` is {value}, too large for an integer", origin=origin)
    # Lua reads the decimal digits of the least integer as a float before negating it.
    return str(value) if value != _LEAST_INTEGER else "0x8000000000000000"


def _write_float(value: float, path: str, origin: SourceLocation | None) -> str:
    if math.isnan(value):
        raise DeclarationError(f"`{path}` is not a number (nan)", origin=origin)
    # Lua has no literal for infinity, but reads a number that is too large as infinity.
    return repr(value) if math.isfinite(value) else ("1e999" if value > 0 else "-1e999")


def parse_options(text: str) -> dict[str, OptionValue]:
    """Return the table of a canonical text."""
    return _table_of(text, bare_words=False)


def parse_query_options(text: str) -> dict[str, OptionValue]:
    """Return the options of a query as typed on a command line, where words need no quotes."""
    return _table_of(text, bare_words=True)


def _table_of(text: str, *, bare_words: bool) -> dict[str, OptionValue]:
    reader = _Reader(text, bare_words=bare_words)
    value = reader.table(0)
    reader.expect_end()
    if isinstance(value, list):
        raise reader.error("options need names")
    return value


_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<punctuation>[{}\[\]=,;])
      | (?P<word>[^\s{}\[\]=,;"']+)
    )""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"-?(?:0[xX][0-9a-fA-F]+|[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)")
_ESCAPE = re.compile(rb"\\(?:([0-9]{1,3})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]+)\}|(.))", re.DOTALL)
_LETTERS = dict(zip(b"abfnrtv", b"\a\b\f\n\r\t\v", strict=True))


class _Reader:
    """Reads one table constructor, of literals only, from left to right."""

    def __init__(self, text: str, *, bare_words: bool) -> None:
        self._text = text
        self._at = 0
        self._bare_words = bare_words

    def error(self, what: str) -> DeclarationError:
        return DeclarationError(
            f"{what} in {self._text}", hint='options are written {name=value,other="value"}'
        )

    def table(self, depth: int) -> dict[str, OptionValue] | list[OptionValue]:
        if depth > DEEPEST:
            raise self.error("tables nested too deep")
        named: dict[str, OptionValue] = {}
        elements: list[OptionValue] = []
        self._expect("{")
        while not self._skip("}"):
            key = self._key()
            value = self._value(depth)
            if key is None:
                elements.append(value)
            elif key in named:
                raise self.error(f'the option "{key}" twice')
            else:
                named[key] = value
            if not self._skip(",") and not self._skip(";"):
                self._expect("}")
                break
        if named and elements:
            raise self.error("values with and without a name")
        return elements or named

    def expect_end(self) -> None:
        if self._text[self._at :].strip():
            raise self.error(f"text after the last brace: {self._text[self._at :].strip()}")

    def _next(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            rest = self._text[self._at :].strip()
            raise self.error(f"a quote that is not closed: {rest}," if rest else "a missing brace")
        self._at = found.end()
        return cast("str", found.lastgroup), found[cast("str", found.lastgroup)]

    def _skip(self, token: str) -> bool:
        found = _TOKEN.match(self._text, self._at)
        if found is None or found["punctuation"] != token:
            return False
        self._at = found.end()
        return True

    def _expect(self, token: str) -> None:
        if not self._skip(token):
            raise self.error(f'"{token}" is missing')

    def _key(self) -> str | None:
        if self._skip("["):
            kind, token = self._next()
            if kind != "string":
                raise self.error(f"a name without quotes in brackets: {token},")
            self._expect("]")
            self._expect("=")
            return _text_of(token)
        start = self._at
        found = _TOKEN.match(self._text, start)
        if found is not None and found["word"] is not None:
            self._at = found.end()
            if self._skip("="):
                return found["word"]
        self._at = start
        return None

    def _value(self, depth: int) -> OptionValue:
        start = self._at
        kind, token = self._next()
        if kind == "string":
            return _text_of(token)
        if kind == "word":
            return self._word(token)
        self._at = start
        if not self._skip("{"):
            raise self.error(f'"{token}" where a value should be')
        self._at = start
        return self.table(depth + 1)

    def _word(self, word: str) -> OptionValue:
        if self._bare_words:
            return BareWord(word)
        value = literal_of(word)
        if value is None:
            raise self.error(f"{word}, which is not a value,")
        return value


def literal_of(word: str) -> bool | int | float | None:
    """Return the boolean or number that a word spells, or None."""
    if word in {"true", "false"}:
        return word == "true"
    if not _NUMBER.fullmatch(word):
        return None
    digits = word.lstrip("-").lower()
    if digits.startswith("0x"):
        bits = int(digits, 16) % 2**64
        value = bits - 2**64 if bits >= 2**63 else bits
        return -value if word[0] == "-" and value != _LEAST_INTEGER else value
    return float(word) if re.search(r"[.e]", digits) else int(word)


def _text_of(token: str) -> str:
    body = token[1:-1]
    if "\\" not in body:
        return body
    raw = body.encode("utf-8", "surrogateescape")
    return _ESCAPE.sub(_unescape, raw).decode("utf-8", "surrogateescape")


def _unescape(found: re.Match[bytes]) -> bytes:
    decimal, hexadecimal, code, letter = found.groups()
    if decimal is not None:
        if int(decimal) > 255:
            raise DeclarationError(f"\\{decimal.decode()} is not a character of a string")
        return bytes([int(decimal)])
    if hexadecimal is not None:
        return bytes([int(hexadecimal, 16)])
    if code is not None:
        if int(code, 16) > 0x10FFFF:
            raise DeclarationError(f"\\u{{{code.decode()}}} is not a character")
        return chr(int(code, 16)).encode("utf-8", "surrogatepass")
    return bytes([_LETTERS.get(letter[0], letter[0])])
