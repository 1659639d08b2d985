"""Which tests run: patterns, filters, partitions, durations."""

import pytest

from envy.errors import UsageError
from envy.testing.durations import go_duration, parse_duration
from envy.testing.ordering import Ordering
from envy.testing.patterns import check_pattern, exactly, select_top_level, split_alternatives
from envy.testing.selection import in_partition, parse_filter, parse_partition

NAMES = ("TestA", "TestB", "TestAB", "ExampleA")


@pytest.mark.parametrize(
    ("run", "skip", "left"),
    [
        ("", "", NAMES),
        ("A$", "", ("TestA", "ExampleA")),
        ("^TestA$/sub", "", ("TestA",)),
        ("TestB|Example", "", ("TestB", "ExampleA")),
        ("", "Test", ("ExampleA",)),
        ("", "TestA/sub", NAMES),
        ("Test(A|B)$", "", ("TestA", "TestB")),
        (r"^TestA\z", "", ("TestA",)),
    ],
)
def test_run_and_skip_leave(run, skip, left):
    """The first part of each alternative is matched against top-level tests."""
    assert select_top_level(NAMES, run=run, skip=skip) == left


def test_what_only_go_can_judge_is_left_to_it():
    """A Unicode class is no expression of Python's."""
    assert select_top_level(NAMES, run=r"\pL", skip="") is None


def test_alternatives_are_divided_outside_of_brackets():
    """| and / inside parentheses or brackets belong to the part."""
    assert split_alternatives("A/b|C(d|e/f)/[|/]") == [["A", "b"], ["C(d|e/f)", "[|/]"]]


def test_the_rest_of_a_pattern_is_kept_for_what_is_left():
    """Running what is left keeps the levels below that the user asked for."""
    assert exactly(["TestA", "TestB"], run="TestA/x|TestB/y") == "^(TestA)$/x|^(TestB)$/y"
    assert exactly(["TestA"], run="") == "^(TestA)$"


@pytest.mark.parametrize("pattern", ["(", "a[", "(?=x)", "*", r"(a)\1"])
def test_a_wrong_pattern_is_a_mistake_of_usage(pattern):
    """What Go would refuse is refused before anything is built."""
    with pytest.raises(UsageError, match="--run"):
        check_pattern(pattern, option="--run")


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("test(TestA)", True),
        ("package(m/*) & test(Test*)", True),
        ("!test(TestA)", False),
        ("test(X) | package(m/p)", True),
        ("not (test(X) or test(TestA))", False),
        ("test(X) | test(TestA) & package(x)", False),
        ("all()", True),
    ],
)
def test_filters(text, taken):
    """`!` binds more strongly than `&`, that than `|`."""
    assert parse_filter(text)("m/p", "TestA") is taken


@pytest.mark.parametrize("text", ["", "test(", "test(A) &", "(test(A)", "wat", "test(A) test(B)"])
def test_wrong_filters_are_shown(text):
    """What cannot be read is named."""
    with pytest.raises(UsageError, match="--filter"):
        parse_filter(text)


def test_each_test_is_in_one_part():
    """Parts are disjoint and complete."""
    for number in range(50):
        name = f"Test{number}"
        assert sum(in_partition("p", name, (part, 4)) for part in range(1, 5)) == 1


@pytest.mark.parametrize("text", ["", "1/2", "hash:0/2", "hash:3/2", "hash:a/b"])
def test_wrong_partitions_are_shown(text):
    """A part has a number from one to the number of parts."""
    with pytest.raises(UsageError, match="--partition"):
        parse_partition(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30s", 30), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), (".5s", 0.5)],
)
def test_durations_are_gos(text, seconds):
    """As time.ParseDuration reads them."""
    assert parse_duration(text, option="--timeout") == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "10", "-1s", "1x", "s"])
def test_wrong_durations_are_shown(text):
    """A number without a unit is not a valid duration."""
    with pytest.raises(UsageError, match="--timeout"):
        parse_duration(text, option="--timeout")


@pytest.mark.parametrize(
    ("seconds", "text"), [(2, "2s"), (90, "1m30s"), (0.25, "250ms"), (3600, "1h0m0s")]
)
def test_durations_are_written_as_go_does(seconds, text):
    """And read back."""
    assert go_duration(seconds) == text


def test_later_packages_wait_for_their_turn():
    """The first streams; what others say is held until it is done."""
    heard = []
    ordering = Ordering(3, heard.append)
    ordering.emit(1, "b1")
    ordering.emit(0, "a1")
    ordering.finish(1)
    ordering.emit(2, "c1")
    ordering.emit(0, "a2")
    ordering.finish(0)
    ordering.emit(2, "c2")
    assert heard == ["a1", "a2", "b1", "c1", "c2"]


def test_an_ended_session_hands_on_what_it_held():
    """A cancelled run shows what its later packages had said."""
    heard = []
    ordering = Ordering(2, heard.append)
    ordering.emit(1, "b1")
    ordering.finish_all()
    assert heard == ["b1"]
