"""The view of a session that passes everything to the application's queue."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from envy.events.bus import Stamped
from envy.events.tests import TestBuildComplete, TestBuildStart
from envy.testing.events import StreamEvent
from envy.testing.package import PlannedPackage
from envy.testing.session_result import SessionResult
from envy.testing.views.tui.controller import Message
from envy.testing.views.tui.model import RunEnd


class QueueView:
    """Appends to a deque and does nothing else, since the session's threads call it."""

    def __init__(self, messages: deque[Message]) -> None:
        self._messages = messages

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Pass on the progress of a phase."""
        self._messages.append(lambda model: model.on_phase(phase, done, total))

    def on_plan(self, plan: Sequence[PlannedPackage]) -> None:
        """Pass on what is going to run."""
        self._messages.append(lambda model: model.on_plan(plan))

    def on_event(self, event: StreamEvent) -> None:
        """Pass on one event."""
        self._messages.append(lambda model: model.on_event(event))

    def on_end(self, result: SessionResult) -> None:
        """Pass on how the run ended."""
        end = RunEnd(
            seconds=result.seconds,
            stopped=result.cancelled,
            reason=result.stopped,
            too_little=result.too_little,
        )
        self._messages.append(lambda model: model.on_end(end))


class BuildListener:
    """Passes on which packages the compiler works on."""

    heard = frozenset({TestBuildStart, TestBuildComplete})
    detailed = explaining = False

    def __init__(self, messages: deque[Message]) -> None:
        self._messages = messages

    def on_event(self, stamped: Stamped) -> None:
        """Pass on the start or the end of a build."""
        event = stamped.event
        if isinstance(event, TestBuildStart | TestBuildComplete):
            names = event.packages.split(" ")
            starts = isinstance(event, TestBuildStart)
            self._messages.append(lambda model: model.on_build(names, starts=starts))

    def close(self) -> None:
        """Do nothing: the queue stays."""


def start_run(messages: deque[Message], *, everything: bool) -> None:
    """Tell the model that a run starts; `everything` clears the results of earlier runs."""
    messages.append(lambda model: model.begin(everything=everything))
