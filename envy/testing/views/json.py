"""The events of a run, one JSON object per line, for Go's tools and `--load`."""

from __future__ import annotations

from typing import TextIO

from envy.testing.events import StreamEvent, as_json
from envy.testing.session_result import SessionResult


class JsonView:
    """Writes each event at once, so that the reader of a pipe can follow the run."""

    def __init__(self, stream: TextIO, *, closes: bool) -> None:
        self._stream = stream
        self._closes = closes

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Ignore phases: test2json has no event for them."""

    def on_event(self, event: StreamEvent) -> None:
        """Write one line."""
        self._stream.write(as_json(event) + "\n")
        if event.action != "output":
            self._stream.flush()

    def on_end(self, result: SessionResult) -> None:
        """Flush the stream, and close it if it is a file."""
        del result
        self._stream.flush()
        if self._closes:
            self._stream.close()
