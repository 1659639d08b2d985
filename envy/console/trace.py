"""Traces of a run: one JSON object a line in a file, or one human line on standard error.

Owns the trace file from its opening to the end of the process. Each line is written whole, in one
write, before the next event is delivered: a process that is killed leaves a file of whole lines.
"""

import io
import json
import time
from pathlib import Path
from typing import TextIO

from envy.console.text import safe_line, say
from envy.errors import UsageError
from envy.events import Stamped


def open_trace(path: Path, option: str) -> io.FileIO | None:
    """Open an empty file, replacing an existing one; callers store None once it is closed.

    Raises:
        UsageError: the file cannot be written.
    """
    try:
        return io.FileIO(path, "w")
    except OSError as error:
        raise UsageError(
            f"cannot write the trace to {path}: {error.strerror}",
            hint=f"{option} needs a path in an existing, writable folder",
        ) from error


class JsonTrace:
    """The listener behind `--trace=file:PATH`."""

    def __init__(self, path: Path, *, errors: TextIO) -> None:
        """Begin an empty file.

        Raises:
            UsageError: the file cannot be written.
        """
        self._path = path
        self._errors = errors
        self._file = open_trace(path, "--trace=file:PATH")

    def on_event(self, stamped: Stamped) -> None:
        """Append one line."""
        if self._file is None or not stamped.event.in_files:
            return
        line = memoryview((json.dumps(stamped.as_json()) + "\n").encode("ascii"))
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _give_up(self, error: OSError) -> None:
        # A full disk ends the trace, not the run that it watches.
        self.close()
        text = f"warning: the trace {self._path} ends here: {error.strerror}"
        say(self._errors, safe_line(text))


class TextTrace:
    """The listener behind `--trace` and `--trace=stderr`."""

    def __init__(self, errors: TextIO) -> None:
        self._errors = errors

    def on_event(self, stamped: Stamped) -> None:
        """Write one line."""
        if not stamped.event.in_files:
            return
        moment = time.strftime("%H:%M:%S", time.localtime(stamped.ts))
        milliseconds = int(stamped.ts * 1000) % 1000
        text = f"{moment}.{milliseconds:03d} {stamped.event.name}: {stamped.as_text()}"
        say(self._errors, safe_line(text))

    def close(self) -> None:
        """Do nothing: there is no resource to release."""
