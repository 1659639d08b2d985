"""Failed requests are repeated with growing waits, which end when the run does."""

from dataclasses import replace

import pytest

from envy.errors import Cancelled
from envy.transport.retries import LONGEST_WAIT, Retries, seconds_of


def test_waits_grow(recorder):
    """Each wait is twice as long as the one before, until no attempt is left."""
    retries = Retries(replace(recorder.context(retries=4), backoff=0.25))
    assert [retries.wait() for _ in range(5)] == [True] * 4 + [False]
    assert recorder.pauses == [0.25, 0.5, 1.0, 2.0]


def test_waits_differ(recorder):
    """Chance shortens a wait, to half at most, so that many clients do not come back at once."""
    chances = iter([0.0, 0.5, 1.0])
    context = replace(recorder.context(retries=4), backoff=1.0, jitter=lambda: next(chances))
    retries = Retries(context)
    assert [retries.wait() for _ in range(3)] == [True] * 3
    assert recorder.pauses == [1.0, 1.5, 2.0]


def test_server_names_the_wait(recorder):
    """The wait that a server requests is used, up to a limit."""
    retries = Retries(recorder.context())
    retries.wait(2.0)
    retries.wait(1e9)
    assert recorder.pauses == [2.0, LONGEST_WAIT]


def test_wait_of_a_cancelled_run(recorder):
    """A run that is cancelled while it waits makes no further attempt."""
    retries = Retries(recorder.context(cancelled=lambda: bool(recorder.pauses)))
    with pytest.raises(Cancelled):
        retries.wait(10.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("Thu, 01 Jan 1970 00:01:10 GMT", 10.0),
        ("Thu, 01 Jan 1970 00:00:10 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("1.5", None),
        ("²", None),
    ],
)
def test_forms_of_retry_after(text, expected):
    """Retry-After is a number of seconds or a date; anything else is ignored."""
    assert seconds_of(text, now=lambda: 60.0) == expected
