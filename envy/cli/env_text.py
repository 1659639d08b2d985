"""The texts of `envy env`: variables as a shell, fish, JSON or a dotenv file reads them.

Warm commands load this module, so it imports nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

FORMATS = ("sh", "fish", "json", "dotenv")
_JSON = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# A line may end with \r\n, so \r is escaped as well. `$` is literal only after a backslash.
_DOTENV = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "$": "\\$"}


def env_text(variables: Mapping[str, str], form: str) -> str:
    """Return the text that sets variables, in one of FORMATS, without a newline at the end."""
    rows = sorted(variables.items())
    if form == "json":
        lines = ",\n".join(f"  {_json(name)}: {_json(value)}" for name, value in rows)
        return f"{{\n{lines}\n}}" if lines else "{}"
    if form == "fish":
        return "\n".join(_fish_line(name, value) for name, value in rows)
    if form == "dotenv":
        return "\n".join(f'{name}="{_replaced(value, _DOTENV)}"' for name, value in rows)
    return "\n".join(f"export {name}={sh_quoted(value)}" for name, value in rows)


def sh_quoted(text: str) -> str:
    """Return a text as one word of a POSIX shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def fish_quoted(text: str) -> str:
    """Return a text as one word of fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_line(name: str, value: str) -> str:
    # PATH is a list in fish; the other variables with folders are texts there, too.
    parts = value.split(":") if name == "PATH" else [value]
    return f"set -gx {name} {' '.join(map(fish_quoted, parts))}"


def _replaced(text: str, escapes: Mapping[str, str]) -> str:
    return "".join(escapes.get(character, character) for character in text)


def _json(text: str) -> str:
    return f'"{"".join(map(_json_character, text))}"'


def _json_character(character: str) -> str:
    code = ord(character)
    if character in _JSON:
        return _JSON[character]
    if 0x20 <= code < 0x7F:
        return character
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
