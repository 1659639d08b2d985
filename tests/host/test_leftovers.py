"""What a program leaves running is found by its mark, and ended."""

import os
import subprocess
import sys

import pytest

from envy.host.leftovers import PREFIX, ending_leftovers
from envy.host.process_table import is_alive

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


def daemon(mark):
    """Start a process in a session of its own; return it when it runs."""
    process = subprocess.Popen(
        ["sh", "-c", "echo begun; exec sleep 600"],
        env={**os.environ, **mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout.readline() == b"begun\n"
    return process


def test_only_what_was_started_with_the_mark_is_ended():
    """Two programs at a time have different marks, and one inside another has both."""
    with ending_leftovers() as outer:
        with ending_leftovers() as inner:
            both, other = daemon({**outer, **inner}), daemon(outer)
        assert both.wait(timeout=300) == -9
        assert is_alive(other.pid)
    assert other.wait(timeout=300) == -9


def test_an_error_ends_them_too():
    """Whatever ends the program."""
    started = []

    def fail():
        with ending_leftovers() as mark:
            started.append(daemon(mark))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    [left] = started
    assert left.wait(timeout=300) == -9


def test_the_mark_is_one_variable():
    """It is recognisable as envy's."""
    with ending_leftovers() as mark:
        [(name, value)] = mark.items()
    assert (name.startswith(PREFIX), value) == (True, "1")
