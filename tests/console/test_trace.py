"""Traces: JSON lines in a file, human lines on standard error."""

import json

import pytest

from envy import events
from envy.console.trace import JsonTrace, TextTrace
from envy.errors import UsageError
from envy.phase import RecipePhase

STARTED = events.PhaseStart(recipe="a.b@r1", key="a.b@r1", phase=RecipePhase.BUILD)
PROGRESS = events.DownloadProgress(recipe="a.b@r1", url="u", bytes=1, total=2)


def test_each_event_is_one_line_of_json(tmp_path, streams, stamp):
    """A line contains the event's name, order, time and fields."""
    path = tmp_path / "trace.jsonl"
    trace = JsonTrace(path, errors=streams.errors)
    trace.on_event(stamp(STARTED, 0.25))
    trace.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {
            "ts": "1970-01-01T00:00:00.250Z",
            "seq": 1,
            "event": "phase_start",
            "recipe": "a.b@r1",
            "key": "a.b@r1",
            "phase": "build",
            "phase_num": 4,
        }
    ]


def test_a_line_is_in_the_file_before_the_next_event(tmp_path, streams, stamp):
    """A killed process leaves the line of every event that was delivered."""
    path = tmp_path / "trace.jsonl"
    trace = JsonTrace(path, errors=streams.errors)
    trace.on_event(stamp(STARTED))
    assert path.read_bytes().endswith(b"}\n")
    trace.close()


def test_too_frequent_events_are_not_in_files(tmp_path, streams, stamp):
    """Progress events of downloads are too many, so they are left out."""
    path = tmp_path / "trace.jsonl"
    trace = JsonTrace(path, errors=streams.errors)
    trace.on_event(stamp(PROGRESS))
    trace.close()
    assert path.read_text() == ""


def test_bytes_that_are_not_text_do_not_break_a_trace(tmp_path, streams, stamp):
    """A name that is not UTF-8 is kept, and the line stays valid JSON."""
    path = tmp_path / "trace.jsonl"
    trace = JsonTrace(path, errors=streams.errors)
    trace.on_event(stamp(events.LogMessage(recipe="a.b@r1", level="info", message="\udcff\n\x1b")))
    trace.close()
    assert json.loads(path.read_text())["message"] == "\udcff\n\x1b"


def test_a_trace_that_cannot_be_written_is_an_error_at_once(tmp_path, streams):
    """A wrong path is an error before any work is done."""
    with pytest.raises(UsageError, match=r"cannot write the trace to .*No such file"):
        JsonTrace(tmp_path / "absent" / "trace.jsonl", errors=streams.errors)


@pytest.mark.skipif("not __import__('os').path.exists('/dev/full')")
def test_a_full_disk_ends_the_trace_and_not_the_run(streams, stamp):
    """A full disk causes one warning, and the run continues."""
    from pathlib import Path

    trace = JsonTrace(Path("/dev/full"), errors=streams.errors)
    trace.on_event(stamp(STARTED))
    trace.on_event(stamp(STARTED))
    trace.close()
    assert (
        streams.errors.getvalue()
    ) == "warning: the trace /dev/full ends here: No space left on device\n"


def test_the_human_trace_has_one_safe_line_per_event(streams, stamp):
    """On standard error each event is one safe line with its time and name."""
    trace = TextTrace(streams.errors)
    trace.on_event(stamp(events.LogMessage(recipe="a.b@r1", level="info", message="x\n\x1b[2J")))
    trace.on_event(stamp(PROGRESS))
    trace.close()
    line = streams.errors.getvalue()
    assert line.partition(" ")[2] == "log_message: a.b@r1: info: x\\n\\x1b[2J\n"
