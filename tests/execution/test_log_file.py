"""The log of a phase keeps its head and its tail, and says how much is left out."""

import re

import pytest

from envy.execution.log_file import LogFile
from envy.limits import adopt_limits

LINES = [b"%08d and some more words\n" % number for number in range(20_000)]


@pytest.fixture(autouse=True)
def _small_logs():
    adopt_limits({"script-log": 8000})
    yield
    adopt_limits({})


def parts(path):
    """Return the head, the number of bytes that are left out, and the tail."""
    data = path.read_bytes()
    assert len(data) <= 8000
    found = re.fullmatch(
        rb"(.*\n)\[envy\] (\d+) bytes are left out here: the limit script-log is 8000 bytes\n(.*)",
        data,
        re.DOTALL,
    )
    assert found, data[3900:4300]
    return found[1], int(found[2]), found[3]


@pytest.mark.parametrize("at_once", [1, 7, 100, 1000])
def test_head_and_tail(tmp_path, at_once):
    """At every moment, head, the number of bytes and tail account for all that was written."""
    path = tmp_path / "attempt" / "build.log"
    log = LogFile(path)
    whole = b""
    for start in range(0, 3000, at_once):
        written = b"".join(LINES[start : start + at_once])
        whole += written
        log.write(written)
        if len(whole) <= 8000:
            assert path.read_bytes() == whole
            continue
        head, left_out, tail = parts(path)
        assert whole.startswith(head)
        assert len(head) > 4000 - len(LINES[0])
        assert whole.endswith(tail)
        assert tail
        assert len(head) + left_out + len(tail) == len(whole)
    log.close()


def test_a_log_that_is_opened_again(tmp_path):
    """What follows is appended to what an earlier run of the phase wrote."""
    path = tmp_path / "attempt" / "build.log"
    for part in (LINES[:100], LINES[100:3000]):
        log = LogFile(path)
        for line in part:
            log.write(line)
        log.close()
    head, _, tail = parts(path)
    assert head.startswith(LINES[0])
    assert tail.endswith(LINES[2999])
