"""The events as they are, one JSON object a line: what Go's tools and `--load` read."""

from __future__ import annotations

from typing import TextIO

from envy.testing.events import StreamEvent, as_json
from envy.testing.session import SessionResult


class JsonView:
    """Writes each event at once, so that a pipe shows a run as it goes."""

    def __init__(self, stream: TextIO, *, closes: bool) -> None:
        self._stream = stream
        self._closes = closes

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Phases are no events of test2json."""

    def on_event(self, event: StreamEvent) -> None:
        """One line."""
        self._stream.write(as_json(event) + "\n")
        if event.action != "output":
            self._stream.flush()

    def on_end(self, result: SessionResult) -> None:
        """Let go of the file."""
        del result
        self._stream.flush()
        if self._closes:
            self._stream.close()
