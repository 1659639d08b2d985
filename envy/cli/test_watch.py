"""`envy test --watch`: run, wait until a file changes, and run again, until the user interrupts."""

from __future__ import annotations

import sys
from collections.abc import Callable

from envy.cli.exit_codes import CANCELLED
from envy.cli.test_setup import RunContext
from envy.console.text import safe_lines, write_line
from envy.errors import Cancelled, EnvyError
from envy.testing.session_result import SessionResult
from envy.testing.watching import Watcher


class _CancellableWait:
    """The wait between two runs, which a signal can cancel."""

    def __init__(self, watcher: Watcher) -> None:
        self.cancelled = False
        self._watcher = watcher

    def cancel(self, reason: Cancelled) -> None:
        """End the wait."""
        del reason
        self.cancelled = True
        self._watcher.stop()

    def describe_waits(self) -> list[str]:
        """Return no lines: no program is running."""
        return []


def watch(context: RunContext, run_once: Callable[[RunContext], SessionResult]) -> int:
    """Run whenever a file changes; return when the user interrupts."""
    watcher = Watcher(context.directory)
    try:
        while True:
            try:
                if run_once(context).cancelled:
                    return CANCELLED
            except EnvyError as error:
                if isinstance(error, Cancelled):
                    return CANCELLED
                for line in safe_lines(f"error: {error}"):
                    write_line(sys.stderr, line)
            waiting = _CancellableWait(watcher)
            context.control.attend(waiting)
            write_line(sys.stderr, "waiting for a change; press Ctrl-C to exit")
            if waiting.cancelled or not watcher.wait():
                return CANCELLED
    finally:
        watcher.close()
