"""Work without its waits."""

from envy.console.work_time import WorkTimes


def test_only_work_counts():
    """Waits between phases and inside of them do not count; an ended phase says how long it was."""
    times = WorkTimes()
    assert times.begin_phase("a", 10.0) == 10.0
    times.end_phase("a", 2.0)
    assert times.begin_phase("a", 60.0) == 58.0
    times.pause("a", 61.0)
    times.pause("a", 70.0)
    assert times.resume("a", 80.0) == 77.0
    assert "a" in times
    assert times.end("a", 81.0) == 4.0
    assert "a" not in times


def test_what_never_began_has_no_time():
    """Pauses and ends of other recipes are no work."""
    times = WorkTimes()
    times.pause("b", 1.0)
    times.end_phase("b", 1.0)
    assert times.end("b", 2.0) is None
