"""Handling of a terminal that is closed while the view runs.

A closed window sends SIGHUP, but only to the session that the terminal controls, and a broken `ssh`
connection may send nothing; the process then keeps a descriptor with no terminal behind it.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TextIO

from textual.driver import Driver


def watch_terminal() -> Callable[[], bool]:
    """Return a function that returns, without blocking, whether the terminal has hung up."""
    stdin = sys.__stdin__
    if stdin is None or not hasattr(select, "poll"):
        return lambda: False
    try:
        descriptor = stdin.fileno()
    except (OSError, ValueError):
        return lambda: False
    if not os.isatty(descriptor):
        return lambda: False
    closed = select.POLLHUP | select.POLLERR | select.POLLNVAL
    poller = select.poll()
    poller.register(descriptor, 0)  # poll always reports these three
    return lambda: any(events & closed for _, events in poller.poll(0))


def run_editor(words: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run an editor on the terminal until it ends; return what went wrong, or ""."""
    # Ctrl-C is for the editor. A handler, unlike SIG_IGN, is not inherited.
    before = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        code = subprocess.run(list(words), env=dict(environment), check=False).returncode
    except (OSError, ValueError) as error:
        return f"cannot run {words[0]}: {getattr(error, 'strerror', None) or error}"
    finally:
        signal.signal(signal.SIGINT, before)
    return f"{words[0]} ended with code {code}" if code else ""


class LossyOutput:
    """A text stream that drops text that cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text, or drop it."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush the stream if it can be written."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def lossy_driver(driver_class: type[Driver]) -> type[Driver]:
    """Return a Textual driver that writes through LossyOutput.

    Textual's writer thread dies of a failed write, and the application then blocks for ever when
    the thread's queue is full: a closed terminal would leave the process behind.
    """

    class LossyDriver(driver_class):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            stream: TextIO | None = getattr(self, "_file", None)
            if stream is not None:  # only drivers that draw on a terminal have it
                self._file = LossyOutput(stream)

    return LossyDriver
