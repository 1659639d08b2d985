"""Plain lines for a log, a pipe or a terminal that cannot redraw.

Owns its two streams during a run; rewrites nothing, and colours lines only where they are wanted.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TextIO

from envy.console.narration import Narrator, Remark, remark_lines
from envy.console.styled import painted
from envy.console.text import Streams, say
from envy.console.verbosity import Importance, Verbosity
from envy.events import LockBlocked, PhaseStart, Stamped

_BEGINNINGS = frozenset({PhaseStart, LockBlocked})


class PlainConsole:
    """The listener that writes lines.

    Guarantees
      A line is written whole, in the order of events.
      Work that lasts is reported while it runs, by a thread that sleeps until then.
      While suspended, nothing is written; the lines of that time follow afterwards.
      A closed stream (a broken pipe) ends the lines, never the run.
    """

    detailed = False  # slots, threads and locks are not shown

    def __init__(
        self,
        streams: Streams,
        *,
        verbosity: Verbosity = Verbosity.NORMAL,
        colours: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.explaining = verbosity is Verbosity.VERBOSE
        self._streams = streams
        self._verbosity = verbosity
        self._colours = colours
        self._clock = clock
        self._narrator = Narrator(Importance(verbosity))
        self.heard = self._narrator.heard
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._suspended = False
        self._closed = False
        self._pending: list[Remark] = []
        self._thread: threading.Thread | None = None
        self._sleeps_until_notified = False  # the thread waits for a notification

    def on_event(self, stamped: Stamped) -> None:
        """Write the remarks that the event causes."""
        with self._lock:
            remarks = self._narrator.remarks_for(stamped)
            if remarks:
                self._take(remarks)
            if type(stamped.event) in _BEGINNINGS and self._narrator.awaits:
                self._watch()

    def close(self) -> None:
        """Write the lines that a suspension still holds back."""
        with self._changed:
            self._closed = True
            self._changed.notify()
            self._write_pending()

    @contextlib.contextmanager
    def suspended(self) -> Iterator[None]:
        """Leave the terminal to a question or an interactive program."""
        with self._changed:
            self._suspended = True
        try:
            yield
        finally:
            with self._changed:
                self._suspended = False
                self._write_pending()

    def _take(self, remarks: list[Remark]) -> None:
        self._pending += [remark for remark in remarks if remark.importance >= self._verbosity]
        if self._pending and not self._suspended:
            self._write_pending()

    def _watch(self) -> None:
        """Report work that has just begun once it lasts; with --verbose its line is already out."""
        if self._verbosity is not Verbosity.NORMAL:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_lasting, daemon=True)
            self._thread.start()
        elif self._sleeps_until_notified:
            # Otherwise the thread wakes for earlier work, and checks then.
            self._changed.notify()

    def _write_lasting(self) -> None:
        with self._changed:
            while not self._closed:
                due = self._narrator.next_due()
                patience = None if due is None else due - self._clock()
                if patience is None or patience > 0:
                    self._sleeps_until_notified = patience is None
                    self._changed.wait(patience)
                else:
                    self._take(self._narrator.lasting(self._clock()))

    def _write_pending(self) -> None:
        pending, self._pending = self._pending, []
        for remark in pending:
            write_remark(self._streams, remark, colours=self._colours)


def write_remark(
    streams: Streams, remark: Remark, *, signs: bool = False, colours: bool = False
) -> None:
    """Write one remark to its stream, a result as it is; a closed stream is ignored."""
    to_output = remark.importance is Importance.RESULT
    text = remark.text
    if not to_output and (signs or (colours and _has_signs(streams.errors))):
        text = "\n".join(painted(line, colours=colours) for line in remark_lines(remark))
    say(streams.output if to_output else streams.errors, text)


def _has_signs(stream: TextIO) -> bool:
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
