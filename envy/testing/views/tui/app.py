"""The Textual application: a header, the tree, a log and a help page, all of them views of a model.

The app asks for runs through a Controller and hears of them through a queue that it empties a few
times a second, so that a session never waits for the terminal, nor the terminal for a session.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.geometry import Size
from textual.screen import Screen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Input, Static

from envy.testing.views.tui.model import ICONS, Node, RunModel, header_text, row_text

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
_EVENTS_AT_ONCE = 5000

KEYS = "? help  r all  f failed  t this one  s stop  Enter log  b build error  q leave"
HELP = """\
 Keys

   ↑ ↓ PgUp PgDn Home End   move
   → ←                      unfold, fold (← on a test goes to its parent)
   Enter                    show the log of what is under the cursor
   Esc                      back to the tree

   r                        run everything again
   f                        run again what failed
   t                        run again the test or package under the cursor
   s                        stop the run

   n N                      next, previous failure
   b                        next package that was not built
   w                        log: raw, or without the framing of tests
   /                        log: search; n N go to the next, the previous match
   c                        log: copy it

   ?                        this page
   q                        leave
"""

Message = Callable[[RunModel], None]


class Controller(Protocol):
    """Whoever can start and stop runs. None of these wait."""

    def start(self, *, failed: bool = False, package: str = "", test: str = "") -> bool:
        """Start a run: of all, of what failed, or of one package or test; False: not now."""

    def stop(self) -> None:
        """End the run that goes on."""

    def is_running(self) -> bool:
        """Whether a run goes on."""


class _Lines(ScrollView, can_focus=True):
    """Lines of which only those on the screen are made."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.cursor = 0

    def count(self) -> int:
        raise NotImplementedError

    def segments(self, index: int) -> list[Segment]:
        raise NotImplementedError

    def resized(self) -> None:
        """The number of lines may have changed."""
        self.cursor = max(0, min(self.cursor, self.count() - 1))
        self.virtual_size = Size(self.size.width, self.count())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
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
        """Put the cursor on a line, and that line on the screen."""
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
        """Take over what the model has become; the cursor stays on its node."""
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
        """Go to the next row in one of these states, around the end if need be."""
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
        """Go to the next line that has the text searched for."""
        if not self.search:
            return False
        wanted = self.search.lower()
        for step in range(0 if from_here else 1, len(self.lines) + 1):
            index = (self.cursor + by * step) % len(self.lines)
            if wanted in self.lines[index].lower():
                self.move(index)
                return True
        return False


class HelpScreen(Screen[None]):
    """The page of keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "app.pop_screen", "back"),
    ]

    def compose(self) -> ComposeResult:
        yield Static(HELP, id="help", markup=False)


class TestApp(App[int]):
    """The terminal view of one command."""

    __test__ = False
    TITLE = "envy test"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #header { height: 1; background: $primary; color: $text; padding: 0 1; }
    #keys { height: 1; padding: 0 1; background: $surface; color: $text-muted; }
    #notice { height: 1; padding: 0 1; color: $text-muted; }
    #tree, #log { height: 1fr; }
    #log, #search { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "rerun_all", "rerun all"),
        Binding("f", "rerun_failed", "failed"),
        Binding("t", "rerun_one", "this test"),
        Binding("s", "stop", "stop"),
        Binding("b", "build_error", "build error"),
        Binding("n", "next(1)", "next"),
        Binding("N", "next(-1)", show=False),
        Binding("enter", "open", "log"),
        Binding("escape", "to_tree", show=False),
        Binding("w", "raw", show=False),
        Binding("slash", "search", show=False),
        Binding("c", "copy", show=False),
        Binding("question_mark", "help", "help"),
        Binding("q,ctrl+c", "leave", "leave"),
    ]

    def __init__(
        self,
        controller: Controller,
        *,
        model: RunModel | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self.model = model or RunModel()
        self.messages: deque[Message] = deque()
        self.controller = controller
        self._clock = clock
        self._seen = -1
        self._header: Static | None = None
        self._header_text = ""

    def compose(self) -> ComposeResult:
        """The parts of the main page."""
        yield Static("", id="header", markup=False)
        with Vertical():
            yield TestTree(self.model, id="tree")
            yield Log(self.model, id="log")
        yield Input(placeholder="search", id="search")
        yield Static("", id="notice", markup=False)
        yield Static(KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """Begin."""
        self._header = self.query_one("#header", Static)
        self.test_tree.focus()
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            # Textual's loop has taken over signals from whoever handled them before.
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.action_leave)
        self.take_messages()
        self.set_interval(1 / 15, self.take_messages)

    @property
    def test_tree(self) -> TestTree:
        return self.query_one("#tree", TestTree)

    @property
    def log_view(self) -> Log:
        return self.query_one("#log", Log)

    def take_messages(self) -> None:
        """Apply what has come from the session, and show it."""
        header = self._header
        if header is None or not header.is_attached or len(self.screen_stack) > 1:
            return  # the help page is over it, or the app is leaving
        for _ in range(min(len(self.messages), _EVENTS_AT_ONCE)):
            self.messages.popleft()(self.model)
        text = header_text(self.model, now=self._clock())
        if text != self._header_text:
            self._header_text = text
            header.update(text)
        if self.model.changes != self._seen:
            self._seen = self.model.changes
            self.test_tree.update()
            if self.log_view.display:
                self.log_view.update()

    def notice(self, text: str) -> None:
        """Say something in the line at the bottom."""
        self.query_one("#notice", Static).update(text)

    # -- keys ----------------------------------------------------------------------------------

    def action_rerun_all(self) -> None:
        self._start("everything")

    def action_rerun_failed(self) -> None:
        self._start("what failed", failed=True)

    def action_rerun_one(self) -> None:
        node = self.test_tree.current()
        if node is not None:
            self._start(node.test or node.package, package=node.package, test=node.test)

    def _start(self, what: str, **request: Any) -> None:
        if self.controller.start(**request):
            self.notice(f"running {what}")
        else:
            self.notice("not now: a run goes on, or there is nothing to run")

    def action_stop(self) -> None:
        if self.controller.is_running():
            self.controller.stop()
            self.notice("stopping")
        else:
            self.notice("nothing runs")

    def action_build_error(self) -> None:
        self.action_to_tree()
        if not self.test_tree.seek({"build"}, by=1):
            self.notice("everything was built")

    def action_next(self, by: int) -> None:
        found = (
            self.log_view.find(by=by)
            if self.log_view.display
            else self.test_tree.seek({"fail", "build"}, by=by)
        )
        if not found:
            self.notice("there is none")

    def action_open(self) -> None:
        node = self.test_tree.current()
        if node is None or self.log_view.display:
            return
        self.test_tree.display = False
        self.log_view.display = True
        self.log_view.show(node)
        self.log_view.focus()
        self.notice(f"{node.package} {node.test}".rstrip())

    def action_to_tree(self) -> None:
        self.query_one("#search", Input).display = False
        self.log_view.display = False
        self.test_tree.display = True
        self.test_tree.focus()
        self.notice("")

    def action_raw(self) -> None:
        self.log_view.raw = not self.log_view.raw
        self.log_view.update()
        self.notice("raw log" if self.log_view.raw else "log without framing")

    def action_search(self) -> None:
        if self.log_view.display:
            search = self.query_one("#search", Input)
            search.value = ""
            search.display = True
            search.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text to search for is there."""
        event.input.display = False
        self.log_view.search = event.value
        self.log_view.focus()
        if event.value and not self.log_view.find(by=1, from_here=True):
            self.notice(f"not found: {event.value}")
        self.log_view.refresh()

    def action_copy(self) -> None:
        if self.log_view.display:
            self.copy_to_clipboard("\n".join(self.log_view.lines))
            self.notice(f"copied {len(self.log_view.lines)} lines")

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        running = self.controller.is_running()
        if running:
            self.controller.stop()
        self.exit(130 if running else None)
