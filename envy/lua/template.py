"""Filling the placeholders of a text, for `envy.template` and `ctx.template`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from envy.errors import LuaScriptError
from envy.limits import LUA_MEMORY
from envy.suggest import did_you_mean

# Without spaces around the name, which is stripped later: matching them as well takes cubic time.
_PLACEHOLDER = re.compile(r"\{\{([^{}]*)\}\}")


def fill_template(text: str, values: Mapping[str, object]) -> str:
    """Return the text with each `{{name}}` replaced by the value of that name.

    Raises:
        LuaScriptError: a value is missing, or is not text, a number or a boolean; or the result
            is larger than what Lua code may hold.
    """
    left = LUA_MEMORY.value - len(text)

    def value_of(match: re.Match[str]) -> str:
        nonlocal left
        found = text_of(match)
        left -= len(found)
        if left < 0:
            raise LuaScriptError(
                f"the result of the template is larger than {LUA_MEMORY.shown}, the limit "
                f"{LUA_MEMORY.name}",
                hint=LUA_MEMORY.hint,
            )
        return found

    def text_of(match: re.Match[str]) -> str:
        name = match[1].strip()
        value = values.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int | float):
            return str(value)
        if value is None:
            near = did_you_mean(name, map(str, values))
            raise LuaScriptError(f"{match[0]} has no value{'; ' if near else ''}{near}")
        raise LuaScriptError(f"the value of {match[0]} is not text, a number or a boolean")

    return _PLACEHOLDER.sub(value_of, text)
