"""The Textual application: a header, the tree, a log and a help page, all showing one model.

The app starts runs through a Controller and receives their events through a queue that it empties
several times a second, so that sessions and the terminal never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.driver import Driver
from textual.screen import Screen
from textual.widgets import Input, Static

from envy.testing.views.tui.model import RunModel, header_text
from envy.testing.views.tui.terminal import lossy_driver, watch_terminal
from envy.testing.views.tui.widgets import Log, TestTree

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
    """Starts and stops runs. Its methods do not block."""

    def start(self, *, failed: bool = False, package: str = "", test: str = "") -> bool:
        """Start a run of all tests, the failed ones, or one package or test.

        Returns False if a run is active or there is nothing to run.
        """

    def stop(self) -> None:
        """End the active run."""

    def is_running(self) -> bool:
        """Return whether a run is active."""


class HelpScreen(Screen[None]):
    """The page that explains the keys."""

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
        self._hung_up: Callable[[], bool] = lambda: False
        self._seen = -1
        self._header: Static | None = None
        self._header_text = ""

    def get_driver_class(self) -> type[Driver]:
        """Return a driver that survives a closed terminal."""
        return lossy_driver(super().get_driver_class())

    def compose(self) -> ComposeResult:
        """Create the parts of the main page."""
        yield Static("", id="header", markup=False)
        with Vertical():
            yield TestTree(self.model, id="tree")
            yield Log(self.model, id="log")
        yield Input(placeholder="search", id="search")
        yield Static("", id="notice", markup=False)
        yield Static(KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """Take over signals, and start emptying the queue."""
        self._header = self.query_one("#header", Static)
        self.test_tree.focus()
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            # Textual's event loop has replaced the handlers of the command.
            for name in ("SIGTERM", "SIGHUP"):
                number = getattr(signal, name)
                asyncio.get_running_loop().add_signal_handler(number, self.action_leave)
        self._hung_up = watch_terminal()
        self.take_messages()
        self.set_interval(1 / 15, self.take_messages)

    @property
    def test_tree(self) -> TestTree:
        return self.query_one("#tree", TestTree)

    @property
    def log_view(self) -> Log:
        return self.query_one("#log", Log)

    def take_messages(self) -> None:
        """Apply the messages of the session to the model, and show the result."""
        if self._hung_up():
            self.action_leave()  # the terminal is closed; Textual would keep reading from it
            return
        header = self._header
        if header is None or not header.is_attached or len(self.screen_stack) > 1:
            return  # the help page covers it, or the app is exiting
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
        """Show a message in the line at the bottom."""
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
            self.notice("not now: a run is active, or there is nothing to run")

    def action_stop(self) -> None:
        if self.controller.is_running():
            self.controller.stop()
            self.notice("stopping")
        else:
            self.notice("nothing is running")

    def action_build_error(self) -> None:
        self.action_to_tree()
        if not self.test_tree.seek({"build"}, by=1):
            self.notice("no package failed to build")

    def action_next(self, by: int) -> None:
        found = (
            self.log_view.find(by=by)
            if self.log_view.display
            else self.test_tree.seek({"fail", "build"}, by=by)
        )
        if not found:
            self.notice("no match" if self.log_view.display else "no failure")

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
        """Search for the text that was entered."""
        event.input.display = False
        self.log_view.search = event.value
        self.log_view.focus()
        if event.value and not self.log_view.find(by=1, from_here=True):
            self.notice(f"not found: {event.value}")
        self.log_view.refresh()

    def action_copy(self) -> None:
        if self.log_view.display:
            self.copy_to_clipboard("\n".join(self.log_view.lines))
            lines = len(self.log_view.lines)
            self.notice("copied 1 line" if lines == 1 else f"copied {lines} lines")

    def action_help(self) -> None:
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        running = self.controller.is_running()
        if running:
            self.controller.stop()
        self.exit(130 if running else None)
