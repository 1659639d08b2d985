"""Streams of answers that break off, or say nothing: what is waited for, and asked."""

import threading

import pytest

from envy.errors import Cancelled
from envy.sharing.actions import NotExecuted
from envy.sharing.remote.operation_stream import Breaks, followed


class CountedTime:
    """A clock that only pauses move."""

    def __init__(self):
        self.now = 0.0

    def pause(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return CountedTime()


def go_on():
    pass


def test_pauses_between_streams(clock):
    """The first stream is opened at once, the next ones after ever longer pauses, for a minute."""
    breaks = Breaks("the server", go_on, pause=clock.pause, now=lambda: clock.now)
    opened = []

    def open_streams():
        while True:
            breaks.before_stream()
            opened.append(round(clock.now, 3))

    with pytest.raises(NotExecuted, match="the server broke off before an action ended, and did n"):
        open_streams()
    assert opened[:6] == [0.0, 0.5, 1.5, 3.5, 7.5, 12.5]
    assert 60 <= clock.now < 70


def test_answers_between_breaks(clock):
    """A server that answers now and then is not given up, and one that lasted is asked soon."""
    breaks = Breaks("the server", go_on, pause=clock.pause, now=lambda: clock.now)
    for _ in range(100):
        breaks.before_stream()
        breaks.note_answer()
    assert clock.now > 300
    clock.now += 10
    before = clock.now
    breaks.before_stream()
    assert clock.now - before == pytest.approx(0.5)


def test_pauses_end_with_the_run(clock):
    """The run that ends while nothing is open ends the pause."""
    stops = []

    def check():
        if stops:
            raise Cancelled("stop")

    breaks = Breaks("the server", check, pause=clock.pause, now=lambda: clock.now)
    breaks.before_stream()
    stops.append(True)
    with pytest.raises(Cancelled):
        breaks.before_stream()
    assert clock.now == 0


def test_silent_streams():
    """After a silence the server is asked; what it answers is one answer more."""
    goes_on = threading.Event()

    def call():
        yield "begun"
        goes_on.wait()

    asked = iter([None, "still running", "done"])
    begun = []
    answers = followed(call(), go_on, lambda: next(asked) if begun else None, silence=0.0)
    begun.append(next(answers))
    assert [*begun, next(answers), next(answers)] == ["begun", "still running", "done"]
    goes_on.set()
