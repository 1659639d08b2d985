"""The keys of the terminal view, and the page that explains them."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Static

KEYS = "? help  r all  f failed  t this  s stop  n next  / filter  Enter log  q leave"
HELP = """\
 Keys

   ↑ ↓ PgUp PgDn Home End   move
   → ←                      unfold, fold (← on a test goes to its parent)
   Enter                    go to the log of what is under the cursor
   Esc                      back to the tree; there, end the filter

   r                        run everything again
   f                        run again what fails
   t                        run again the test or package under the cursor
   s                        stop the run
   W                        run again what is affected when a file changes

   n N                      next, previous failure
   b                        next package that was not built
   F                        only failures, or everything
   /                        only names that contain a text
   o                        open the place that the log names in $EDITOR
   c                        copy the log
   m                        give the mouse to the terminal, or take it back

 In a log

   → ←                      scroll long lines sideways
   z                        wrap long lines, or not
   w                        raw, with framing and escape sequences, or not
   /                        search; n N go to the next, the previous match

 With the mouse

   click                    select; on ▸ and ▾ unfold and fold; twice: go to the log
   wheel                    scroll; with Shift or Ctrl, sideways
   Shift and the mouse      select text, in most terminals

   ?                        this page
   q                        leave
"""


APP_BINDINGS: list[BindingType] = [
    Binding("r", "rerun_all", "rerun all"),
    Binding("f", "rerun_failed", "failed"),
    Binding("t", "rerun_one", "this test"),
    Binding("s", "stop", "stop"),
    Binding("W", "watch", show=False),
    Binding("b", "build_error", "build error"),
    Binding("n", "next(1)", "next"),
    Binding("N", "next(-1)", show=False),
    Binding("F", "failures", show=False),
    Binding("enter", "open", "log"),
    Binding("escape", "to_tree", show=False),
    Binding("w", "raw", show=False),
    Binding("z", "wrap", show=False),
    Binding("slash", "find", show=False),
    Binding("o", "edit", show=False),
    Binding("c", "copy", show=False),
    Binding("m", "mouse", show=False),
    Binding("question_mark", "help", "help"),
    Binding("q,ctrl+c", "leave", "leave"),
]


class HelpScreen(Screen[None]):
    """The page that explains the keys."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark", "app.pop_screen", "back"),
        Binding("ctrl+c", "app.leave", show=False),
    ]

    def compose(self) -> ComposeResult:
        """Create the page."""
        with VerticalScroll():
            yield Static(HELP, id="help", markup=False)
