"""A list of the terminal view that renders only the lines on the screen."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

_CURSOR = Style(reverse=True)
_PLAIN = Style()
_WHEEL = 3  # rows


class Lines(ScrollView, can_focus=True):
    """Lines with a cursor; a line may take several rows of the screen."""

    DEFAULT_CSS = "Lines { scrollbar-size-vertical: 1; overflow-x: hidden; }"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cursor = 0

    def count(self) -> int:
        """Return the number of lines."""
        raise NotImplementedError

    def segments(self, index: int) -> list[Segment]:
        """Return one line."""
        raise NotImplementedError

    def height_of_all(self) -> int:
        """Return the number of rows of all lines."""
        return self.count()

    def row_of(self, index: int) -> int:
        """Return the first row of a line."""
        return index

    def line_at(self, row: int) -> tuple[int, int]:
        """Return the line that a row belongs to, and the cell that the row starts at."""
        return row, 0

    @property
    def width(self) -> int:
        """The number of cells of a row."""
        return max(1, self.scrollable_content_region.width)

    def resized(self) -> None:
        """Adapt to a changed number of lines."""
        self.cursor = max(0, min(self.cursor, self.count() - 1))
        self.virtual_size = Size(self.width, self.height_of_all())
        self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor on the screen."""
        self.resized()
        self.move(self.cursor)

    def render_line(self, y: int) -> Strip:
        """Return one row of the screen."""
        row = y + self.scroll_offset.y
        if row >= self.height_of_all():
            return Strip.blank(self.width, _PLAIN)
        index, start = self.line_at(row)
        width = self.width
        strip = Strip(self.segments(index)).crop(start, start + width)
        strip = strip.adjust_cell_length(width, _PLAIN)
        return strip.apply_style(_CURSOR) if index == self.cursor and self.has_focus else strip

    def move(self, index: int) -> None:
        """Move the cursor to a line, and scroll to it."""
        self.cursor = max(0, min(index, self.count() - 1))
        row, top = self.row_of(self.cursor), self.scroll_offset.y
        height = max(1, self.scrollable_content_region.height)
        last = max(row, min(self.row_of(self.cursor + 1) - 1, row + height - 1))
        if row < top:
            self.scroll_to(y=row, animate=False, force=True)
        elif last >= top + height:
            self.scroll_to(y=last - height + 1, animate=False, force=True)
        self.refresh()
        self.moved()

    def moved(self) -> None:
        """React to a move of the cursor."""

    # -- the mouse -----------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Move the cursor to the line that was clicked."""
        place = event.get_content_offset(self)
        row = place.y + self.scroll_offset.y if place is not None else self.height_of_all()
        if row < self.height_of_all():
            self.move(self.line_at(row)[0])
            self.pointed(event)

    def pointed(self, event: events.Click) -> None:
        """React to a click on the line under the cursor."""

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll down, or to the right."""
        self._on_wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll up, or to the left."""
        self._on_wheel(event, -1)

    def _on_wheel(self, event: events.MouseEvent, by: int) -> None:
        event.stop()
        event.prevent_default()  # what it would scroll comes back with the next move
        if event.ctrl or event.shift:
            self.action_sideways(by)
        else:
            self.roll(by * _WHEEL)

    def roll(self, by: int) -> None:
        """Scroll by rows; the cursor stays on the screen."""
        height, rows = max(1, self.scrollable_content_region.height), self.height_of_all()
        top = max(0, min(self.scroll_offset.y + by, rows - height))
        if top == self.scroll_offset.y:
            return
        self.scroll_to(y=top, animate=False, force=True)
        first = self.line_at(top)[0]
        last = self.line_at(min(top + height, rows) - 1)[0]
        first = min(first + (self.row_of(first) < top), last)
        self.cursor = max(first, min(self.cursor, last))
        self.refresh()
        self.moved()

    def action_sideways(self, by: int) -> None:
        """Scroll to the left or the right, where lines can be longer than the screen."""

    # -- keys ----------------------------------------------------------------------------------

    def action_move(self, by: int) -> None:
        """Move by lines."""
        self.move(self.cursor + by)

    def action_page(self, by: int) -> None:
        """Move by screens."""
        rows = max(1, self.scrollable_content_region.height - 1)
        row = max(0, min(self.row_of(self.cursor) + by * rows, self.height_of_all() - 1))
        self.move(self.line_at(row)[0] if self.count() else 0)

    def action_first(self) -> None:
        """Move to the first line."""
        self.move(0)

    def action_last(self) -> None:
        """Move to the last line."""
        self.move(self.count() - 1)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown,space", "page(1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
    ]
