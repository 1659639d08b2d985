"""The progress of a command without a session, as one line that is redrawn on a terminal."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterator

from envy.cli.settings import Settings
from envy.console.drawing import can_draw
from envy.console.screen import terminal_size
from envy.console.text import safe_line
from envy.console.transfer_line import RateMeter, transfer_line

_INTERVAL = 0.1  # seconds between two drawings
_ERASE = "\r\x1b[K"


class ProgressLine:
    """Draws the line, at most ten times a second; without a terminal it draws nothing.

    Its functions may be called in any thread.
    """

    def __init__(self, action: str, *, draws: bool) -> None:
        self.draws = draws
        self._action = action
        self._meter = RateMeter()
        self._lock = threading.Lock()
        self._drawn_at = 0.0
        self._is_drawn = False

    def is_due(self) -> bool:
        """Return whether it is time to draw again."""
        return self.draws and time.monotonic() - self._drawn_at >= _INTERVAL

    def at(self, name: str, done: int, total: int, more: str = "") -> None:
        """Show how much is done of something."""
        if not self.is_due():
            return
        with self._lock:
            now = time.monotonic()
            self._drawn_at = now
            width, _ = terminal_size(sys.stderr)
            rate = self._meter.rate(done, now)
            shown = safe_line(name)
            text = transfer_line(
                self._action, shown, done=done, total=total, rate=rate, width=width, more=more
            )
            self._write(f"{_ERASE}{text}")
            self._is_drawn = True

    def transfer(self, uri: str, done: int, total: int) -> None:
        """Show how much of a source has arrived."""
        if self.is_due():
            self.at(uri.rstrip("/").rpartition("/")[2] or uri, done, total)

    def clear(self) -> None:
        """Remove the line, before something else is written."""
        with self._lock:
            if self._is_drawn:
                self._write(_ERASE)
                self._is_drawn = False

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


@contextlib.contextmanager
def progress_line(action: str, settings: Settings) -> Iterator[ProgressLine]:
    """Yield a line that shows the progress of a block, and is removed at its end."""
    draws = settings.progress and not settings.quiet and can_draw(sys.stderr, settings.environment)
    line = ProgressLine(action, draws=draws)
    try:
        yield line
    finally:
        line.clear()
