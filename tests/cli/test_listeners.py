"""The listeners of a run."""

import io

import pytest

from envy.cli.listeners import make_listeners, suspended
from envy.cli.settings import Settings
from envy.console.colours import has_colours
from envy.console.drawing import can_draw
from envy.console.live import LiveConsole
from envy.console.plain import PlainConsole
from envy.console.text import Streams
from envy.console.timeline import Timeline
from envy.console.trace import JsonTrace, TextTrace
from envy.events import LogMessage, Stamped


@pytest.fixture
def streams():
    return Streams(io.StringIO(), io.StringIO())


@pytest.mark.parametrize(
    ("settings", "is_terminal", "expected"),
    [
        (Settings(), True, [LiveConsole]),
        (Settings(verbose=True), True, [LiveConsole]),
        (Settings(), False, [PlainConsole]),
        (Settings(progress=False), True, [PlainConsole]),
        (Settings(quiet=True), True, [PlainConsole]),
        (Settings(trace_stderr=True), True, [PlainConsole, TextTrace]),
    ],
)
def test_the_live_display_needs_a_terminal_and_progress(settings, is_terminal, expected, streams):
    """The live display needs a terminal of its own; otherwise plain lines are printed."""
    listeners = make_listeners(settings, is_terminal=is_terminal, streams=streams)
    assert [type(listener) for listener in listeners] == expected


def test_a_trace_file_is_one_more_listener(tmp_path, streams):
    """A trace file does not change the display."""
    settings = Settings(trace_file=tmp_path / "trace")
    listeners = make_listeners(settings, is_terminal=True, streams=streams)
    assert [type(listener) for listener in listeners] == [LiveConsole, JsonTrace]
    listeners[1].close()


def test_a_timeline_is_one_more_listener_beside_a_trace_file(tmp_path, streams):
    """Several sinks receive the same events."""
    settings = Settings(trace_file=tmp_path / "trace", trace_timeline=tmp_path / "timeline")
    _console, *traces = make_listeners(settings, is_terminal=False, streams=streams)
    assert [type(listener) for listener in traces] == [JsonTrace, Timeline]
    for trace in traces:
        trace.close()


def test_suspension_reaches_the_console(streams):
    """The console prints nothing during a question."""
    listeners = make_listeners(Settings(), is_terminal=False, streams=streams)
    with suspended(listeners):
        event = LogMessage(recipe="", level="info", message="later")
        listeners[0].on_event(Stamped(1, 0.0, event))
        assert streams.errors.getvalue() == ""
    assert streams.errors.getvalue() == "later\n"


class Terminal(io.StringIO):
    """A stream with a given encoding that may be a terminal."""

    def __init__(self, *, encoding="utf-8", terminal=True):
        super().__init__()
        self._encoding = encoding
        self._terminal = terminal

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self._terminal


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(encoding="ascii"), {"TERM": "xterm"}, False),
        (Terminal(terminal=False), {"TERM": "xterm"}, False),
        (Terminal(), {"CI": "true"}, False),
        (Terminal(), {"CI": "false"}, True),
        (Terminal(), {"CI": ""}, True),
    ],
)
def test_only_a_capable_terminal_is_drawn_on(stream, environment, expected):
    """A pipe, a dumb terminal and a terminal without UTF-8 get plain lines."""
    assert can_draw(stream, environment) is expected


@pytest.mark.parametrize(
    ("stream", "environment", "expected"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"FORCE_COLOR": "0"}, False),
        (Terminal(terminal=False), {}, False),
        (Terminal(terminal=False), {"FORCE_COLOR": "1"}, True),
        (Terminal(terminal=False), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_variables_decide_about_colours(stream, environment, expected):
    """NO_COLOR wins over FORCE_COLOR, which wins over what the stream is."""
    assert has_colours(stream, environment) is expected
