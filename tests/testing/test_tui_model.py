"""The state of the terminal view: a plan that fills up, and what is derived from it."""

from tui_runs import (
    event,
    fail_build,
    finished_model,
    planned,
    planned_model,
    run_tests,
    started_model,
)

from envy.testing.views.tui.model import RunEnd, RunModel
from envy.testing.views.tui.node import state_of
from envy.testing.views.tui.output import TestLog
from envy.testing.views.tui.status import end_line, exit_code_of, header_text, outcome_of
from envy.testing.views.tui.tree import (
    TreeFilter,
    failed_tops,
    failures_of,
    neighbour,
    row_text,
    rows_of,
)


def states(model):
    return {
        node.test or node.package: state_of(node)
        for package in model.packages.values()
        for node in (package, *package.children.values())
    }


def labels(rows):
    return [node.label for node in rows]


def test_the_tree_is_the_whole_plan_from_the_start():
    """Everything waits; what is built, runs, and has ended says so."""
    model = planned_model()
    assert set(states(model).values()) == {"wait"}
    model.on_build(["m/a", "elsewhere"], starts=True)
    assert states(model)["m/a"] == "make"
    assert "m/a" in header_text_of(model, phase="building")
    model.on_build(["m/a"], starts=False)
    model.on_event(event("start"))
    model.on_event(event("run", test="TestOne"))
    assert [states(model)[name] for name in ("m/a", "TestOne", "TestTwo")] == ["run", "run", "wait"]
    assert header_text_of(model, phase="running").endswith("TestOne 12.0s")
    model.on_event(event("pause", test="TestOne"))
    assert states(model)["TestOne"] == "pause"


def header_text_of(model, *, phase):
    model.on_phase(phase, 1, 4)
    return header_text(model, now=112.0)


def test_too_little_coverage_fails_until_everything_runs_again():
    """A rerun of one test covers less than all, and says nothing of what all cover."""
    model = RunModel()
    for everything, too_little, code in (
        (True, "covered 10%, less than 90%", 1),
        (False, "", 1),
        (True, "", 0),
        (False, "covered 1%, less than 90%", 0),
    ):
        model.begin(everything=everything)
        run_tests(model, "m/a", {"TestA": "pass"})
        model.on_end(RunEnd(too_little=too_little))
        assert exit_code_of(model) == code
        assert ("covered 10%" in end_line(model)) is bool(code)


def test_a_package_with_a_failing_test_fails_whatever_was_run_again():
    """A rerun of a test that passes leaves the package failing because of the other one."""
    model = RunModel()
    run_tests(model, "m/a", {"TestA": "fail", "TestB": "fail", "TestC": "pass"})
    model.on_end(RunEnd())
    for test, state, code in (("TestA", "fail", 1), ("TestB", "pass", 0)):
        model.begin(everything=False)
        model.on_plan([planned("m/a", test, whole=False)])
        assert states(model)[test] == "wait"
        run_tests(model, "m/a", {test: "pass"})
        model.on_end(RunEnd())
        assert states(model)["m/a"] == state
        assert exit_code_of(model) == code
    assert (model.counts["pass"], model.counts["fail"]) == (3, 0)
    assert model.log(model.packages["m/a"].children["TestC"], raw=False) == ["TestC says so"]


def test_a_test_with_a_failing_subtest_fails_whatever_was_run_again():
    """A rerun of one subtest leaves its parent failing because of the other one."""
    model = RunModel()
    run_tests(model, "m/a", {"TestA": "fail", "TestA/x": "fail", "TestA/y": "fail"})
    model.begin(everything=False)
    model.on_plan([planned("m/a", "TestA", whole=False)])
    run_tests(model, "m/a", {"TestA": "pass", "TestA/x": "pass"})
    model.on_end(RunEnd())
    assert states(model)["TestA"] == states(model)["m/a"] == "fail"
    assert [node.test for node in failures_of(model)] == ["TestA/y"]


def test_what_fails_outside_of_tests_is_not_mended_by_one_test():
    """Only a run of the whole package shows that its TestMain works again."""
    model = RunModel()
    run_tests(model, "m/a", {"TestA": "pass", "TestB": "pass"}, ends="fail")
    assert failed_tops(model) == {"m/a": ()}
    model.begin(everything=False)
    model.on_plan([planned("m/a", "TestA", whole=False)])
    run_tests(model, "m/a", {"TestA": "pass"})
    assert states(model)["m/a"] == "fail"
    model.begin(everything=False)
    model.on_plan([planned("m/a", "TestA", "TestB")])
    run_tests(model, "m/a", {"TestA": "pass", "TestB": "pass"})
    assert states(model)["m/a"] == "pass"


def test_tests_that_a_test_runs_itself_do_not_fail_their_package():
    """A package that passed has passed, with failures inside; they still count."""
    model = RunModel()
    run_tests(model, "m/a", {"TestA": "pass", "TestInner": "fail"}, ends="pass")
    model.on_end(RunEnd())
    assert states(model)["m/a"] == "pass"
    assert outcome_of(model) == "passed"
    assert model.counts["fail"] == 1


def test_a_retry_replaces_a_failure_and_a_second_count_does_not():
    """A flaky test is marked; with -count one failure among several is a failure."""
    model = RunModel()
    for test, attempt in (("TestRetried", 2), ("TestCounted", 0)):
        for outcome, number in (("fail", 0), ("pass", attempt)):
            model.on_event(event("run", test=test))
            model.on_event(event(outcome, test=test, attempt=number))
    assert states(model)["TestRetried"] == "pass"
    assert row_text(model.packages["m/a"].children["TestRetried"]).endswith("flaky")
    assert states(model)["TestCounted"] == "fail"


def test_a_stopped_run_says_what_did_not_run():
    """The header is not `done`, and what waits has not run."""
    model = started_model()
    model.on_event(event("start", "m/c"))
    model.on_event(event("run", "m/c", "TestLong"))
    model.on_event(event("fail", "m/c", "TestLong", reason="cancelled"))
    model.on_event(event("fail", "m/c", reason="cancelled"))
    model.on_end(RunEnd(seconds=1.0, stopped=True))
    assert header_text(model, now=0.0).startswith("stopped, 2 not run  ")
    assert [states(model)[name] for name in ("m/c", "TestLong", "TestLast")] == ["left"] * 3
    assert row_text(model.packages["m/c"].children["TestLast"]) == "TestLast  not run"
    assert exit_code_of(model) == 130
    assert end_line(model).startswith("stopped: 2 passed, 2 failed, 1 skipped in 4 packages")
    limited = planned_model()
    limited.on_end(RunEnd(reason="a test failed (--fail-fast)"))
    assert header_text(limited, now=0.0).startswith("stopped, 7 not run (a test failed (--fail-f")
    assert exit_code_of(limited) == 1


def test_a_stopped_rerun_keeps_what_was_known():
    """What waits for its second run still has the result of its first."""
    model = finished_model()
    model.begin(everything=False)
    model.on_plan([planned("m/a", "TestTwo", whole=False)])
    model.on_end(RunEnd(stopped=True))
    assert states(model)["TestTwo"] == "fail"
    assert header_text(model, now=0.0).startswith("stopped, 1 not run")


def test_a_run_of_everything_starts_again_with_its_plan():
    """All waits, unfolded as before; what the plan does not have any more is gone."""
    model = finished_model()
    model.begin(everything=True)
    assert set(states(model).values()) == {"wait"}
    assert (model.counts, model.unbuilt) == ({"pass": 0, "fail": 0, "skip": 0}, 0)
    model.on_plan([planned("m/a", "TestOne"), planned("m/new", "TestNew")])
    assert labels(rows_of(model)) == ["m/a", "TestOne", "m/new"]
    assert model.log(model.packages["m/a"], raw=False) == []


def test_an_answered_run_without_a_plan_replaces_the_tree():
    """A remembered run comes without a plan; packages that it does not have are gone."""
    model = finished_model()
    model.begin(everything=True)
    run_tests(model, "m/b", {"TestB": "pass"}, cached=True)
    model.on_end(RunEnd())
    assert states(model) == {"m/b": "pass", "TestB": "pass"}
    assert end_line(model) == "1 passed, 0 failed, 0 skipped in 1 package (1 cached), 0.0s"


def test_a_package_can_break_and_be_fixed_between_runs():
    """Each run shows its own compiler errors once, and fixed tests come back."""
    model = RunModel()
    run_tests(model, "m/p", {"TestP": "pass"})
    for _ in range(2):
        model.begin(everything=False)
        fail_build(model, "m/p")
    assert labels(rows_of(model)) == ["m/p", "bad.go:3: undefined: x"]
    assert (model.counts["pass"], model.unbuilt, exit_code_of(model)) == (0, 1, 3)
    model.begin(everything=False)
    run_tests(model, "m/p", {"TestP": "pass"})
    assert labels(rows_of(model)) == ["m/p", "TestP"]
    assert (model.counts["pass"], model.unbuilt) == (1, 0)


def test_a_test_that_is_gone_leaves_the_tree():
    """A run of the whole package removes tests that it does not have any more, failing ones too."""
    model = RunModel()
    run_tests(model, "m/p", {"TestOld": "fail", "TestP": "pass"})
    model.begin(everything=False)
    model.on_plan([planned("m/p", "TestP")])
    run_tests(model, "m/p", {"TestP": "pass"})
    assert states(model) == {"m/p": "pass", "TestP": "pass"}
    assert model.counts == {"pass": 1, "fail": 0, "skip": 0}


def test_a_name_with_slashes_is_one_subtest():
    """A subtest belongs to the innermost test that is running; what the driver lists is a test."""
    model = RunModel()
    model.on_plan([planned("m/a", "TestA", "test[x/y]")])
    for action, test in (
        ("run", "TestA"),
        ("run", "TestA/a"),
        ("pass", "TestA/a"),
        ("run", "TestA/a/b"),  # t.Run("a/b"), after t.Run("a") has ended
        ("run", "TestA/GET /x"),
        ("run", "TestA/GET /x/deep"),
        ("run", "test[x/y]"),
        ("run", "loose/name"),
    ):
        model.on_event(event(action, test=test))
    top = model.packages["m/a"].children
    assert list(top) == ["TestA", "test[x/y]", "loose/name"]
    assert labels(top["TestA"].children.values()) == ["a", "a/b", "GET /x"]
    assert labels(top["TestA"].children["TestA/GET /x"].children.values()) == ["deep"]


def test_a_filter_shows_what_matches_in_its_place():
    """Names match in any case, with what they are in; failures only hides what passed."""
    model = finished_model()
    found = labels(rows_of(model, TreeFilter(text="SUB")))
    assert found == ["m/a", "TestTwo", "sub"]
    assert labels(rows_of(model, TreeFilter(text="testl"))) == ["m/c", "TestLong", "TestLast"]
    assert labels(rows_of(model, TreeFilter(text="M/B"))) == [
        "m/b",
        "m/bad",
        "bad.go:3: undefined: x",
    ]
    only = labels(rows_of(model, TreeFilter(failures=True)))
    assert only == ["m/a", "TestTwo", "m/bad", "bad.go:3: undefined: x"]
    assert rows_of(model, TreeFilter(text="nothing")) == []


def test_stepping_visits_the_innermost_failures_in_order():
    """Next and previous wrap around, and find what is folded."""
    model = finished_model()
    assert [node.test or node.package for node in failures_of(model)] == ["TestTwo/sub", "m/bad"]
    sub = neighbour(model, None, by=1)
    assert sub.test == "TestTwo/sub"
    bad = neighbour(model, sub, by=1)
    assert bad.package == "m/bad"
    assert neighbour(model, bad, by=1) is sub
    assert neighbour(model, sub, by=-1) is bad
    assert neighbour(model, None, by=1, unbuilt=True) is bad
    assert neighbour(RunModel(), None, by=1) is None
    assert failed_tops(model) == {"m/a": ("TestTwo",), "m/bad": ()}


def test_the_header_names_the_outcome():
    """Passed and failed are told apart, cached results are marked, and errors are shown."""
    model = RunModel()
    run_tests(model, "m/b", {"TestB": "pass"}, cached=True)
    model.on_end(RunEnd(seconds=3.0))
    assert header_text(model, now=0.0, watching=True) == "passed  ✓1 ✗0 ↷0  3.0s  · watching"
    assert row_text(model.packages["m/b"]) == "m/b  ✓1  cached"
    failed = finished_model()
    assert header_text(failed, now=0.0) == "failed  ✓4 ✗2 ↷1 ⚒1  3.0s"
    failed.begin(everything=False)
    failed.on_end(RunEnd(error="no\x1b[2J go"))
    assert header_text(failed, now=0.0) == "error: no\\x1b[2J go"


def test_a_log_keeps_both_ends_of_what_is_too_long():
    """The middle of a long output is left out, with a line in its place."""
    log = TestLog(100)
    for number in range(100):
        log.add(number, f"{number:04}\n", limit=100)
    texts = [text for _, text in log.pieces()]
    assert texts[:2] == ["0000\n", "0001\n"]
    assert texts[-1] == "0099\n"
    assert "left out 400 characters" in texts[10]


def test_what_changes_do_not_affect_is_no_part_of_the_tree():
    """The header and the last line count it; the next run starts without it."""
    model = started_model()
    why = "not affected by changes since main"
    model.on_event(event("skip", package="m/new", elapsed=0.0, reason=why))
    model.on_end(RunEnd(seconds=1.0))
    assert "m/new" not in model.packages
    assert header_text(model, now=0.0).endswith("· 1 package not affected by changes since main")
    assert end_line(model).endswith("; 1 package not affected by changes since main")
    model.begin(everything=True)
    assert not model.left_out
