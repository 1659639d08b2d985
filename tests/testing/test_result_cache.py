"""Kept results of packages: complete passes come back, anything else is a miss and a warning."""

import json
import os
import random
from pathlib import Path

import pytest
from blake3 import blake3

from envy.testing.consulted import Unkept
from envy.testing.events import StreamEvent
from envy.testing.evidence import FILE, observe
from envy.testing.records import Damaged, result_path, settle_time, write_sections
from envy.testing.result_cache import Recording, ResultCache, read_result

KEY = "0" * 32
EVENTS = [
    StreamEvent(action="start", package="m/p", time=1.0),
    StreamEvent(action="output", package="m/p", test="TestA", output="é \\ud800 } {\n", time=2.0),
    StreamEvent(action="pass", package="m/p", elapsed=0.5, time=3.0),
]


@pytest.fixture
def warnings():
    return []


@pytest.fixture
def cache(tmp_path, warnings):
    return ResultCache(str(tmp_path), settle=0, warn=warnings.append)


def test_a_kept_result_comes_back_until_something_changes(cache, tmp_path, warnings):
    """The events are those of the pass, marked; a changed file is named."""
    (tmp_path / "file").write_text("one")
    fact = observe(FILE, str(tmp_path / "file"), {}, since=cache.settled + 10**12)
    cache.keep(KEY, [fact], EVENTS)
    kept, why = cache.find(KEY, {})
    assert why == ""
    assert [(e.action, e.output, e.elapsed, e.cached) for e in kept.replayed()] == [
        (e.action, e.output, e.elapsed, True) for e in EVENTS
    ]
    assert kept.ran_tests
    (tmp_path / "file").write_text("two")
    assert cache.find(KEY, {}) == (None, f"{tmp_path}/file changed")
    assert cache.find("1" * 32, {}) == (None, "")
    assert cache.rewritten().find(KEY, {})[0] is None
    assert warnings == []


HOSTILE = [
    ["1", "", ""],
    ["1", "", "[]"],
    ["1", "", "null"],
    ["1", "", '{"Action": 3}'],
    ["1", "", '{"Action":"output","Output":"\\ud800"}'],
    ["1", "", '{"Action":"output","Output":"\udc80"}'],
    ["1", "", "[" * 100_000],
    ["1", "file", '{"Action":"start"}'],
    ["1", "file\t1 2 3 4\tv", '{"Action":"start"}'],
    ["1", "file\tx x x x\tv\ts", '{"Action":"start"}'],
    ["1", "", '{"Action":"start"}', "more"],
]


@pytest.mark.parametrize("sections", HOSTILE, ids=lambda sections: sections[-1][:30])
def test_hostile_content_with_a_valid_digest_is_damaged(tmp_path, cache, warnings, sections):
    """Whatever a file says, it is used whole or not at all."""
    path = result_path(str(tmp_path), KEY)
    write_sections(path, sections)
    with pytest.raises(Damaged):
        read_result(path)
    assert cache.find(KEY, {}) == (None, "its result is damaged")
    assert cache.find(KEY, {})[0] is None
    assert len(warnings) == 1


def test_changed_bytes_are_never_used(tmp_path):
    """Every change of a byte, every cut and every strange file is noticed."""
    path = result_path(str(tmp_path), KEY)
    write_sections(path, ["1", "", json.dumps({"Action": "start"})])
    file = Path(path)
    data = file.read_bytes()
    choose = random.Random(3)
    for _ in range(200):
        at = choose.randrange(len(data))
        other = bytes([data[at] ^ (1 << choose.randrange(8))])
        damaged = data[:at] + choose.choice([other + data[at + 1 :], b"", other + data[at:]])
        file.write_bytes(damaged)
        with pytest.raises(Damaged):
            read_result(path)
    file.unlink()
    os.mkfifo(path)
    with pytest.raises(Damaged):
        read_result(path)
    body = b"2\0\0"  # another format, as a later envy may write
    file.unlink()
    file.write_bytes(blake3(body).hexdigest().encode() + body)
    assert read_result(path) is None


def test_output_beyond_the_limit_is_not_kept():
    """The events of too much output are passed on and forgotten."""
    seen = []
    recording = Recording(seen.append)
    for _ in range(70):
        recording.take(StreamEvent(action="output", output="x" * (1 << 20)))
    assert len(seen) == 70
    with pytest.raises(Unkept, match="exceeds 64 MiB, the limit test-result"):
        assert recording.events


def test_the_settling_time_is_a_number_of_seconds():
    """Any other text means two seconds."""
    texts = {"": 2, "0": 0, "0.5": 0.5, "x": 2, "-1": 2, "inf": 2, "nan": 2, "1e9": 2}
    for text, seconds in texts.items():
        assert settle_time({"ENVY_TEST_SETTLE": text}) == int(seconds * 1e9)
