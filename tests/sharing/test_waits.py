"""How long a run waits for one server in all."""

import threading

import pytest

from envy.sharing.waits import Waits
from envy.transport.context import NoAnswer

MIB = 1 << 20
SHOWN = "grpc://h:1"


class Clock:
    """A clock that a test moves on."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def waits(clock):
    return Waits(SHOWN, clock)


def never():
    """End nothing: the test looks at what `check` says."""


def cost(waits, clock):
    """Return after how many more seconds of silence the server is given up."""
    wait = waits.begin(never)
    began = clock.now
    for _ in range(1000):
        try:
            waits.check()
        except NoAnswer:
            return clock.now - began
        clock.now += 0.25
    waits.done(wait)
    return None


def test_silence_costs_once_however_many_wait(waits, clock):
    """Waits at the same time cost what one does, and each is ended when the server is given up."""
    ended = []
    for number in range(9):
        waits.begin(lambda number=number: ended.append(number))
        clock.now += 0.25
    assert cost(waits, clock) == 5.5 - 9 * 0.25
    assert sorted(ended) == list(range(9))
    with pytest.raises(NoAnswer, match="took 5 s in all, and brought too little"):
        waits.begin(never)


def test_one_that_may_not_be_silent(waits, clock):
    """A wait with a limit of its own ends the others, too."""
    ended = []
    waits.begin(lambda: ended.append("other"))
    waits.begin(never, silence=4.0)
    clock.now += 3.5
    waits.check()
    clock.now += 0.5
    with pytest.raises(NoAnswer, match="nothing came for 4 s"):
        waits.check()
    assert ended == ["other"]
    assert waits.give_up(NoAnswer("later", uri=SHOWN)) is waits.gone


def test_slow_servers_are_not_given_up(waits, clock):
    """Two gigabytes at 3 MB a second, or a thousand answers that each take half a second."""
    for _ in range(1000):
        wait = waits.begin(never)
        clock.now += 0.5
        waits.done(wait, answers=True)
    for _ in range(2000 // 3):
        wait = waits.begin(never, silence=4.0)
        clock.now += 1.0
        waits.done(wait, size=3_000_000)
    assert cost(waits, clock) == 5


@pytest.mark.parametrize("paid", [{"size": 1000}, {"size": MIB // 2}, {}])
def test_drips_are(waits, clock, paid):
    """A part now and then, or failures that take their time, do not keep a server in use."""

    def drip():
        for _ in range(30):
            wait = waits.begin(never, silence=4.0)
            clock.now += 1.0
            waits.done(wait, **paid)

    with pytest.raises(NoAnswer, match="brought too little"):
        drip()
    assert 105 <= clock.now <= 113


def test_what_was_sent_pays(waits, clock):
    """Bytes pay for the time before them, and never for the time after; between waits is none."""
    wait = waits.begin(never)
    clock.now += 4.5
    waits.note(3 * MIB)
    waits.done(wait)
    clock.now += 3600.0
    assert cost(waits, clock) == 4
    other = Waits(SHOWN, clock)
    other.note(1000 * MIB)
    assert cost(other, clock) == 5.5


def test_late_answers_cost_once(waits, clock):
    """Answers that come late at the same time cost what one does, and pay for nothing."""
    for _ in range(2):
        together = [waits.begin(never) for _ in range(100)]
        clock.now += 2.5
        for wait in together:
            waits.done(wait, answers=True)
    assert cost(waits, clock) == 1.5


def test_patience(waits, clock):
    """Who wants just this waits longer."""
    waits.patience = 60.0
    assert cost(waits, clock) == 75.5


def test_a_wait_is_ended_by_another_thread():
    """Nobody has to look: what waits is ended when it is due, and so is what waits beside it."""
    waits = Waits(SHOWN)
    waits.patience = 0.01
    ended = threading.Semaphore(0)
    waits.begin(ended.release)
    waits.begin(ended.release, silence=0.01)
    for _ in range(2):
        assert ended.acquire(timeout=300)
    with pytest.raises(NoAnswer, match=f"{SHOWN} did not answer in time"):
        waits.check()
