"""One line for each thing a user wants to see, for a log, a pipe or a plain terminal.

Owns its two streams while a run lasts; writes no escape codes and rewrites nothing.
"""

import contextlib
import threading
from collections.abc import Iterator

from envy.console.narration import Narrator, Remark
from envy.console.text import Streams, write_line
from envy.console.verbosity import Importance, Verbosity
from envy.events import Stamped


class PlainConsole:
    """The listener that writes lines.

    Guarantees
      A line is written whole, in the order of events.
      While suspended nothing is written; what was said meanwhile follows afterwards.
      A stream that is gone (a closed pipe) ends the lines, never the run.
    """

    def __init__(self, streams: Streams, *, verbosity: Verbosity = Verbosity.NORMAL) -> None:
        self._streams = streams
        self._verbosity = verbosity
        self._narrator = Narrator()
        self._lock = threading.Lock()
        self._suspended = False
        self._held: list[Remark] = []

    def on_event(self, stamped: Stamped) -> None:
        """Write what the event is worth."""
        remarks = [
            remark
            for remark in self._narrator.tell(stamped)
            if remark.importance >= self._verbosity
        ]
        if not remarks:
            return
        with self._lock:
            self._held.extend(remarks)
            if not self._suspended:
                self._write_held()

    def close(self) -> None:
        """Write what a suspension still holds."""
        with self._lock:
            self._write_held()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Leave the terminal to somebody else, such as a question or an interactive program."""
        with self._lock:
            self._suspended = True
        try:
            yield
        finally:
            with self._lock:
                self._suspended = False
                self._write_held()

    def _write_held(self) -> None:
        held, self._held = self._held, []
        for remark in held:
            write_remark(self._streams, remark)


def write_remark(streams: Streams, remark: Remark) -> None:
    """Write one remark to the stream it is for; a stream that is gone takes nothing."""
    to_output = remark.importance is Importance.RESULT
    with contextlib.suppress(OSError, ValueError):  # ValueError: the stream was closed
        write_line(streams.output if to_output else streams.errors, remark.text)
