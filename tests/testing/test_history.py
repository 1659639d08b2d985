"""How long tests took in their last runs, and what follows from it."""

import json

import pytest

from envy.cli.test_history import history_lines
from envy.testing.events import StreamEvent
from envy.testing.history import RUNS_KEPT, History, TestHistory
from envy.testing.results import Recorder
from envy.testing.views.tui.model import RunModel
from envy.testing.views.tui.status import header_text
from envy.testing.views.tui.tree import row_text


def recorded(*rows, package="p", cached=False):
    """Record (test, action, seconds, attempt) in their order."""
    recorder = Recorder()
    for test, action, seconds, attempt in rows:
        recorder.on_event(
            StreamEvent(action=action, package=package, test=test, elapsed=seconds, attempt=attempt)
        )
    recorder.on_event(StreamEvent(action="pass", package=package, elapsed=1, cached=cached))
    return recorder


@pytest.fixture
def history(tmp_path):
    return History(tmp_path / "history", tmp_path / "project")


def test_runs_are_added_and_bounded(history, tmp_path):
    """Each run adds one row for each test that ended; a remembered result and a subtest none."""
    for number in range(RUNS_KEPT + 5):
        rows = [("a", "pass", number, 0), ("a/sub", "pass", 9, 0)]
        rows += [("b", "skip", 0, 0)] if number < 2 else []
        history.learn(recorded(*rows), now=1000.0 + number)
    history.learn(recorded(("a", "pass", 99, 0), cached=True), now=2000)
    history.learn(recorded(("x", "fail", 3, 0), package="q"), now=3000)
    a, b, x = history.all()
    assert (a.outcomes, a.seconds) == ("p" * RUNS_KEPT, tuple(range(5, RUNS_KEPT + 5)))
    assert a.last_run == 1000.0 + RUNS_KEPT + 4
    assert (b.outcomes, b.usual, b.count("skip")) == ("ss", None, 2)
    assert (x.package, x.outcomes, x.usual, x.count("fail")) == ("q", "f", None, 1)
    assert history.of_package("p").keys() == {"a", "b"}
    assert History(tmp_path / "history", tmp_path / "another").all() == []


def test_a_pass_in_a_retry_is_flaky(history):
    """The last attempt counts, and that it was not the first."""
    history.learn(recorded(("a", "fail", 1, 0), ("a", "pass", 2, 2)), now=1)
    history.learn(recorded(("a", "fail", 1, 0)), now=2)
    [a] = history.all()
    assert (a.outcomes, a.count("flaky"), a.count("fail"), a.usual) == ("yf", 1, 1, 2)


DAMAGED = [
    "", "[]", "{}", "null",
    *(json.dumps({"format": "envy-history-1", "package": "p", "tests": [row]})
      for row in (None, [], ["a", "p", [1]], ["a", "px", [1, 2], 1], ["a", "p", [1, 2], 1],
                  ["a", "p", [-1], 1], ["a", "p", [True], 1], ["a", "", [], 1],
                  ["a", "p", [1], 1e300], ["a", "p", [1e300], 1], [1, "p", [1], 1])),
]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_no_history(history, text):
    """What is damaged is left out, and replaced by the next run."""
    history.learn(recorded(("a", "pass", 1, 0)), now=1)
    [file] = (path for path in history._folder.iterdir())
    file.write_text(text)
    assert history.all() == []
    history.learn(recorded(("a", "pass", 2, 0)), now=2)
    assert [one.seconds for one in history.all()] == [(2,)]


def test_a_folder_that_cannot_be_written_fails_nothing(tmp_path):
    """A history is kept where it can be."""
    (tmp_path / "file").write_text("")
    history = History(tmp_path / "file" / "history", tmp_path)
    history.learn(recorded(("a", "pass", 1, 0)), now=1)
    assert history.all() == []


def one(outcomes, *seconds, test="a"):
    return TestHistory("p", test, outcomes, seconds, 1.0)


@pytest.mark.parametrize(
    ("history", "change", "slower"),
    [
        (one("ppp", 1, 1, 9), None, False),
        (one("pppp", 1, 1, 2, 2), (1, 2), True),
        (one("pfppp", 1, 50, 1, 2, 2), (1, 2), True),
        (one("pppppp", 1, 1, 1, 9, 1, 1), (1, 1), False),
        (one("pppp", 0.01, 0.01, 0.09, 0.09), (0.01, 0.09), False),
        (one("pppp", 10, 10, 14, 14), (10, 14), False),
        (one("pppp", 4, 4, 1, 1), (4, 1), False),
    ],
)
def test_what_is_slower(history, change, slower):
    """The medians of the last passes and of earlier ones are compared; failures do not count."""
    assert history.change == change
    assert history.is_slower is slower


def test_the_lists_of_a_history():
    """The slowest first, what became slower most, what was flaky most often, and how many more."""
    rows = [
        one("pppp", 1, 1, 3, 3, test="slower"),
        one("yfyp", 0.5, 9, 0.5, 0.5, test="flaky"),
        *(one("p", 0.1, test=f"t{n}") for n in range(9)),
        one("s", 0, test="skipped"),
    ]
    assert list(history_lines(rows, 3)) == [
        "slowest tests, by the median of up to 20 runs:",
        "      2.00s  p.slower  (4 runs)",
        "      0.50s  p.flaky  (3 runs)",
        "      0.10s  p.t0  (1 run)",
        "  … and 8 more",
        "slower in their last runs than before:",
        "      1.00s → 3.00s  p.slower  (4 runs)",
        "flaky, passed only when run again:",
        "    2 of 4 runs  p.flaky, failed in 1",
        "12 tests, 3.4s in all",
    ]
    quiet = list(history_lines(rows[-1:], 3))
    assert quiet[1:3] == ["no test has become slower", "no test was flaky"]


def test_the_view_shows_the_usual_time_of_what_runs(tmp_path):
    """A running test has its time so far beside that of earlier runs, if that is worth waiting."""
    from envy.testing.package import PlannedPackage

    model = RunModel()
    usual = {"Long": 12.3, "Short": 0.01}
    model.on_plan([PlannedPackage(name="p", directory=tmp_path, tests=("Long", "Short", "New"),
                                  usual=usual)])  # fmt: skip
    model.on_phase("running", 0, 1)
    model.on_event(StreamEvent(action="start", package="p", time=100.0))
    for test in ("Long", "Short", "New"):
        model.on_event(StreamEvent(action="run", package="p", test=test, time=100.0))
    nodes = model.packages["p"].children.values()
    assert [row_text(node, now=100.5) for node in nodes] == ["Long  usually 12.3s", "Short", "New"]
    assert [row_text(node, now=107.9) for node in nodes] == [
        "Long  0:07 of usually 12.3s", "Short  0:07", "New  0:07"
    ]  # fmt: skip
    assert header_text(model, now=107.9).endswith("7.9s of usually 12.3s")
