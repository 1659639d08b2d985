"""Saved runs, counts, and the record of the last run."""

import pytest

from envy.testing.events import DamagedRun, StreamEvent, as_json, parse_event
from envy.testing.results import LastRun, Recorder, read_run


def event(action, test="", package="p", **more):
    return StreamEvent(action=action, package=package, test=test, **more)


def recorded(*events):
    recorder = Recorder()
    for each in events:
        recorder.on_event(each)
    return recorder


def test_an_event_is_read_as_it_was_written():
    """Every field survives a round trip through JSON."""
    texts = {
        name: name
        for name in (
            *("action", "package", "test", "output", "output_type", "import_path"),
            *("failed_build", "key", "value", "path", "driver", "reason", "signal"),
        )
    }
    before = StreamEvent(**texts, time=1.7e9, elapsed=0.0, cached=True, attempt=2)
    assert parse_event(as_json(before), where="here") == before


@pytest.mark.parametrize(
    "line",
    ["", "{", "[]", "{}", '{"Action":1}', '{"Action":"run","Test":3}',
     '{"Action":"run","Time":"x"}',
     '{"Action":"pass","Elapsed":"1"}', '{"Action":"pass","Attempt":true}'],
)  # fmt: skip
def test_a_damaged_line_is_named(line):
    """The error has the line's position and what is wrong with it."""
    with pytest.raises(DamagedRun, match="file:7"):
        parse_event(line, where="file:7")


def test_gos_own_times_are_read():
    """Times with nanoseconds and time zones are parsed."""
    row = '{"Time":"2026-11-22T11:34:11.187139334+01:00","Action":"start","Package":"p"}'
    assert parse_event(row, where="").time == pytest.approx(1795343651.187139)


def test_a_retry_replaces_a_failure_and_a_repetition_does_not():
    """With -count, one failure counts; a retry that passes makes the test flaky."""
    repeated = recorded(event("fail", "T"), event("pass", "T"))
    assert repeated.counts().failed == 1
    retried = recorded(event("fail", "T"), event("pass", "T", attempt=2))
    assert (retried.counts().failed, retried.counts().flaky) == (0, 1)


def test_a_run_updates_the_record_of_its_tests_only(tmp_path):
    """A run of some tests does not change the record of the others."""
    last = LastRun(tmp_path / "last", tmp_path)
    assert last.failed() is None
    last.save(recorded(event("fail", "A"), event("fail", "B"), event("fail")))
    last.save(recorded(event("pass", "A"), event("pass")))
    assert last.failed() == {"p": ("B",)}
    last.save(recorded(event("pass", "B"), event("pass")))
    assert last.failed() == {}


def test_tests_and_packages_that_are_gone_are_forgotten(tmp_path):
    """A failure is kept until its test has passed, or is not there any more."""
    last = LastRun(tmp_path / "last", tmp_path)
    last.save(recorded(event("fail", "A"), event("fail", "B"), event("fail")))
    passed = recorded(event("pass", "C"), event("pass"))
    last.save(passed, present={"p": None, "q": None})
    assert last.failed() == {"p": ("A", "B")}
    last.save(passed, present={"p": {"B", "C"}})
    assert last.failed() == {"p": ("B",)}
    last.save(recorded(), present={"q": None})
    assert last.failed() == {"p": ("B",)}
    last.save(recorded(), present={"q": None}, is_all=True)
    assert last.failed() == {}


def test_a_damaged_record_is_ignored(tmp_path):
    """A record that cannot be read is treated as missing."""
    last = LastRun(tmp_path, tmp_path)
    last.path.write_text("{")
    assert last.failed() is None


def test_slowest_are_top_level_and_in_order():
    """Only top-level tests are listed, the slowest first."""
    recorder = recorded(
        event("pass", "A", elapsed=1.0),
        event("pass", "B", elapsed=2.0),
        event("pass", "B/x", elapsed=2.0),
    )
    assert recorder.slowest(5) == [(2.0, "p", "B"), (1.0, "p", "A")]


def test_a_missing_file_is_named(tmp_path):
    """Loading a file that does not exist is an error."""
    with pytest.raises(DamagedRun, match="cannot read"):
        list(read_run(tmp_path / "none.json"))
