"""Where the entries of a Lua file stand, worked out only when a message asks.

A manifest names thousands of packages, and a line is wanted for the one that is wrong. So an origin
remembers which entry it is for, and its `line` scans the text the first time somebody reads it.
"""

import os
import re
from pathlib import Path

from envy.errors import SourceLocation
from envy.lua.positions import TablePositions, locate_table
from envy.lua.values import LuaFunction


def shown_path(path: Path) -> Path:
    """A path as messages show it: relative when it lies below the current directory."""
    text = str(path)
    try:
        here = os.getcwd() + os.sep  # noqa: PTH109  as text: messages alone need it
    except OSError:  # it has been removed
        return path
    return Path(text[len(here) :]) if text.startswith(here) else path


def location_in_file(path: Path, variable: str) -> SourceLocation:
    """Where a global is assigned in a file whose text nobody has kept."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return SourceLocation(shown_path(path))
    origin = SourceText(path, text).at(variable)
    return SourceLocation(origin.path, origin.line)


def location_of_function(function: LuaFunction) -> SourceLocation:
    """Where a function of a Lua file is written."""
    path, _, line = function.where.rpartition(":")
    return SourceLocation(Path(path), int(line)) if path else SourceLocation(Path(function.where))


class SourceText:
    """The text of one Lua file, scanned at most once for each global that is asked about."""

    __slots__ = ("_path", "_positions", "_text")

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._text = text
        self._positions: dict[str, TablePositions | None] = {}

    @property
    def path(self) -> Path:
        """The file, as messages show it."""
        return shown_path(self._path)

    def at(self, variable: str, *, length: int = 0) -> "EntryLocation":
        """Where a global is assigned, a table that turned out to have `length` elements."""
        return EntryLocation(self, variable, length)

    def line_of(self, origin: "EntryLocation") -> int:
        """The line an origin stands for; 0 when the text does not show it."""
        variable = origin.variable
        if variable not in self._positions:
            self._positions[variable] = locate_table(self._text, variable)
        table = self._positions[variable]
        if table is None:
            return self._line_of_assignment(variable)
        if origin.index < 0:
            return table.fields.get(origin.field, table.line)
        # Elements that were computed cannot be told apart in the text.
        if len(table.elements) != origin.length:
            return table.line
        element = table.elements[origin.index]
        return (element.fields or {}).get(origin.field, element.line)

    def _line_of_assignment(self, variable: str) -> int:
        name = re.escape(variable)
        pattern = rf"^[ \t]*(?:function[ \t]+{name}\b|{name}[ \t]*=(?!=))"
        found = re.search(pattern, self._text, re.MULTILINE)
        return self._text.count("\n", 0, found.start()) + 1 if found else 0


class EntryLocation(SourceLocation):
    """An origin whose path and line are worked out when they are read."""

    __slots__ = ("_source", "field", "index", "length", "variable")
    variable: str
    length: int
    index: int
    field: str

    def __init__(
        self, source: SourceText, variable: str, length: int, index: int = -1, field: str = ""
    ) -> None:
        # The base is frozen, and what it holds itself is replaced by the properties below.
        place = object.__setattr__
        place(self, "_source", source)
        place(self, "variable", variable)
        place(self, "length", length)
        place(self, "index", index)
        place(self, "field", field)

    @property
    def path(self) -> Path:
        """The file."""
        return self._source.path  # type: ignore[attr-defined,no-any-return]

    @property
    def line(self) -> int:
        """The line, 0 when unknown."""
        return self._source.line_of(self)  # type: ignore[attr-defined,no-any-return]

    def at_element(self, index: int) -> "EntryLocation":
        """Where the element of that index (from 0) stands; of an inner table, where that stands."""
        if self.index >= 0 or self.field:
            return self
        source: SourceText = self._source  # type: ignore[attr-defined]
        return EntryLocation(source, self.variable, self.length, index)

    def at_field(self, name: str) -> "EntryLocation":
        """Where the field of that name stands; of an inner table, where that stands."""
        if self.field:
            return self
        source: SourceText = self._source  # type: ignore[attr-defined]
        return EntryLocation(source, self.variable, self.length, self.index, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SourceLocation):
            return NotImplemented
        return self.path == other.path and self.line == other.line

    def __hash__(self) -> int:
        return hash((self.path, self.line))

    def __repr__(self) -> str:
        return f"SourceLocation({str(self)!r})"
