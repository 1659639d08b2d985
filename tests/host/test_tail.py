"""How long a group is listened to after its child has ended."""

import time

from envy.host.tail import Tail

NONE = 1 << 40  # the number of no group, so that nothing is at work in it
LONG = 600.0


def test_output_prolongs_it():
    """An idle group is listened to on while there is output from one look to the next."""
    tail = Tail(NONE, LONG)
    first = tail.begin()
    second = tail.go_on(time.monotonic())
    assert second is not None
    assert second >= first
    assert tail.go_on(time.monotonic()) is not None
    assert tail.go_on(0.0) is None


def test_its_end():
    """However much a group writes, its time ends."""
    tail = Tail(NONE, 0.0)
    tail.begin()
    assert tail.go_on(time.monotonic()) is None
