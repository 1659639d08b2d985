"""The two lists of the terminal view, the tree and the log; both render only visible lines."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from envy.testing.views.tui.model import ICONS, Node, RunModel, row_text

_STYLES = {
    "": Style(dim=True),
    "run": Style(color="yellow", bold=True),
    "pause": Style(color="yellow", dim=True),
    "pass": Style(color="green"),
    "fail": Style(color="red", bold=True),
    "skip": Style(color="cyan"),
    "build": Style(color="magenta", bold=True),
    "note": Style(color="magenta"),
}
_CURSOR = Style(reverse=True)
_FOUND = Style(color="black", bgcolor="yellow")


class _Lines(ScrollView, can_focus=True):
    """A list that renders only the lines on the screen."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cursor = 0

    def count(self) -> int:
        raise NotImplementedError

    def segments(self, index: int) -> list[Segment]:
        raise NotImplementedError

    def resized(self) -> None:
        """Adapt to a changed number of lines."""
        self.cursor = max(0, min(self.cursor, self.count() - 1))
        self.virtual_size = Size(self.size.width, self.count())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        index = y + self.scroll_offset.y
        width = self.size.width
        if index >= self.count():
            return Strip.blank(width)
        strip = Strip(self.segments(index)).adjust_cell_length(width)
        if index == self.cursor and self.shows_cursor():
            strip = strip.apply_style(_CURSOR)
        return strip

    def shows_cursor(self) -> bool:
        return True

    def move(self, index: int) -> None:
        """Move the cursor to a line, and scroll to it."""
        self.cursor = max(0, min(index, self.count() - 1))
        top, height = self.scroll_offset.y, max(1, self.size.height)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False)
        self.refresh()

    def action_move(self, by: int) -> None:
        self.move(self.cursor + by)

    def action_page(self, by: int) -> None:
        self.move(self.cursor + by * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self.move(0)

    def action_last(self) -> None:
        self.move(self.count() - 1)

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "first", show=False),
        Binding("end", "last", show=False),
    ]


class TestTree(_Lines):
    """Packages, tests and subtests."""

    __test__ = False

    def __init__(self, model: RunModel, **options: Any) -> None:
        super().__init__(**options)
        self.model = model
        self.rows: list[Node] = []

    def count(self) -> int:
        return len(self.rows)

    def update(self) -> None:
        """Show the current model; the cursor stays on its node."""
        current = self.current()
        self.rows = self.model.rows()
        if current is not None and not (
            self.cursor < len(self.rows) and self.rows[self.cursor] is current
        ):
            places = (at for at, row in enumerate(self.rows) if row is current)
            self.cursor = next(places, self.cursor)
        self.resized()

    def current(self) -> Node | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def segments(self, index: int) -> list[Segment]:
        node = self.rows[index]
        fold = " " if not node.children else "▾" if node.expanded else "▸"
        style = _STYLES[node.status]
        return [
            Segment(f"{'  ' * node.depth}{fold} "),
            Segment(f"{ICONS[node.status]} ", style),
            Segment(row_text(node), style if node.status in {"fail", "build", "note"} else None),
        ]

    def action_unfold(self) -> None:
        node = self.current()
        if node is not None and node.children:
            node.expanded = True
            self.update()

    def action_fold(self) -> None:
        node = self.current()
        if node is None:
            return
        if node.expanded and node.children:
            node.expanded = False
            self.update()
            return
        parent = self.model.parent(node)
        if parent is not None:
            self.move(self.rows.index(parent))

    def seek(self, statuses: set[str], *, by: int) -> bool:
        """Move to the next row in one of these states, wrapping around at the end."""
        size = len(self.rows)
        for step in range(1, size + 1):
            index = (self.cursor + by * step) % size
            if self.rows[index].status in statuses:
                self.move(index)
                return True
        return False

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,l", "unfold", show=False),
        Binding("left,h", "fold", show=False),
    ]


class Log(_Lines):
    """The output of one node."""

    def __init__(self, model: RunModel, **options: Any) -> None:
        super().__init__(**options)
        self.model = model
        self.node: Node | None = None
        self.raw = False
        self.search = ""
        self.lines: list[str] = []

    def count(self) -> int:
        return len(self.lines)

    def show(self, node: Node) -> None:
        self.node, self.search = node, ""
        self.cursor = 0
        self.update()
        self.scroll_to(y=0, animate=False)

    def update(self) -> None:
        if self.node is not None:
            self.lines = self.model.log(self.node, raw=self.raw)
        self.resized()

    def segments(self, index: int) -> list[Segment]:
        line = self.lines[index]
        if not self.search or self.search.lower() not in line.lower():
            return [Segment(line)]
        at = line.lower().index(self.search.lower())
        end = at + len(self.search)
        return [Segment(line[:at]), Segment(line[at:end], _FOUND), Segment(line[end:])]

    def find(self, *, by: int, from_here: bool = False) -> bool:
        """Move to the next line that contains the text."""
        if not self.search:
            return False
        wanted = self.search.lower()
        for step in range(0 if from_here else 1, len(self.lines) + 1):
            index = (self.cursor + by * step) % len(self.lines)
            if wanted in self.lines[index].lower():
                self.move(index)
                return True
        return False
