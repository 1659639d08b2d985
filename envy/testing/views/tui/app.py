"""The Textual application: a header, the tree, a log and a help page, all showing one model.

The app starts runs through a Controller and receives their events through a queue that it empties
several times a second, so that sessions and the terminal never wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult, SuspendNotSupported
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.driver import Driver
from textual.widgets import Input, Static

from envy.console.text import safe_line
from envy.testing.views.tui.appearance import APPEARANCE
from envy.testing.views.tui.clipboard import copy
from envy.testing.views.tui.controller import EVERYTHING, Controller, Message, RunRequest
from envy.testing.views.tui.help import APP_BINDINGS, KEYS, HelpScreen
from envy.testing.views.tui.locations import editor_command, editor_of, place_named
from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.mouse import has_mouse, mouse_sequence
from envy.testing.views.tui.node import top_of
from envy.testing.views.tui.status import header_text, outcome_of
from envy.testing.views.tui.terminal import lossy_driver, run_editor, watch_terminal
from envy.testing.views.tui.tree import NO_FILTER, TreeFilter, failed_tops
from envy.testing.views.tui.widgets import Log, TestTree

WIDE = 120  # cells from which the log is beside the tree
_LOW = 8  # rows below which the line of keys is left out
_BEST_SECONDS = 0.02  # that events may take before the next key
_OUTCOMES = ("active", "passed", "failed", "stopped", "error")


class TestApp(App[int]):
    """The terminal view of one command."""

    __test__ = False
    TITLE = "envy test"
    ENABLE_COMMAND_PALETTE = False
    CSS = APPEARANCE
    BINDINGS: ClassVar[list[BindingType]] = APP_BINDINGS
    ALLOW_SELECT = False  # a click selects a row

    def __init__(
        self,
        controller: Controller,
        *,
        model: RunModel | None = None,
        clock: Callable[[], float] = time.time,
        edit: Callable[[Sequence[str]], str] | None = None,
    ) -> None:
        super().__init__()
        self.model = model or RunModel()
        self.messages: deque[Message] = deque()
        self.controller = controller
        self.watching = False
        self.in_log = False
        self.mouse = has_mouse(controller.environment)
        self.said = ""
        self._clock = clock
        self._edit = edit or self._edit_suspended
        self._hung_up: Callable[[], bool] = lambda: False
        self._seen = -1
        self._header_text = ""
        self._header = Static("", id="header", markup=False)
        self._notice = Static("", id="notice", markup=False)
        self.test_tree = TestTree(self.model, on_move=self._follow, clock=clock, id="tree")
        self.log_view = Log(self.model, id="log")
        self.entry = Input(id="entry", compact=True)

    def get_driver_class(self) -> type[Driver]:
        """Return a driver that survives a closed terminal."""
        return lossy_driver(super().get_driver_class())

    def compose(self) -> ComposeResult:
        """Create the parts of the main page."""
        yield self._header
        with Horizontal(id="main"):
            yield self.test_tree
            yield self.log_view
        yield self.entry
        yield self._notice
        yield Static(KEYS, id="keys", markup=False)

    def on_mount(self) -> None:
        """Take over signals, and start emptying the queue."""
        self._arrange()
        with contextlib.suppress(AttributeError, NotImplementedError, RuntimeError, ValueError):
            # Textual's event loop has replaced the handlers of the command.
            for name in ("SIGTERM", "SIGHUP"):
                number = getattr(signal, name)
                asyncio.get_running_loop().add_signal_handler(number, self.action_leave)
        self._hung_up = watch_terminal()
        self.app_resume_signal.subscribe(self, lambda _app: self._tell_terminal())
        self._tell_terminal()
        self.take_messages()
        self.set_interval(1 / 15, self.take_messages)

    def on_resize(self, event: events.Resize) -> None:
        """Arrange the parts for another size."""
        self._arrange(event.size.width, event.size.height)

    def take_messages(self) -> None:
        """Apply the messages of the session to the model, and show the result."""
        if self._hung_up():
            self.action_leave()  # the terminal is closed; Textual would keep reading from it
            return
        if not self._header.is_attached:
            return  # the app is exiting
        self.controller.tick()
        was_active = self.model.end is None
        ends = time.perf_counter() + _BEST_SECONDS
        while self.messages and time.perf_counter() < ends:
            for _ in range(min(100, len(self.messages))):
                self.messages.popleft()(self.model)
        if was_active is not (self.model.end is None):
            self._spare_the_collector(at_rest=was_active)
        self._show_header()
        self.test_tree.tick()
        if self.model.changes != self._seen:
            self._seen = self.model.changes
            self.test_tree.update()
            self._follow()
        if self.log_view.display:
            self.log_view.catch_up()
        if was_active and self.model.end is not None and self._may_show_failure():
            self.test_tree.seek(by=1)

    def _spare_the_collector(self, *, at_rest: bool) -> None:
        """Let the garbage collector leave out a tree that does not change; it would delay keys."""
        if at_rest:
            gc.freeze()
        else:
            gc.unfreeze()

    def _may_show_failure(self) -> bool:
        """Return whether the log of the first failure may be shown: the cursor was never moved."""
        return self.log_view.display and not self.in_log and self.test_tree.cursor == 0

    def notice(self, text: str) -> None:
        """Show a message in the line at the bottom."""
        self.said = text
        self._notice.update(safe_line(text))

    def _show_header(self) -> None:
        text = header_text(self.model, now=self._clock(), watching=self.watching)
        if text != self._header_text:
            self._header_text = text
            self._header.update(text)
            outcome = outcome_of(self.model)
            for name in _OUTCOMES:
                self._header.set_class(name == outcome, name)

    # -- the two parts -------------------------------------------------------------------------

    def _arrange(self, width: int = 0, height: int = 0) -> None:
        """Show the tree, the log, or both on a wide terminal; focus the one in use."""
        wide = (width or self.size.width) >= WIDE
        main = self.screen_stack[0] if self.screen_stack else self.screen
        main.query_one("#main").set_class(wide, "beside")
        main.query_one("#keys").display = (height or self.size.height) >= _LOW
        self.test_tree.display = wide or not self.in_log
        self.log_view.display = wide or self.in_log
        if not self.entry.display:
            (self.log_view if self.in_log else self.test_tree).focus()
        self._follow()

    def _follow(self) -> None:
        """Let the log beside the tree show what is under the cursor."""
        if self.log_view.display and not self.in_log:
            self.log_view.show(self.test_tree.current())

    def action_open(self) -> None:
        """Go to the log."""
        node = self.test_tree.current()
        if node is None or self.in_log or node.is_note:
            return
        self.in_log = True
        self._arrange()
        self.log_view.show(node)
        self.notice(f"{node.package} {node.test}".rstrip())

    def action_to_tree(self) -> None:
        """Give up the line of input, or close the log, or end the filter."""
        if self.entry.display:
            self.entry.display = False
            if not self.in_log:
                self.test_tree.restrict(TreeFilter(self.test_tree.filter.failures))
        elif self.in_log:
            self.in_log = False
        elif self.test_tree.filter != NO_FILTER:
            self.test_tree.restrict(NO_FILTER)
        self._arrange()
        self.notice("")

    # -- runs ----------------------------------------------------------------------------------

    def action_rerun_all(self) -> None:
        """Run everything again."""
        self._start("everything", EVERYTHING)

    def action_rerun_failed(self) -> None:
        """Run again what fails."""
        failed = failed_tops(self.model)
        if failed:
            self._start("what failed", RunRequest(tests=failed))
        else:
            self.notice("nothing fails")

    def action_rerun_one(self) -> None:
        """Run again the test or package under the cursor."""
        node = self.log_view.node if self.in_log else self.test_tree.current()
        if node is None:
            return
        tops = (top_of(node).test,) if node.test else ()
        subtest = node.test if node.depth > 1 else ""
        self._start(
            node.test or node.package, RunRequest(tests={node.package: tops}, subtest=subtest)
        )

    def _start(self, what: str, request: RunRequest) -> None:
        if self.controller.is_running():
            self.notice("not now: a run is active; s stops it")
        elif self.controller.start(request):
            self.notice(f"running {what}")
        elif not self.said.startswith("cannot"):
            self.notice("nothing can be run here")

    def action_stop(self) -> None:
        """End the run."""
        if self.controller.is_running():
            self.controller.stop()
            self.notice("stopping")
        else:
            self.notice("nothing is running")

    def action_watch(self) -> None:
        """Run again whenever a file changes, or no more."""
        why_not = self.controller.watch(on=not self.watching)
        if why_not:
            self.notice(f"cannot watch: {why_not}")
            return
        self.watching = not self.watching
        self.notice("watching the files" if self.watching else "not watching any more")
        self._show_header()

    # -- failures and names --------------------------------------------------------------------

    def action_build_error(self) -> None:
        """Go to the next package that was not built."""
        if self.in_log:
            self.action_to_tree()
        if not self.test_tree.seek(by=1, unbuilt=True):
            self.notice("no package failed to build")

    def action_next(self, by: int) -> None:
        """Go to the next match of a search, or else to the next failure."""
        if self.in_log and self.log_view.search:
            if not self.log_view.find(by=by):
                self.notice("no match")
        elif not self.test_tree.seek(by=by):
            self.notice("no failure")
        elif self.in_log:
            self.log_view.show(self.test_tree.current())

    def action_failures(self) -> None:
        """Show only failures, or everything again."""
        chosen = self.test_tree.filter
        self.test_tree.restrict(TreeFilter(not chosen.failures, chosen.text))
        self.notice("everything" if chosen.failures else "only failures; F shows everything")

    def action_find(self) -> None:
        """Ask for the text to search for, or for names."""
        self.entry.placeholder = "search" if self.in_log else "names"
        self.entry.value = "" if self.in_log else self.test_tree.filter.text
        self.entry.display = True
        self.entry.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Restrict the tree to the names while they are typed."""
        if self.entry.display and not self.in_log:
            self.test_tree.restrict(TreeFilter(self.test_tree.filter.failures, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Search for the text that was entered."""
        self.entry.display = False
        self._arrange()
        if not self.in_log:
            self.notice(f"only {event.value}; Esc shows everything" if event.value else "")
            return
        self.log_view.search = event.value
        if event.value and not self.log_view.find(by=1, from_here=True):
            self.notice(f"not found: {event.value}")
        self.log_view.refresh()

    # -- the log -------------------------------------------------------------------------------

    def action_raw(self) -> None:
        """Show the log as it came, or without framing and in colours."""
        self.log_view.raw = not self.log_view.raw
        self.log_view.update()
        self.notice("raw log" if self.log_view.raw else "log without framing")

    def action_wrap(self) -> None:
        """Wrap long lines, or no more."""
        self.log_view.toggle_wrap()
        self.notice("long lines wrap" if self.log_view.wraps else "← → scroll long lines")

    def action_copy(self) -> None:
        """Copy the log."""
        node = self.test_tree.current()
        if not self.in_log and not self.log_view.display and node is not None:
            self.log_view.show(node)
        self.run_worker(self._copy("\n".join(self.log_view.texts())), exclusive=True)

    async def _copy(self, text: str) -> None:
        self.notice(await copy(text, self.controller.environment, self._write_to_terminal))

    def _write_to_terminal(self, text: str) -> None:
        if self._driver is not None:
            self._driver.write(text)

    def action_edit(self) -> None:
        """Open the place that the log names in the user's editor."""
        node = self.log_view.node if self.in_log else self.test_tree.current()
        if node is None:
            return
        at = self.log_view.cursor if self.in_log else None
        place = place_named(self.model, node, at=at, raw=self.in_log and self.log_view.raw)
        if place is None:
            self.notice("the log names no file that is here")
            return
        try:
            editor = editor_of(self.controller.environment)
        except ValueError as error:
            self.notice(str(error))
            return
        if not editor:
            self.notice(f"{place.file}:{place.line}; set EDITOR to open it")
            return
        why_not = self._edit(editor_command(editor, place))
        self.notice(why_not or f"{place.file}:{place.line}")

    def _edit_suspended(self, words: Sequence[str]) -> str:
        try:
            with self.suspend():
                return run_editor(words, self.controller.environment)
        except SuspendNotSupported:
            return "this terminal cannot be handed to an editor"

    # -- the mouse -----------------------------------------------------------------------------

    def on_click(self, event: events.Click) -> None:
        """Use the part that was clicked; a double click on a row goes to its log."""
        if event.widget is self.test_tree:
            self.in_log = self.entry.display = False
            self._arrange()
            if event.chain == 2 and not self.test_tree.is_fold(event):
                self.action_open()
        elif event.widget is self.log_view:
            self.entry.display = False
            self.action_open()
            self._arrange()

    def action_mouse(self) -> None:
        """Leave the mouse to the terminal, or take it back."""
        self.mouse = not self.mouse
        self._tell_terminal()
        self.notice("the mouse selects rows" if self.mouse else "the mouse selects text; m ends it")

    def _tell_terminal(self) -> None:
        """Let the terminal keep the mouse if it is to; Textual has taken it."""
        self._write_to_terminal(mouse_sequence(on=self.mouse))

    # -- the rest ------------------------------------------------------------------------------

    def action_help(self) -> None:
        """Show the keys."""
        self.push_screen(HelpScreen())

    def action_leave(self) -> None:
        """Stop the run, and leave."""
        running = self.controller.is_running()
        if running:
            self.controller.stop()
        self.exit(130 if running else None)
