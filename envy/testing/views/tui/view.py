"""A view of a session that hands everything to the application's queue."""

from __future__ import annotations

from collections import deque

from envy.testing.events import StreamEvent
from envy.testing.session import SessionResult
from envy.testing.views.plain import summary_line
from envy.testing.views.tui.app import Message
from envy.testing.views.tui.model import RunModel


class QueueView:
    """Called by the session's threads; appending to a deque is all it does."""

    def __init__(self, messages: deque[Message]) -> None:
        self._messages = messages

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Hand it on."""
        self._messages.append(lambda model: model.on_phase(phase, done, total))

    def on_event(self, event: StreamEvent) -> None:
        """Hand it on."""
        self._messages.append(lambda model: model.on_event(event))

    def on_end(self, result: SessionResult) -> None:
        """Hand it on, as a line."""
        summary, seconds = summary_line(result), result.seconds
        self._messages.append(lambda model: model.on_end(summary, seconds))


def clearing(messages: deque[Message], *, everything: bool) -> None:
    """A run begins."""
    messages.append(RunModel.clear if everything else RunModel.begin)
