"""The live display: when it draws, and that nothing is lost when it cannot."""

import io
import queue
import subprocess
import sys
import textwrap

import pytest

from envy import events
from envy.console.live import LiveConsole
from envy.console.screen import TerminalScreen, frame
from envy.console.styled import StyledText, line_text
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

    size = (80, 24)

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
        def open_screen(_stream, *, colours):
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
        screen = screens.get(timeout=300)
        return screen, screen.shown.get(timeout=300)

    return wait


def test_work_is_drawn(make_console, drawn, stamp):
    """A recipe that has been at work for a while is in the picture."""
    console = make_console(now=12.0)
    console.on_event(stamp(STARTED, 0.0))
    _, (_, region) = drawn()
    console.close()
    assert region == ["reading recipes · 0:12", "  0:12 build a.b@r1"]


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
    lines = screen.above() + streams.errors.getvalue().splitlines()
    assert lines == ["✓ installed a.b@r1 (2.0s)"]
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


class TerminalStream(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


def test_a_region_is_replaced_below_lines_that_stay():
    """Lines stay above a region that is removed at the end, with the cursor shown again."""
    terminal = TerminalStream()
    screen = TerminalScreen(terminal, colours=False)
    screen.show([(StyledText("kept"),)], [(StyledText("1/2", "name"),), (StyledText("[x] a"),)])
    screen.show([], [(StyledText("2/2"),)])
    screen.close()
    assert terminal.getvalue() == (
        "\x1b[?25l"
        "\rkept\x1b[K\n1/2\x1b[K\n[x] a\x1b[K\n\x1b[J"
        "\r\x1b[2A2/2\x1b[K\n\x1b[J"
        "\r\x1b[1A\x1b[J"
        "\x1b[?25h"
    )


@pytest.mark.parametrize(("width", "up"), [(80, 2), (10, 2), (9, 4), (5, 4), (1, 20)])
def test_a_narrower_terminal_has_broken_the_lines_of_the_region(width, up):
    """The cursor goes up by the rows that the old region takes at the present width."""
    drawn = [(StyledText("0123456789"),), (StyledText("01234"), StyledText("56789", "bar"))]
    assert frame(drawn, [], [], width=width, colours=False).startswith(f"\r\x1b[{up}A")


def test_colours_end_with_their_text():
    """A colour is reset where its text ends; without colours there is no such sequence."""
    line = (StyledText("✗ ", "failure"), StyledText("no"))
    assert frame([], [line], [], width=80, colours=True).startswith("\r\x1b[31m✗ \x1b[0mno\x1b[K")
    assert "m" not in frame([], [line], [], width=80, colours=False)


def test_no_library_is_imported_to_draw():
    """The display needs neither rich nor another library, whose import would take long."""
    program = """
        import io, sys
        from envy.console.live import LiveConsole
        from envy.console.text import Streams
        from envy.events import PhaseStart, Stamped
        from envy.phase import RecipePhase
        console = LiveConsole(Streams(io.StringIO(), io.StringIO()), clock=lambda: 9.0)
        console.on_event(Stamped(1, 0.0, PhaseStart(
            recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD)))
        console.close()
        print("rich" in sys.modules)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    assert run.stdout == "False\n"
