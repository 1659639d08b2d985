"""How often work on many files is reported."""

from small_graphs import Recording, graph_of, key_of

from envy.events import EventBus, FilesProgress
from envy.execution.files_meter import files_meter

RECIPE = graph_of({"a": []}).recipes[key_of("a")]


class Deaf(Recording):
    """A listener that wants no events about files."""

    heard = frozenset()


def test_many_files_are_few_events():
    """A thousand files in a second are about ten events, however the files come."""
    listener, ticks = Recording(), iter(range(10_000))
    bus = EventBus([listener])
    report = files_meter(RECIPE, bus, "hashing", clock=lambda: next(ticks) / 1000)
    for number in range(1000):
        report(number + 1, 1000)
    told = listener.of(FilesProgress)
    assert len(told) in range(9, 12)
    assert {(event.key, event.action, event.total) for event in told} == {
        (key_of("a").canonical, "hashing", 1000)
    }


def test_nothing_is_counted_for_listeners_that_do_not_show_it():
    """Without a display, a loop over files has nothing to call."""
    assert files_meter(RECIPE, EventBus([Deaf()]), "hashing") is None
