"""The page of the terminal view that explains the keys."""

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

 In a log

   → ←                      scroll long lines sideways
   z                        wrap long lines, or not
   w                        raw, with framing and escape sequences, or not
   /                        search; n N go to the next, the previous match

   ?                        this page
   q                        leave
"""


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
