"""The control thread of a command: handles signals, and reports phases without output.

Signal handlers only let Python write a byte to a pipe (`set_wakeup_fd`); this thread reads it and
acts. KeyboardInterrupt is never raised, because it could strike anywhere, even inside the
bookkeeping of a lock.

Guarantees
  The first SIGINT, SIGTERM or SIGHUP cancels: nothing more starts, and children are terminated.
  If the command has not ended two seconds later (because of a C call inside Lua, say), or at the
  second signal, the process exits: process groups killed, events flushed, exit code 130.
  A run that --fail-fast has stopped, and that is still inside of Lua two seconds later, exits in
  the same way; its failures are printed, and the exit code is 1.
  This thread never blocks on a terminal or a pipe that accepts no more output.
  SIGUSR1 prints which recipes wait for what, and so does the first SIGINT of a verbose run.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from envy import events as ev
from envy.cli.exit_codes import CANCELLED, FAILURE
from envy.console.text import say
from envy.errors import Cancelled
from envy.events import EventBus
from envy.host.children import Children, RunningChild
from envy.masking import masked
from envy.phase import RecipePhase

PATIENCE = 2.0  # seconds between a cancellation and the exit
FAREWELL = 0.25  # seconds for each last output
SILENCE = 60.0  # seconds after which a phase without output is reported
_WAKE = b"\xff"  # no signal has this number
_PHASES = {phase.label: phase for phase in RecipePhase}


class Cancellable(Protocol):
    """The target of a cancelling signal: an engine, or a session of tests."""

    def cancel(self, reason: Cancelled) -> None:
        """Start nothing more, and terminate running children."""

    def describe_waits(self) -> list[str]:
        """Return a line for everything that works or waits; may be called from any thread."""


class Control:
    """Watches one command."""

    def __init__(
        self,
        bus: EventBus,
        children: Children,
        *,
        verbose: bool = False,
        asking: Callable[[], bool] = lambda: False,
        patience: float = PATIENCE,
    ) -> None:
        self._bus = bus
        self._children = children
        self._verbose = verbose
        self._asking = asking
        self._patience = patience
        self._engine: Cancellable | None = None
        self._reported: dict[int, float] = {}
        self._leave_at: float | None = None
        self._wakes: int | None = None  # the writing end of the pipe that wakes the thread
        self._is_stuck: Callable[[], bool] = lambda: False
        self._last_words: Callable[[], None] = lambda: None
        self.cancelled = False

    def attend(
        self,
        engine: Cancellable,
        *,
        is_stuck: Callable[[], bool] = lambda: False,
        last_words: Callable[[], None] = lambda: None,
    ) -> None:
        """Make signals cancel this engine from now on.

        `is_stuck` says whether something runs that cannot be stopped; `last_words` then prints why
        the run failed, and may not wait.
        """
        self._engine, self._is_stuck, self._last_words = engine, is_stuck, last_words
        if self.cancelled:
            engine.cancel(Cancelled("cancelled"))

    def expect_end(self) -> None:
        """Make the process exit two seconds from now, or later, if the run is stuck then."""
        if self._leave_at is None:
            self._leave_at = time.monotonic() + PATIENCE
            if self._wakes is not None:
                with contextlib.suppress(OSError):
                    os.write(self._wakes, _WAKE)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Handle signals inside the block; the previous handlers are restored afterwards."""
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        handlers = {number: signal.signal(number, lambda *_: None) for number in _handled_signals()}
        wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        # A thread per command, not per recipe: it only ever waits.
        thread = threading.Thread(target=self._watch, args=(reading,), daemon=True)
        thread.start()
        self._wakes = writing
        try:
            yield
        finally:
            self._wakes = None
            signal.set_wakeup_fd(wakeup)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            with contextlib.suppress(BlockingIOError):  # full of signals, which wake it as well
                os.write(writing, b"\0")
            thread.join()
            os.close(writing)
            os.close(reading)

    def _watch(self, reading: int) -> None:
        while True:
            ready, _, _ = select.select([reading], [], [], self._next_deadline())
            for number in os.read(reading, 64) if ready else b"":
                if number == 0:
                    return
                if number != _WAKE[0]:
                    self._on_signal(number)
            if self._leave_at is not None and time.monotonic() >= self._leave_at:
                if self.cancelled or self._is_stuck():
                    self._leave()
                self._leave_at = time.monotonic() + PATIENCE
            self._report_silence()

    def _on_signal(self, number: int) -> None:
        if number == getattr(signal, "SIGUSR1", None):
            self._report_waits()
        elif not self.cancelled:
            self.cancelled = True
            self._leave_at = time.monotonic() + self._patience
            # Children get time to end, and a second signal must be handled during that time.
            threading.Thread(target=self._cancel, daemon=True).start()
        else:
            self._leave()

    def _cancel(self) -> None:
        if self._verbose:
            self._report_waits()
        if self._engine is not None:
            self._engine.cancel(Cancelled("cancelled"))
        else:
            self._children.terminate_all()
        if self._asking():
            # The thread that waits for an answer cannot be woken.
            self._leave()

    def _leave(self) -> None:
        self._children.terminate_all(grace=0)
        _briefly(_remove_scratch)
        _briefly(self._bus.close)
        if self.cancelled:
            _briefly(lambda: say(sys.stderr, "\ncancelled" if self._asking() else "cancelled"))
            os._exit(CANCELLED)
        _briefly(self._last_words)
        os._exit(FAILURE)

    def _report_waits(self) -> None:
        rows = self._engine.describe_waits() if self._engine else []
        for row in rows or ["no recipe is at work"]:
            self._bus.log("report", row)

    def _next_deadline(self) -> float:
        now = time.monotonic()
        deadlines = [
            self._silent_since(child) + SILENCE
            for child in self._children.running()
            if ": " in child.label
        ]
        if self._leave_at is not None:
            deadlines.append(self._leave_at)
        return max(0.0, min(deadlines, default=now + SILENCE) - now)

    def _silent_since(self, child: RunningChild) -> float:
        return max(child.last_output, self._reported.get(child.pid, 0.0))

    def _report_silence(self) -> None:
        now = time.monotonic()
        for child in self._children.running():
            # A child without a phase in its label is a test, which has its own time limit.
            if now - self._silent_since(child) < SILENCE or ": " not in child.label:
                continue
            self._reported[child.pid] = now
            recipe, _, phase = child.label.rpartition(": ")
            self._bus.emit(
                ev.PhaseSilent(
                    recipe=recipe or child.label,
                    phase=_PHASES.get(phase, RecipePhase.NONE),
                    pid=child.pid,
                    command=masked(child.command)[:100],
                    seconds=round(now - child.last_output),
                )
            )


def _briefly(action: Callable[[], None]) -> None:
    """Run an action that may fail or block, on a stopped terminal for instance; wait briefly."""

    def attempt() -> None:
        with contextlib.suppress(Exception):
            action()

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(FAREWELL)


def _remove_scratch() -> None:
    from envy.content.scratch import remove_scratch

    remove_scratch()


def _handled_signals() -> list[signal.Signals]:
    names = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
    known = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # The parent process may make envy ignore some, as nohup does, and shells in the background.
    return [number for number in known if signal.getsignal(number) is not signal.SIG_IGN]
