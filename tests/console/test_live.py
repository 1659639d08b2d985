"""The live display: when it draws, and that nothing is lost when it cannot."""

import io
import queue
import subprocess
import sys
import textwrap

import pytest

from envy import events
from envy.console.display import StyledText, line_text
from envy.console.live import LiveConsole, RichScreen
from envy.phase import RecipePhase

STARTED = events.PhaseStart(recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD)
ENDED = events.PhaseComplete(recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD, duration_ms=1)
INSTALLED = events.RecipeComplete(
    recipe="a.b@r1", key="a.b@r1", outcome="installed", asset_path="/c"
)
WARNED = events.LogMessage(recipe="a.b@r1", level="warn", message="no digest")
PRINTED = events.StandardOutput(recipe="", message="result")


class RecordingScreen:
    """A screen that records what it is shown."""

    width = 80

    def __init__(self):
        self.shown = queue.Queue()
        self.closed = False

    def show(self, above, region):
        self.shown.put((list(map(line_text, above)), list(map(line_text, region))))

    def close(self):
        self.closed = True

    def above(self):
        """Return all permanent lines so far."""
        lines = []
        while not self.shown.empty():
            lines += self.shown.get()[0]
        return lines


class BrokenScreen(RecordingScreen):
    """The screen of a terminal that was closed."""

    def show(self, above, region):
        super().show(above, region)
        raise OSError("input/output error")


@pytest.fixture
def screens():
    """Return the queue of opened screens."""
    return queue.Queue()


@pytest.fixture
def make_console(screens, streams):
    def make(now=100.0, screen=RecordingScreen):
        def open_screen(_stream):
            opened = screen()
            screens.put(opened)
            return opened

        return LiveConsole(
            streams, open_screen=open_screen, clock=lambda: now, redraw_seconds=0.001
        )

    return make


@pytest.fixture
def drawn(screens):
    """Return a function that waits for the first drawing, and returns screen and drawing."""

    def wait():
        screen = screens.get(timeout=20)
        return screen, screen.shown.get(timeout=20)

    return wait


def test_work_is_drawn(make_console, drawn, stamp):
    """A recipe that has been at work for a while is in the picture."""
    console = make_console(now=12.0)
    console.on_event(stamp(STARTED, 0.0))
    _, (_, region) = drawn()
    console.close()
    assert region == ["1 at work · 0:12", "  a.b@r1  build          0:12  "]


def test_a_run_without_work_opens_no_screen(make_console, screens, stamp):
    """Phases that end at once are never drawn."""
    console = make_console(now=0.1)
    console.on_event(stamp(STARTED, 0.0))
    console.on_event(stamp(ENDED, 0.1))
    console.close()
    assert screens.empty()


def test_closing_removes_the_picture_and_keeps_the_lines(make_console, drawn, streams, stamp):
    """At the end only the permanent lines are left."""
    console = make_console()
    console.on_event(stamp(STARTED, 0.0))
    screen, _ = drawn()
    console.on_event(stamp(INSTALLED, 2.0))
    console.close()
    assert screen.above() + streams.errors.getvalue().splitlines() == ["installed a.b@r1 (2.0s)"]
    assert screen.closed


def test_steps_are_shown_in_the_picture_only(make_console, drawn, streams, stamp):
    """The start of an install is shown in the picture only, not as a line."""
    console = make_console()
    console.on_event(stamp(STARTED, 0.0))
    screen, (above, _) = drawn()
    console.close()
    assert (above, screen.above(), streams.errors.getvalue()) == ([], [], "")


def test_lines_without_a_screen_are_plain(make_console, screens, streams, stamp):
    """A warning in a run too short to draw is written as a plain line."""
    console = make_console()
    console.on_event(stamp(WARNED))
    console.close()
    assert streams.errors.getvalue() == "warning: a.b@r1: no digest\n"
    assert screens.empty()


def test_results_go_to_standard_output_past_the_screen(make_console, drawn, streams, stamp):
    """If standard output is not a terminal, results go there and not above the picture."""
    console = make_console()
    console.on_event(stamp(STARTED, 0.0))
    screen, _ = drawn()
    console.on_event(stamp(PRINTED))
    console.close()
    assert (streams.output.getvalue(), screen.above()) == ("result\n", [])


def test_nothing_is_drawn_while_suspended(make_console, drawn, screens, stamp):
    """The picture is removed while the terminal is used otherwise, and redrawn afterwards."""
    console = make_console()
    console.on_event(stamp(STARTED, 0.0))
    first, _ = drawn()
    with console.suspended():
        assert first.closed
        assert screens.empty()
    second, _ = drawn()
    console.close()
    assert second is not first


def test_a_failing_terminal_ends_the_drawing_only(make_console, drawn, screens, streams, stamp):
    """An error of the terminal ends the picture; the run continues and lines are still written."""
    console = make_console(screen=BrokenScreen)
    console.on_event(stamp(STARTED, 0.0))
    drawn()
    console.on_event(stamp(WARNED))
    console.close()
    assert streams.errors.getvalue() == "warning: a.b@r1: no digest\n"
    assert screens.empty()


def test_rich_draws_a_region_and_removes_it():
    """On a terminal, lines stay above a region that is removed at the end."""
    terminal = TerminalStream()
    screen = RichScreen(terminal)
    screen.show(
        [(StyledText("kept"),)], [(StyledText("1 at work", "name"),), (StyledText("[x] a.b@r1"),)]
    )
    screen.close()
    text = terminal.getvalue()
    assert text.index("kept") < text.index("1 at work")
    assert "[x] a.b@r1" in text
    assert "\x1b[2K" in text  # the region is erased
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # the cursor is shown again


class TerminalStream(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


def test_rich_is_imported_only_to_draw():
    """A run in which everything is cached never imports rich."""
    program = """
        import io, sys
        from envy.console.live import LiveConsole
        from envy.console.text import Streams
        from envy.events import RecipeComplete, Stamped
        console = LiveConsole(Streams(io.StringIO(), io.StringIO()))
        console.on_event(Stamped(1, 0.0, RecipeComplete(
            recipe="a.b@r1", key="a.b@r1", outcome="cached", asset_path="/c")))
        console.close()
        print("rich" in sys.modules)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
