"""Fixtures for the console's tests: events with a time, streams that can be read."""

import io
import itertools

import pytest

from envy.console.text import Streams
from envy.events import Stamped


@pytest.fixture
def stamp():
    """Stamps events, one second after another unless told when."""
    count = itertools.count(1)

    def stamped(event, ts=None):
        seq = next(count)
        return Stamped(seq, float(seq) if ts is None else ts, event)

    return stamped


@pytest.fixture
def streams():
    return Streams(io.StringIO(), io.StringIO())
