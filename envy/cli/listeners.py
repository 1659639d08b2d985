"""The listeners of a run: chooses consoles and traces from the settings and the terminal."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from envy.cli.settings import Settings
from envy.console.colours import has_colours
from envy.console.text import Streams
from envy.console.verbosity import Verbosity
from envy.events import EventBus, Listener, Stamped


@runtime_checkable
class Console(Protocol):
    """A listener that writes to the terminal, and can leave it to others for a while."""

    def suspended(self) -> contextlib.AbstractContextManager[None]:
        """Neither draw nor write inside the block."""


def make_listeners(settings: Settings, *, is_terminal: bool, streams: Streams) -> list[Listener]:
    """Return the listeners for these settings, the console first.

    Raises:
        UsageError: the trace file cannot be written.
    """
    # Trace lines go to the same terminal as the live display, and --quiet excludes both.
    draws = is_terminal and settings.progress and not settings.quiet and not settings.trace_stderr
    colours = has_colours(streams.errors, settings.environment)
    console = _live_console if draws else _plain_console
    listeners = [console(streams, verbosity=settings.verbosity, colours=colours)]
    if settings.trace_stderr:
        from envy.console.trace import TextTrace

        listeners.append(TextTrace(streams.errors))
    if settings.trace_file:
        from envy.console.trace import JsonTrace

        listeners.append(JsonTrace(settings.trace_file, errors=streams.errors))
    if settings.trace_timeline:
        from envy.console.timeline import Timeline

        listeners.append(Timeline(settings.trace_timeline, errors=streams.errors))
    return listeners


def _live_console(streams: Streams, *, verbosity: Verbosity, colours: bool) -> Listener:
    from envy.console.live import LiveConsole

    return LiveConsole(streams, verbosity=verbosity, colours=colours)


def _plain_console(streams: Streams, *, verbosity: Verbosity, colours: bool) -> Listener:
    from envy.console.plain import PlainConsole

    return PlainConsole(streams, verbosity=verbosity, colours=colours)


class Relay:
    """Forwards the events of one bus to another, which stamps them again and stays open."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.detailed = bus.detailed

    def on_event(self, stamped: Stamped) -> None:
        """Forward the event."""
        self._bus.emit(stamped.event)

    def close(self) -> None:
        """Do nothing: the owner of the other bus closes it."""


@contextlib.contextmanager
def suspended(listeners: Sequence[Listener]) -> Iterator[None]:
    """Stop the consoles from drawing during a question or an interactive program."""
    with contextlib.ExitStack() as stack:
        for listener in listeners:
            if isinstance(listener, Console):
                stack.enter_context(listener.suspended())
        yield
