"""The line that shows how far one command is."""

import pytest

from envy.console.text import cell_width
from envy.console.transfer_line import RateMeter, transfer_line

MIB = 1 << 20


def line(width, **details):
    facts = {"done": 45 * MIB, "total": 225 * MIB, "rate": 12 * MIB, **details}
    return transfer_line("fetching", "tool-1.0-linux.tar.gz", width=width, **facts)


def test_a_line_has_amount_rate_and_time():
    """The name is cut first; then the last facts are left out."""
    assert line(80) == "fetching tool-1.0-linux.tar.gz  45.0 of 225 MiB  12 MiB/s  ~0:15"
    assert line(60) == "fetching tool-1.0-linux.…  45.0 of 225 MiB  12 MiB/s  ~0:15"
    assert line(46) == "fetching  45.0 of 225 MiB  12 MiB/s  ~0:15"
    assert line(40) == "fetching  45.0 of 225 MiB  12 MiB/s"
    assert line(80, total=0) == "fetching tool-1.0-linux.tar.gz  45.0 MiB  12 MiB/s"
    assert line(80, done=0, rate=0.0, total=0) == "fetching tool-1.0-linux.tar.gz"
    assert line(80, total=0, rate=0, more="3 files") == (
        "fetching tool-1.0-linux.tar.gz  45.0 MiB  3 files"
    )


@pytest.mark.parametrize("width", range(1, 100))
def test_a_line_fits(width):
    """One cell stays free, so that no terminal begins another line."""
    assert cell_width(line(width)) <= max(width - 1, 1)


def test_the_rate_is_that_of_the_last_seconds():
    """It is 0 until half a second is known, and begins again with something else."""
    meter = RateMeter()
    assert meter.rate(0, 0.0) == 0.0
    assert meter.rate(100, 0.4) == 0.0
    assert meter.rate(100, 1.0) == 100.0
    assert [meter.rate(100 + 10 * n, 1.0 + n) for n in range(1, 20)][-1] == 10.0
    assert meter.rate(5, 30.0) == 0.0
