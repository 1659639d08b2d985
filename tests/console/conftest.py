"""Fixtures for the console tests: stamped events and readable streams."""

import io
import itertools

import pytest

from envy.console.text import Streams
from envy.events import Stamped


@pytest.fixture
def stamp():
    """Stamp events, one second apart unless a time is given."""
    count = itertools.count(1)

    def stamped(event, ts=None):
        seq = next(count)
        return Stamped(seq, float(seq) if ts is None else ts, event)

    return stamped


@pytest.fixture
def streams():
    return Streams(io.StringIO(), io.StringIO())
