"""The Python requirements that a recipe's `fetch` resolves with uv, as the recipe declares them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from envy.declarations import fields
from envy.errors import DeclarationError, SourceLocation
from envy.lua.values import LuaFunction

OLDEST_PYTHON = "3.11"  # for requirements that name no Python
_PYTHON = re.compile(r"3\.[0-9]{1,3}(\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class Requirements:
    """Lines of a requirements file, and the oldest Python that they are for, such as "3.12"."""

    lines: tuple[str, ...] = ()
    python: str = ""

    @property
    def is_open(self) -> bool:
        """Whether something is to be resolved; lines with digests name the files themselves."""
        return bool(self.lines) and not any("--hash=" in line for line in self.lines)

    @property
    def subject(self) -> str:
        """What the requirements are for, as the lock calls it."""
        return f"python>={self.python or OLDEST_PYTHON}"


def requirements_of(
    values: Mapping[str, object],
    options: Mapping[str, object],
    at: Callable[[str], SourceLocation],
) -> Requirements | None:
    """Return the requirements among the globals of a recipe, which a function may return."""
    value = values.get("requirements")
    if isinstance(value, LuaFunction):
        value = value.state.call(value, dict(options))
    return parse_requirements(value, at("requirements"))


def parse_requirements(value: object, origin: SourceLocation) -> Requirements | None:
    """Return the value of `requirements`; None says that they cannot be known.

    Raises:
        DeclarationError: the value has another shape.
    """
    if value is None:
        return None
    table: Mapping[str, object] = value if isinstance(value, dict) else {"lines": value}
    fields.check_known(table, frozenset({"lines", "python"}), what="`requirements`", origin=origin)
    lines = table.get("lines") or []
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise fields.wrong_type("requirements", lines, "an array of lines", origin=origin)
    odd = next((line for line in lines if "\0" in line or not _is_unicode(line)), None)
    if odd is not None:
        from envy.declarations.manifest_text import lua_text

        raise DeclarationError(
            f"`requirements` has a line that is not UTF-8 text: {lua_text(odd)}", origin=origin
        )
    python = fields.text(table, "python", origin=origin) if table.get("python") else ""
    if python and not _PYTHON.fullmatch(python):
        raise DeclarationError(
            f'`requirements` are for Python "{python}", which is not a version such as "3.12"',
            origin=origin,
        )
    return Requirements(tuple(line for line in lines if line.strip()), python)


def _is_unicode(text: str) -> bool:
    """Return whether a text of Lua is UTF-8; other bytes are surrogates in it."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
