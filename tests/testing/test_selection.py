"""Selecting tests: patterns, filters, partitions; and durations."""

from pathlib import Path

import pytest

from envy.errors import UsageError
from envy.testing.durations import go_duration, parse_duration
from envy.testing.ordering import Ordering
from envy.testing.package import Selection, TestPackage
from envy.testing.partitions import Partition
from envy.testing.patterns import (
    check_pattern,
    exactly,
    select_top_level,
    selected_tests,
    split_alternatives,
    subtests_of,
)
from envy.testing.selection import Selector, parse_filter

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


OTHERS = ("a%2Ftest_x.py::test_p[a%2Fb]", "a%2Ftest_x.py::test_q", "n.js::outer", "n.js::other")


@pytest.mark.parametrize(
    ("run", "skip", "left"),
    [
        ("a/test_x", "", OTHERS[:2]),
        ("^a/test_x.py::test_p", "", OTHERS[:1]),
        (r"test_p\[a/b\]$|n.js", "", (OTHERS[0], *OTHERS[2:])),
        ("a%2Ftest", "", OTHERS[:2]),
        ("outer/inner", "", OTHERS[2:3]),
        ("", "a/test_x", OTHERS[2:]),
        ("", "outer/inner", OTHERS),
        ("", "other|a/", OTHERS[2:3]),
    ],
)
def test_a_slash_may_be_one_of_the_name(run, skip, left):
    """If no name matches a pattern with its slashes, they divide levels, as with Go."""
    assert selected_tests(OTHERS, Selection(run=run, skip=skip)) == left


def test_patterns_of_subtests_belong_to_the_tests_they_match():
    """A test that another alternative means as a whole has no pattern for its subtests."""
    assert subtests_of(OTHERS, "n.js/x|outer/y/z|a/test_x/k") == {
        OTHERS[2]: [["x"], ["y", "z"]], OTHERS[3]: [["x"]],
        OTHERS[0]: [["test_x", "k"]], OTHERS[1]: [["test_x", "k"]],
    }  # fmt: skip
    assert subtests_of(OTHERS, "outer/x|outer") == {}
    assert subtests_of(OTHERS, "a/test_x") == {}
    with pytest.raises(UsageError, match="only Go can evaluate"):
        selected_tests(OTHERS, Selection(run=r"\pL"))


def test_patterns_that_only_go_can_evaluate_are_left_to_go():
    """Python has no Unicode classes, so such a pattern has no result."""
    assert select_top_level(NAMES, run=r"\pL", skip="") is None


def test_alternatives_are_divided_outside_of_brackets():
    """| and / inside parentheses or brackets do not divide a pattern."""
    assert split_alternatives("A/b|C(d|e/f)/[|/]") == [["A", "b"], ["C(d|e/f)", "[|/]"]]


def test_lower_levels_of_a_pattern_are_kept():
    """A pattern for the remaining tests keeps the lower levels of the user's pattern."""
    assert exactly(["TestA", "TestB"], run="TestA/x|TestB/y") == "^(TestA)$/x|^(TestB)$/y"
    assert exactly(["TestA"], run="") == "^(TestA)$"


@pytest.mark.parametrize("pattern", ["(", "a[", "(?=x)", "*", r"(a)\1"])
def test_a_wrong_pattern_is_a_usage_error(pattern):
    """A pattern that Go would reject is rejected before anything is built."""
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
    """`!` binds more tightly than `&`, and `&` than `|`."""
    assert parse_filter(text)("m/p", "TestA") is taken


@pytest.mark.parametrize("text", ["", "test(", "test(A) &", "(test(A)", "wat", "test(A) test(B)"])
def test_wrong_filters_are_shown(text):
    """The error shows the filter that cannot be parsed."""
    with pytest.raises(UsageError, match="--filter"):
        parse_filter(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("30s", 30), ("1m30s", 90), ("250ms", 0.25), ("1.5h", 5400), (".5s", 0.5)],
)
def test_durations_are_gos(text, seconds):
    """Durations are parsed like time.ParseDuration does."""
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
    """Durations are written in Go's notation, and can be parsed again."""
    assert go_duration(seconds) == text


def test_later_packages_wait_for_their_turn():
    """The first package streams; the events of others are kept until it has finished."""
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


def test_an_ended_session_passes_on_kept_events():
    """A cancelled run shows the events of its later packages."""
    heard = []
    ordering = Ordering(2, heard.append)
    ordering.emit(1, "b1")
    ordering.finish_all()
    assert heard == ["b1"]


def _package(name="p", **details):
    return TestPackage(name=name, directory=Path("/p"), driver="x", **details)


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("test(A)", True),
        ("!test(*)", True),
        ("package(p) & test(A)", True),
        ("package(q) & test(A)", False),
        ("package(q) | test(A)", True),
        ("!package(p) & !test(A)", False),
        ("!(package(p) | test(A))", False),
        ("all()", True),
    ],
)
def test_a_filter_may_select_tests_that_are_not_known(text, may):
    """Only what a filter says of the package can leave it out."""
    assert parse_filter(text).may_select("p") is may


def test_what_is_not_known_is_in_every_selection():
    """A package that cannot be listed, or built, and a file that cannot be loaded, are kept."""
    bad = _package(problem="a syntax error")
    guess = _package(is_provisional=True, tests=("A",))
    files = _package(tests=("a.js", "b.js::y"), unloaded=frozenset({"a.js"}))
    selectors = [Selector(partition=Partition(part, 3)) for part in (1, 2, 3)]
    selectors.append(Selector(filter=parse_filter("test(b.js::*)")))
    selectors.append(Selector(failed={"p": ("a.js::x", "A")}))
    for selector in selectors:
        assert selector.select(bad) == Selection()
        assert selector.select(guess) is not None
        selection = selector.select(files)
        assert selection is not None
        assert "a.js" in selection.names
    elsewhere = Selector(filter=parse_filter("package(q)"))
    assert [elsewhere.select(one) for one in (bad, guess, files)] == [None] * 3
    assert Selector(failed={"p": ("b.js::y",)}).select(files).names == ("b.js::y",)


def test_what_failed_may_have_another_name_now():
    """--failed keeps packages that cannot be listed while a failed one is missing."""
    bad, good = _package("q", problem="a syntax error"), _package("p", tests=("A",))
    lost, known = Selector(failed={"q/tests": ("B",)}), Selector(failed={"p": ("A",)})
    assert [package.name for package, _ in lost.select_from([bad, good])] == ["q"]
    assert [package.name for package, _ in known.select_from([bad, good])] == ["p"]


def test_a_package_without_tests_is_in_one_part():
    """What else it does is done once, as in a whole run."""
    parts = [Selector(partition=Partition(part, 3)).select(_package()) for part in (1, 2, 3)]
    assert sorted(parts, key=str) == sorted([Selection(), None, None], key=str)
