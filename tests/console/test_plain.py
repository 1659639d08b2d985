"""The console that writes plain lines."""

import io
import threading
import time

from envy import events
from envy.console.narration import LASTING_SECONDS
from envy.console.plain import PlainConsole
from envy.console.text import Streams
from envy.console.verbosity import Verbosity
from envy.phase import RecipePhase

STARTED = events.PhaseStart(recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD)
CACHED = events.RecipeComplete(recipe="c.d@r1", key="c.d@r1", outcome="cached", asset_path="/c")
INSTALLED = events.RecipeComplete(
    recipe="a.b@r1", key="a.b@r1", outcome="installed", asset_path="/a"
)
WARNED = events.LogMessage(recipe="a.b@r1", level="warn", message="no digest")
PRINTED = events.StandardOutput(recipe="", message="result")


def feed(console, stamp, *happened):
    for event in happened:
        console.on_event(stamp(event))


def test_by_default_results_and_warnings_are_shown(streams, stamp):
    """Without --verbose, starts and cached packages are not reported."""
    # Stamps begin at 1: with a real clock, all of this work would have lasted for years.
    console = PlainConsole(streams, clock=lambda: 0.0)
    feed(console, stamp, STARTED, CACHED, WARNED, INSTALLED)
    lines = streams.errors.getvalue().splitlines()
    assert lines[0] == "warning: a.b@r1: no digest"
    assert lines[1].startswith("installed a.b@r1 (")
    assert len(lines) == 2


def test_long_work_is_reported_while_it_runs(stamp):
    """Work that lasts is reported while it runs, without another event."""
    said = threading.Event()

    class Errors(io.StringIO):
        def flush(self):
            said.set()

    streams = Streams(io.StringIO(), Errors())
    console = PlainConsole(streams, clock=lambda: time.time() + LASTING_SECONDS)
    feed(console, stamp, STARTED)
    assert said.wait(300)
    console.close()
    assert streams.errors.getvalue() == "installing a.b@r1\n"


def test_verbose_shows_cached_packages(streams, stamp):
    """With --verbose every remark is a line."""
    feed(PlainConsole(streams, verbosity=Verbosity.VERBOSE), stamp, CACHED)
    assert streams.errors.getvalue() == "cached c.d@r1 at /c\n"


def test_quiet_shows_only_warnings_and_failures(streams, stamp):
    """With --quiet, only warnings and failures are printed."""
    feed(PlainConsole(streams, verbosity=Verbosity.QUIET), stamp, STARTED, CACHED, WARNED)
    assert streams.errors.getvalue() == "warning: a.b@r1: no digest\n"


def test_results_go_to_standard_output_alone(streams, stamp):
    """The output of a recipe can be piped, without any remark about the run."""
    feed(PlainConsole(streams, verbosity=Verbosity.QUIET), stamp, STARTED, PRINTED)
    assert (streams.output.getvalue(), streams.errors.getvalue()) == ("result\n", "")


def test_nothing_is_written_while_suspended(streams, stamp):
    """A question or an interactive program has the terminal to itself; no line is lost."""
    console = PlainConsole(streams)
    with console.suspended():
        feed(console, stamp, WARNED)
        assert streams.errors.getvalue() == ""
    assert streams.errors.getvalue() == "warning: a.b@r1: no digest\n"


def test_a_closed_stream_does_not_end_the_run(stamp):
    """A closed terminal or pipe does not fail the run."""
    gone = io.StringIO()
    gone.close()
    feed(PlainConsole(Streams(io.StringIO(), gone)), stamp, WARNED)
