"""Work without its waits."""

from envy.console.work_time import WorkTimes


def test_only_the_time_between_begin_and_pause_counts():
    """Pauses do not count; what never began has no time."""
    times = WorkTimes()
    assert times.begin("a", 10.0) == 10.0
    times.pause("a", 12.0)
    times.pause("a", 50.0)
    assert times.begin("a", 60.0) == 58.0
    assert "a" in times
    assert times.end("a", 61.0) == 3.0
    assert "a" not in times
    assert times.end("b", 1.0) is None
