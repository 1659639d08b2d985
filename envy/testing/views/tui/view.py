"""The view of a session that passes everything to the application's queue."""

from __future__ import annotations

from collections import deque

from envy.testing.events import StreamEvent
from envy.testing.session import SessionResult
from envy.testing.views.plain import summary_line
from envy.testing.views.tui.app import Message
from envy.testing.views.tui.model import RunModel


class QueueView:
    """Appends to a deque and does nothing else, since the session's threads call it."""

    def __init__(self, messages: deque[Message]) -> None:
        self._messages = messages

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Pass on the progress of a phase."""
        self._messages.append(lambda model: model.on_phase(phase, done, total))

    def on_event(self, event: StreamEvent) -> None:
        """Pass on one event."""
        self._messages.append(lambda model: model.on_event(event))

    def on_end(self, result: SessionResult) -> None:
        """Pass on the summary line of the run."""
        summary, seconds = summary_line(result), result.seconds
        self._messages.append(lambda model: model.on_end(summary, seconds))


def start_run(messages: deque[Message], *, everything: bool) -> None:
    """Tell the model that a run starts; `everything` clears the results of earlier runs."""
    messages.append(RunModel.clear if everything else RunModel.begin)
