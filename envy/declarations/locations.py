"""The lines of entries in a Lua file, computed only when a message needs one.

A manifest may have thousands of packages, and only the wrong ones need a line. So a location
remembers its entry, and scans the text when its `line` is read for the first time.
"""

import os
import re
from pathlib import Path

from envy.errors import SourceLocation
from envy.lua.positions import TablePositions, locate_table
from envy.lua.values import LuaFunction


def shown_path(path: Path) -> Path:
    """Return a path as messages show it: relative if it is below the current directory."""
    text = str(path)
    try:
        here = os.getcwd() + os.sep  # noqa: PTH109  as text: messages alone need it
    except OSError:  # it has been removed
        return path
    return Path(text[len(here) :]) if text.startswith(here) else path


def location_in_file(path: Path, variable: str) -> SourceLocation:
    """Return where a global is assigned in a file, whose text is read again."""
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return SourceLocation(shown_path(path))
    location = SourceText(path, text).at(variable)
    return SourceLocation(location.path, location.line)


def location_of_function(function: LuaFunction) -> SourceLocation:
    """Return where a function of a Lua file is defined."""
    path, _, line = function.where.rpartition(":")
    return SourceLocation(Path(path), int(line)) if path else SourceLocation(Path(function.where))


class SourceText:
    """The text of one Lua file, scanned at most once for each global."""

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
        """Return where a global is assigned; `length` is the number of elements it has now."""
        return EntryLocation(self, variable, length)

    def line_of(self, location: "EntryLocation") -> int:
        """Return the line of a location; 0 if it cannot be found in the text."""
        variable = location.variable
        if variable not in self._positions:
            self._positions[variable] = locate_table(self._text, variable)
        table = self._positions[variable]
        if table is None:
            return self._line_of_assignment(variable)
        if location.index < 0:
            return _line_in_field(table, location)
        # Elements that were computed have no entry of their own in the text.
        if len(table.elements) != location.length:
            return table.line
        element = table.elements[location.index]
        return (element.fields or {}).get(location.field, element.line)

    def _line_of_assignment(self, variable: str) -> int:
        name = re.escape(variable)
        pattern = rf"^[ \t]*(?:function[ \t]+{name}\b|{name}[ \t]*=(?!=))"
        found = re.search(pattern, self._text, re.MULTILINE)
        return self._text.count("\n", 0, found.start()) + 1 if found else 0


def _line_in_field(table: TablePositions, location: "EntryLocation") -> int:
    line = table.fields.get(location.field, table.line)
    rows = table.rows.get(location.field, ())
    if not 0 <= location.row < len(rows):
        return line
    row = rows[location.row]
    return (row.fields or {}).get(location.inner, row.line)


class EntryLocation(SourceLocation):
    """A location whose path and line are computed when they are read."""

    __slots__ = ("_source", "field", "index", "inner", "length", "row", "variable")
    variable: str
    length: int
    index: int
    field: str
    row: int  # the element of a field that is an array
    inner: str  # the field of that

    def __init__(
        self, source: SourceText, variable: str, length: int, index: int = -1, field: str = "",
        *, row: int = -1, inner: str = "",
    ) -> None:  # fmt: skip
        # The base is frozen, and its own fields are replaced by the properties below.
        assign = object.__setattr__
        assign(self, "_source", source)
        assign(self, "variable", variable)
        assign(self, "length", length)
        assign(self, "index", index)
        assign(self, "field", field)
        assign(self, "row", row)
        assign(self, "inner", inner)

    @property
    def path(self) -> Path:
        """The file."""
        return self._source.path  # type: ignore[attr-defined,no-any-return]

    @property
    def line(self) -> int:
        """The line, 0 if unknown."""
        return self._source.line_of(self)  # type: ignore[attr-defined,no-any-return]

    def at_element(self, index: int) -> "EntryLocation":
        """Return the location of the element with this index (from 0)."""
        source: SourceText = self._source  # type: ignore[attr-defined]
        if self.index < 0 and not self.field:
            return EntryLocation(source, self.variable, self.length, index)
        if self.index < 0 and self.row < 0:
            return EntryLocation(source, self.variable, self.length, field=self.field, row=index)
        return self

    def at_field(self, name: str) -> "EntryLocation":
        """Return the location of the field with this name."""
        source: SourceText = self._source  # type: ignore[attr-defined]
        if self.row >= 0 and not self.inner:
            return EntryLocation(
                source, self.variable, self.length, field=self.field, row=self.row, inner=name
            )
        if self.field:
            return self
        return EntryLocation(source, self.variable, self.length, self.index, name)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SourceLocation):
            return NotImplemented
        return self.path == other.path and self.line == other.line

    def __hash__(self) -> int:
        return hash((self.path, self.line))

    def __repr__(self) -> str:
        return f"EntryLocation({str(self)!r})"
