"""The two lists of the terminal view: the tree and the log."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, ClassVar

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType

from envy.console.renditions import (
    PLAIN_RENDITION,
    Colour,
    Rendition,
    lines_without_colours,
    rendered_spans,
)
from envy.console.text import cell_width, safe_lines
from envy.testing.views.tui.lines import Lines
from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.node import Node, state_of
from envy.testing.views.tui.tree import (
    ICONS,
    NO_FILTER,
    TreeFilter,
    neighbour,
    reveal,
    row_text,
    rows_of,
)

_STYLES = {
    "wait": Style(dim=True),
    "make": Style(color="blue"),
    "run": Style(color="yellow", bold=True),
    "pause": Style(color="yellow", dim=True),
    "left": Style(dim=True),
    "pass": Style(color="green"),
    "fail": Style(color="red", bold=True),
    "skip": Style(color="cyan"),
    "build": Style(color="magenta", bold=True),
    "note": Style(color="magenta"),
}
_LOUD = frozenset({"fail", "build", "note", "left", "wait"})  # states that colour the whole row
_PLAIN = Style()  # without a style, Textual's filter for NO_COLOR fails
_FOUND = Style(color="black", bgcolor="yellow", bold=True)
_SIDEWAYS = 8  # cells
_LONGEST = 50_000  # characters of a line
_CHEAP = 0.01  # seconds of processor time that an update may take at each tick
_REST = 4  # times as long as a dearer update took, keys come first


class TestTree(Lines):
    """Packages, tests and subtests."""

    __test__ = False

    def __init__(
        self,
        model: RunModel,
        *,
        on_move: Callable[[], None],
        clock: Callable[[], float] = time.time,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.model = model
        self._clock = clock
        self.rows: list[Node] = []
        self._second = 0
        self.filter = NO_FILTER
        self._on_move = on_move
        self._shape = -1

    def count(self) -> int:
        """Return the number of visible rows."""
        return len(self.rows)

    def update(self) -> None:
        """Show the current model; the cursor stays on its node."""
        if self.model.shape == self._shape:
            self.refresh()
            return
        self._shape = self.model.shape
        self.rebuild()

    def tick(self) -> None:
        """Show once a second for how long tests have been running."""
        second = int(self._clock())
        if self.model.running and second != self._second:
            self._second = second
            self.refresh()

    def rebuild(self) -> None:
        """Compute the rows; the cursor stays on its node, or goes to what that is in."""
        current = self.current()
        self.rows = rows_of(self.model, self.filter)
        if current is not None and not self._is_at(self.cursor, current):
            while current is not None:
                place = self._place_of(current)
                if place >= 0:
                    self.cursor = place
                    break
                current = current.parent
        self.resized()
        if self.cursor:
            self.move(self.cursor)
        else:
            self.moved()

    def current(self) -> Node | None:
        """Return the node under the cursor."""
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def go_to(self, node: Node) -> None:
        """Move the cursor to a node, unfolding what it is in; a filter that hides it is dropped."""
        reveal(node)
        self.rows = rows_of(self.model, self.filter)
        if self._place_of(node) < 0:
            self.filter = NO_FILTER
            self.rows = rows_of(self.model, self.filter)
        self.resized()
        self.move(self._place_of(node))

    def seek(self, *, by: int, unbuilt: bool = False) -> bool:
        """Move to the next failure (`by` 1) or the previous one (-1), wrapping around."""
        node = neighbour(self.model, self.current(), by=by, unbuilt=unbuilt)
        if node is not None:
            self.go_to(node)
        return node is not None

    def restrict(self, chosen: TreeFilter) -> None:
        """Show only what a filter lets through."""
        self.filter = chosen
        self.rebuild()

    def moved(self) -> None:
        """Let the log follow."""
        self._on_move()

    def segments(self, index: int) -> list[Segment]:
        """Return one row."""
        node = self.rows[index]
        state = state_of(node)
        fold = " " if not node.children else "▾" if node.expanded else "▸"
        style = _STYLES[state]
        return [
            Segment(f"{'  ' * node.depth}{fold} ", _PLAIN),
            Segment(f"{ICONS[state]} ", style),
            Segment(row_text(node, now=self._clock()), style if state in _LOUD else _PLAIN),
        ]

    def is_fold(self, event: events.Click) -> bool:
        """Return whether a click is on the sign that folds the row under the cursor."""
        node, place = self.current(), event.get_content_offset(self)
        if node is None or place is None or not node.children:
            return False
        return 2 * node.depth <= place.x < 2 * node.depth + 2

    def pointed(self, event: events.Click) -> None:
        """Fold or unfold the row, if its sign was clicked."""
        node = self.current()
        if node is not None and self.is_fold(event):
            node.expanded = not node.expanded
            self.rebuild()

    def action_unfold(self) -> None:
        """Show what the node under the cursor has below it."""
        node = self.current()
        if node is not None and node.children and not node.expanded:
            node.expanded = True
            self.rebuild()

    def action_fold(self) -> None:
        """Hide what the node under the cursor has below it, or go to what it is in."""
        node = self.current()
        if node is None:
            return
        if node.expanded and node.children:
            node.expanded = False
            self.rebuild()
        elif node.parent is not None:
            self.move(self._place_of(node.parent))

    def _is_at(self, place: int, node: Node) -> bool:
        return place < len(self.rows) and self.rows[place] is node

    def _place_of(self, node: Node) -> int:
        return next((at for at, row in enumerate(self.rows) if row is node), -1)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold", show=False),
        Binding("left,h", "fold", show=False),
    ]


class Log(Lines):
    """The output of one node."""

    def __init__(self, model: RunModel, **options: Any) -> None:
        super().__init__(**options)
        self.model = model
        self.node: Node | None = None
        self.raw = False
        self.wraps = False
        self.left = 0  # cells that are scrolled out of sight
        self.search = ""
        self.lines: list[str] = []
        self._texts: list[str] | None = None  # of all lines, once they are needed
        self._starts: list[int] = []  # the first row of each line, if lines wrap
        self._rows = 0
        self._layout: tuple[int, bool] = (0, False)
        self._version: object = None
        self._due = 0.0  # when a log that grows is shown again, by time.monotonic

    def count(self) -> int:
        """Return the number of lines."""
        return len(self.lines)

    def show(self, node: Node | None) -> None:
        """Show the log of a node from its beginning."""
        if node is not self.node:
            self.node, self.search = node, ""
            self.cursor = self.left = 0
            self.scroll_to(y=0, animate=False, force=True)
            self._due = 0.0
        self.catch_up()

    def catch_up(self) -> None:
        """Show what has been added, unless that would leave too little time for keys."""
        if time.monotonic() >= self._due:
            before = time.thread_time()
            self.update()
            took = time.thread_time() - before
            self._due = time.monotonic() + _REST * took if took > _CHEAP else 0.0

    def update(self) -> None:
        """Show what has been added; a cursor at the end stays there."""
        node = self.node
        version = (node, self.raw, self.model.output.version(node.package) if node else 0)
        if version == self._version:
            return
        self._version = version
        at_end = self.cursor > 0 and self.cursor == len(self.lines) - 1
        lines = self.model.log(node, raw=self.raw) if node is not None else []
        self.lines = [part for line in lines for part in _divided(line)] or ["(no output)"]
        self._layout, self._texts = (0, False), None
        self.resized()
        if at_end:
            self.action_last()

    def texts(self) -> list[str]:
        """Return all lines as safe text without colours."""
        if self._texts is None:
            if self.raw:
                self._texts = [safe_lines(line)[0] for line in self.lines]
            else:
                self._texts = lines_without_colours(self.lines)
        return self._texts

    def _spans(self, index: int) -> list[tuple[str, Rendition]]:
        line = self.lines[index]
        return [(safe_lines(line)[0], PLAIN_RENDITION)] if self.raw else rendered_spans(line)

    def segments(self, index: int) -> list[Segment]:
        """Return one line, with what is searched for marked."""
        spans = self._spans(index)
        wanted = self.search.lower()
        text = "".join(part for part, _ in spans)
        at = text.lower().find(wanted) if wanted else -1
        if at >= 0:
            end = at + len(wanted)
            return [
                Segment(text[:at], _PLAIN),
                Segment(text[at:end], _FOUND),
                Segment(text[end:], _PLAIN),
            ]
        return [Segment(part, _style(rendition)) for part, rendition in spans]

    # -- wrapping ------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        width = self.width
        layout = (width, self.wraps)
        if layout == self._layout:
            return
        self._layout = layout
        if not self.wraps:
            self._rows = len(self.lines)
            return
        self._starts, row = [], 0
        for line in self.texts():
            self._starts.append(row)
            plain = line.isascii() and line.isprintable()
            cells = len(line) if plain else cell_width(line)
            row += max(1, -(-cells // width))
        self._rows = row

    def height_of_all(self) -> int:
        """Return the number of rows, which depends on the width if lines wrap."""
        self._lay_out()
        return self._rows

    def row_of(self, index: int) -> int:
        """Return the first row of a line."""
        self._lay_out()
        if not self.wraps:
            return index
        return self._starts[index] if index < len(self._starts) else self._rows

    def line_at(self, row: int) -> tuple[int, int]:
        """Return the line that a row belongs to, and the cell that the row starts at."""
        self._lay_out()
        if not self.wraps:
            return row, self.left
        index = bisect_right(self._starts, row) - 1
        return index, (row - self._starts[index]) * self.width

    def toggle_wrap(self) -> None:
        """Wrap long lines, or no more."""
        self.wraps, self.left = not self.wraps, 0
        self.resized()
        self.move(self.cursor)

    def action_sideways(self, by: int) -> None:
        """Scroll lines that are not wrapped to the left or the right."""
        longest = max(map(len, self.lines), default=0)
        furthest = max(0, longest - self.width)
        self.left = 0 if self.wraps else max(0, min(self.left + by * _SIDEWAYS, furthest))
        self.refresh()

    # -- searching -----------------------------------------------------------------------------

    def find(self, *, by: int, from_here: bool = False) -> bool:
        """Move to the next line that contains the text."""
        if not self.search or not self.lines:
            return False
        wanted = self.search.lower()
        texts = self.texts()
        for step in range(0 if from_here else 1, len(texts) + 1):
            index = (self.cursor + by * step) % len(texts)
            if wanted in texts[index].lower():
                self.move(index)
                return True
        return False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "sideways(1)", show=False),
        Binding("left,h", "sideways(-1)", show=False),
    ]


def _divided(line: str) -> list[str]:
    """Return a line in parts, if it is too long to be drawn at once."""
    if len(line) <= _LONGEST:
        return [line]
    return [line[at : at + _LONGEST] for at in range(0, len(line), _LONGEST)]


def _style(rendition: Rendition) -> Style:
    if rendition == PLAIN_RENDITION:
        return _PLAIN
    return Style(
        color=_colour(rendition.foreground),
        bgcolor=_colour(rendition.background),
        bold=rendition.bold or None,
        dim=rendition.faint or None,
        italic=rendition.italic or None,
        underline=rendition.underline or None,
        reverse=rendition.reverse or None,
    )


def _colour(colour: Colour | None) -> Color | None:
    if colour is None:
        return None
    return Color.from_rgb(*colour) if isinstance(colour, tuple) else Color.from_ansi(colour)
