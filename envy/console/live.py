"""The live display: permanent lines, and below them a picture of the run that is redrawn.

Owns the terminal during a run. `display` computes the picture, `screen` puts it there; this module
decides when.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from envy.console.display import render
from envy.console.narration import Narrator, Remark, remark_lines
from envy.console.plain import write_remark
from envy.console.progress import DisplayState
from envy.console.screen import Screen, TerminalScreen, terminal_size
from envy.console.styled import Line
from envy.console.text import Streams
from envy.console.verbosity import Importance, Verbosity
from envy.events import PhaseStart, Stamped

_REDRAW_SECONDS = 0.125
# A terminal that blocks (a stopped pager, flow control) must not keep the run from ending.
_CLOSE_SECONDS = 2.0


class LiveConsole:
    """The listener that draws.

    Guarantees
      Events only change the state, under `_state_lock`, held for moments; a thread draws.
      The screen is used only under `_screen_lock`, which is taken before `_state_lock`.
      While suspended, nothing is drawn or written, and the region is removed.
      Every remark is written, at the latest by `close`; a terminal that fails ends the drawing,
      never the run.
    """

    detailed = False  # slots, threads and locks are not shown

    def __init__(
        self,
        streams: Streams,
        *,
        verbosity: Verbosity = Verbosity.NORMAL,
        colours: bool = False,
        open_screen: Callable[..., Screen] = TerminalScreen,
        clock: Callable[[], float] = time.time,
        redraw_seconds: float = _REDRAW_SECONDS,
    ) -> None:
        self.explaining = verbosity is Verbosity.VERBOSE
        self._streams = streams
        # The picture shows steps.
        self._least = Importance.DETAIL if verbosity is Verbosity.VERBOSE else Importance.NOTE
        self._colours = colours
        self._open_screen = open_screen
        self._clock = clock
        self._redraw_seconds = redraw_seconds
        self._narrator = Narrator(self._least)
        self._state = DisplayState()
        self._state_lock = threading.Lock()
        self._screen_lock = threading.Lock()
        self._pending: list[Remark] = []
        self._closing = threading.Event()
        self._screen: Screen | None = None
        self._gone = False
        self._thread: threading.Thread | None = None

    def on_event(self, stamped: Stamped) -> None:
        """Update the state; the drawing thread shows the change with its next frame."""
        with self._state_lock:
            self._state.apply(stamped)
            remarks = self._narrator.remarks_for(stamped)
            self._pending += [remark for remark in remarks if remark.importance >= self._least]
            if self._thread is None and (self._pending or isinstance(stamped.event, PhaseStart)):
                self._thread = threading.Thread(target=self._draw, name="display", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Remove the picture and keep the lines."""
        self._closing.set()
        if self._thread:
            self._thread.join(_CLOSE_SECONDS)

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Leave the terminal to a question or an interactive program."""
        with self._screen_lock:
            self._show(picture=False)
            yield

    def _draw(self) -> None:
        while not self._closing.wait(self._redraw_seconds):
            with self._screen_lock:
                self._show(picture=True)
        with self._screen_lock:
            self._show(picture=False)

    def _show(self, *, picture: bool) -> None:
        """Write pending remarks, and draw or remove the picture."""
        with self._state_lock:
            remarks, self._pending = self._pending, []
            size = self._screen.size if self._screen else terminal_size(self._streams.errors)
            region = render(self._state, self._clock(), *size) if picture else []
        try:
            if not (self._screen or self._gone) and len(region) > 1:  # more than the counts
                self._screen = self._open_screen(self._streams.errors, colours=self._colours)
            if self._screen:
                self._show_on(self._screen, remarks, region)
                remarks = []
            if self._screen and not picture:
                self._screen.close()
                self._screen = None
        except (OSError, ValueError):
            self._screen, self._gone = None, True
        for remark in remarks:
            write_remark(self._streams, remark, signs=True, colours=self._colours)

    def _show_on(self, screen: Screen, remarks: list[Remark], region: list[Line]) -> None:
        shares_terminal = self._streams.output.isatty()
        above: list[Line] = []
        for remark in remarks:
            if remark.importance is Importance.RESULT and not shares_terminal:
                write_remark(self._streams, remark)
            else:
                above += remark_lines(remark, screen.size[0])
        screen.show(above, region)
