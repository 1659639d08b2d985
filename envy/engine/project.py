"""The part of the manifest that the engine needs, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from envy.declarations.key import RecipeKey
from envy.declarations.spec import NO_OVERRIDES, Overrides
from envy.errors import SourceLocation
from envy.lua.values import LuaValue


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The settings of a manifest; its packages are given when the graph is resolved."""

    manifest: str = ""  # its path
    aliases: Mapping[str, RecipeKey] = field(default_factory=dict)
    default_shell: LuaValue = None  # a shell as Lua says it, or a function that chooses one
    shell_origin: SourceLocation | None = None
    overrides: Overrides = NO_OVERRIDES
