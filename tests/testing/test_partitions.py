"""Parts of the tests for several machines, and files of durations."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envy.errors import UsageError
from envy.testing.events import StreamEvent
from envy.testing.known_times import KnownTimes, read_times, save_times
from envy.testing.package import TestPackage
from envy.testing.partitions import packed, parse_partition
from envy.testing.results import Recorder
from envy.testing.selection import Selector, parse_filter

PLACES = st.tuples(st.sampled_from(["p", "q/r"]), st.text(max_size=3))
TIMES = st.dictionaries(PLACES, st.floats(0, 1000), max_size=30)


@given(TIMES, st.sets(PLACES, max_size=20), st.integers(1, 6), st.randoms())
def test_each_test_is_in_one_part(seconds, others, parts, chance):
    """Parts are disjoint and complete, also for tests without a duration, in any order of rows."""
    rows = list(seconds.items())
    asked = []
    for part in range(1, parts + 1):
        chance.shuffle(rows)  # as another machine may read them
        asked.append(parse_partition(f"duration:{part}/{parts}", KnownTimes(dict(rows))))
    for place in seconds.keys() | others:
        assert sum(part.holds(*place) for part in asked) == 1


@given(TIMES, st.integers(1, 6))
def test_parts_differ_by_no_more_than_the_longest_test(seconds, parts):
    """Known durations are divided equally, within the longest of them."""
    found = packed(seconds, parts)
    assert found.keys() == seconds.keys()
    sums = [0] * (parts + 1)
    lengths = {place: max(1, round(length * 1000)) for place, length in seconds.items()}
    for place, part in found.items():
        sums[part] += lengths[place]
    assert max(sums[1:]) - min(sums[1:]) <= max(lengths.values(), default=0)


def test_what_a_machine_finds_does_not_move_other_tests():
    """A part follows from the file alone; a test that only one machine has moves no other."""
    seconds = {("p", f"Test{n}"): random.Random(n).random() for n in range(40)}
    parts = [parse_partition(f"duration:{n}/3", KnownTimes(seconds)) for n in (1, 2, 3)]
    before = [[part.holds(*place) for place in seconds] for part in parts]
    assert sum(part.holds("p", "TestOnlyHere") for part in parts) == 1
    assert before == [[part.holds(*place) for place in seconds] for part in parts]


def test_a_filter_decides_what_is_divided():
    """What a filter leaves out takes no place in a part."""
    seconds = {("p", "a"): 100.0, ("p", "b"): 3.0, ("p", "c"): 2.0, ("p", "d"): 1.0}
    part = parse_partition(
        "duration:1/2", KnownTimes(seconds), lambda package, test: package == "p" and test != "a"
    )
    assert {place[1] for place, number in part.assigned.items() if number == 1} == {"b"}


def test_a_forecast_counts_the_median_for_tests_without_a_duration():
    """The line says how much is known, and by which durations."""
    times = KnownTimes({("p", "a"): 2.0, ("p", "b"): 4.0, ("p", "c"): 9.0})
    parts = [parse_partition(f"duration:{n}/2", times) for n in (1, 2)]
    places = [*times.seconds, ("p", "new")]
    lines = sorted(part.forecast(places) for part in parts)
    assert all("of 19.0s" in line and times.digest in line for line in lines)
    assert sum("1 test is not among them" in line for line in lines) == 1
    assert parse_partition("hash:1/2").forecast(places) == ""


@pytest.mark.parametrize(
    "text",
    ["", "1/2", "hash:0/2", "hash:3/2", "hash:a/b", "duration:3/2", "slice:1/2", "hash:1/2 "],
)
def test_wrong_partitions_are_shown(text):
    """The number of a part must be between one and the number of parts."""
    with pytest.raises(UsageError, match="--partition"):
        parse_partition(text, KnownTimes() if text.startswith("duration") else None)


def test_durations_and_the_form_of_a_partition_belong_together():
    """Durations are needed by `duration`, and mean nothing for `hash`."""
    with pytest.raises(UsageError, match="needs --durations FILE"):
        parse_partition("duration:1/2")
    with pytest.raises(UsageError, match="no effect with hash"):
        parse_partition("hash:1/2", KnownTimes())


def package(*tests, **more):
    return TestPackage(name="p", directory=Path("p"), driver="x", tests=tests, **more)


def test_a_filter_of_packages_holds_before_the_build():
    """A package that a filter leaves out by its name is not built to see its tests."""
    unknown = package(is_provisional=True)
    assert Selector(filter=parse_filter("package(q)")).select(unknown) is None
    assert Selector(filter=parse_filter("!test(Slow*)")).select(unknown).names == ()


def recorded(**ended):
    recorder = Recorder()
    for test, (action, seconds) in ended.items():
        recorder.on_event(StreamEvent(action=action, package="p", test=test, elapsed=seconds))
    recorder.on_event(StreamEvent(action="pass", package="e2e", elapsed=7.5))
    return recorder


def test_durations_are_added_to_a_file(tmp_path):
    """A run replaces what it passed, keeps what it did not, and drops what is gone."""
    path = tmp_path / "times.json"
    none = {"present": {}, "unlisted": {"e2e"}, "is_all": False}
    save_times(path, recorded(a=("pass", 1.2345), b=("fail", 9), c=("skip", 0)), **none)
    assert read_times([path]).seconds == {("e2e", ""): 7.5, ("p", "a"): 1.234, ("p", "c"): 0.0}
    second = {"present": {"p": {"a", "b"}}, "unlisted": (), "is_all": True}
    save_times(path, recorded(b=("pass", 2), **{"b/sub": ("pass", 1)}), **second)
    assert read_times([path]).seconds == {("p", "a"): 1.234, ("p", "b"): 2.0}


def test_of_several_files_the_longest_duration_counts(tmp_path):
    """The order in which a shell names the files of the parts does not matter."""
    paths = [tmp_path / name for name in ("1.json", "2.json")]
    for path, seconds in zip(paths, (1, 5), strict=True):
        run = recorded(a=("pass", seconds), **{path.stem: ("pass", 1)})
        save_times(path, run, present={}, unlisted=(), is_all=False)
    both = read_times(paths)
    assert both == read_times(paths[::-1])
    assert both.seconds == {("p", "a"): 5.0, ("p", "1"): 1.0, ("p", "2"): 1.0}


@pytest.mark.parametrize(
    "text",
    ["", "[]", "7", "{}", '{"format": "envy-durations-1"}', '{"format": "envy-coverage-1"}'] + [
        json.dumps({"format": "envy-durations-1", "packages": packages})
        for packages in ([], {"p": []}, {"p": {"a": "1"}}, {"p": {"a": -1}}, {"p": {"a": True}},
                         {"p": {"a": 1e9}})
    ],
)  # fmt: skip
def test_files_without_durations_are_named(tmp_path, text):
    """Any other content is an error that names the file."""
    path = tmp_path / "times.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"times\.json has no durations that envy wrote"):
        read_times([path])
    with pytest.raises(UsageError, match=r"times\.json: No such file|from .*gone"):
        read_times([tmp_path / "gone"])
