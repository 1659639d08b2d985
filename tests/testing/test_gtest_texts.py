"""The readers of the kinds gtest and ctest: lists, the stream of results, output and reports."""

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envy.testing.drivers.projects.ctest.listing import (
    BadListing,
    numbers_of,
    parse_listing,
    parse_report,
    programs_of,
)
from envy.testing.drivers.projects.gtest.protocol import (
    GTestFraming,
    ResultStream,
    filter_of,
    is_disabled,
    parse_tests,
)
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.drivers.projects.serial import Ended, SerialProcess

LIST = """Running main() from gtest_main.cc
Basic.
  Adds
  DISABLED_Off
Ty/0.  # TypeParam = int
  Zero
Nums/P.
  Even/0  # GetParam() = 2
hello from a constructor
  Lost
"""
NAMES = ["B.Adds", "B.Skips", "N/P.Even/1", "B.Forged", "B.Last"]
STREAM = b"""gtest_streaming_protocol_version=1.0
event=TestProgramStart
event=TestCaseStart&name=B
event=TestStart&name=Adds
event=TestEnd&passed=1&elapsed_time=0ms
event=TestStart&name=Skips
event=TestPartResult&file=t.cc&line=6&message=not%0Ahere
event=TestEnd&passed=0&elapsed_time=0ms
event=TestCaseStart&name=N/P
event=TestStart&name=Even/1
event=TestEnd&passed=0&elapsed_time=0ms
event=TestCaseStart&name=B
event=TestStart&name=Forged
event=TestEnd&passed=0&elapsed_time=0ms
event=TestStart&name=Last
event=TestEnd&passed=1&elapsed_time=0ms
"""
OUTPUT = b"""Running main() from gtest_main.cc
Note: Google Test filter = B.*
[==========] Running 5 tests from 2 test suites.
[----------] Global test environment set-up.
[----------] 2 tests from B
[ RUN      ] B.Adds
hello
no newline[       OK ] B.Adds (0 ms)
[ RUN      ] B.Skips
t.cc:6: Skipped
[  SKIPPED ] B.Skips (0 ms)
[----------] 2 tests from B (0 ms total)

[----------] 1 test from N/P
[ RUN      ] N/P.Even/1
t.cc:9: Failure
[  FAILED  ] N/P.Even/1, where GetParam() = 5 (0 ms)
[----------] 1 test from N/P (0 ms total)

[----------] 2 tests from B
[ RUN      ] B.Forged
[       OK ] B.Forged (0 ms)
t.cc:19: Failure
[  FAILED  ] B.Forged (0 ms)
[ RUN      ] B.Last
[       OK ] B.Last (0 ms)
[----------] 2 tests from B (0 ms total)

[----------] Global test environment tear-down
[==========] 5 tests from 2 test suites ran. (0 ms total)
[  PASSED  ] 2 tests.
[  SKIPPED ] 1 test, listed below:
[  SKIPPED ] B.Skips
[  FAILED  ] 2 tests, listed below:
[  FAILED  ] N/P.Even/1, where GetParam() = 5
[  FAILED  ] B.Forged

 2 FAILED TESTS
"""
ENDS = {"B.Adds": "pass", "B.Skips": "skip", "N%2FP.Even%2F1": "fail", "B.Forged": "fail",
        "B.Last": "pass"}  # fmt: skip


def _reported(chunks, stream):
    output = {}

    def take(event):
        if event.output is not None:
            output[event.test] = output.get(event.test, "") + event.output

    report, told = SuiteReport("p", take), ResultStream(NAMES)
    waiting = [stream]
    process = SerialProcess(
        report,
        NAMES,
        framing=GTestFraming(),
        read=lambda: told.feed(waiting.pop(0)) if waiting else [],
    )
    for chunk in chunks:
        process.feed(chunk)
    process.finish()
    report.close()
    return report, output


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, len(OUTPUT)), max_size=10))
def test_output_belongs_to_its_test_however_it_comes(cuts):
    """The chunks in which output comes change nothing."""
    bounds = sorted({0, *cuts, len(OUTPUT)})
    report, output = _reported([OUTPUT[a:b] for a, b in itertools.pairwise(bounds)], STREAM)
    assert report.ended == ENDS
    assert output == {
        "B.Adds": "hello\nno newline\n",
        "B.Skips": "t.cc:6: Skipped\n",
        "N%2FP.Even%2F1": "t.cc:9: Failure\n",
        "B.Forged": "[       OK ] B.Forged (0 ms)\nt.cc:19: Failure\n",
    }


def test_a_test_without_a_result_is_the_one_that_ran():
    """What was not sent has not passed, whatever the output says."""
    report, _ = _reported([OUTPUT[: OUTPUT.index(b"t.cc:19")]], STREAM[: STREAM.index(b"Forged")])
    assert list(report.running) == ["B.Forged"]


def test_results_of_other_tests_do_not_count():
    """A result belongs to the test whose turn it is."""
    stream = ResultStream(["A.a", "A.b"])
    lines = b"event=TestCaseStart&name=A\nevent=TestStart&name=b\nevent=TestEnd&passed=1\n"
    assert stream.feed(lines) == []
    assert stream.feed(b"event=TestStart&name=a\nevent=TestEnd&pas") == []
    assert stream.feed(b"sed=1\nevent=TestEnd&passed=1\nnoise\n\xff=%zz&\n") == [Ended("pass")]


def test_a_list_has_the_tests_of_suites():
    """Comments on parameters are left out, and so is what has no suite."""
    names = ["Basic.Adds", "Basic.DISABLED_Off", "Ty/0.Zero", "Nums/P.Even/0"]
    assert parse_tests(LIST) == names
    assert [name for name in names if is_disabled(name)] == ["Basic.DISABLED_Off"]
    assert is_disabled("Nums/DISABLED_P.Even/0")
    assert not is_disabled("Basic.Is_DISABLED_Not")
    assert filter_of(["A.b", "C.d-e:f"]) == "--gtest_filter=A.b:C.d?e?f"


def _row(name, command, **properties):
    rows = [{"name": key, "value": value} for key, value in properties.items()]
    return {"name": name, "command": command, "properties": rows}


def test_tests_of_programs_are_told_from_those_of_ctest():
    """A property that CTest has to respect leaves a test to CTest."""
    flags = ["--gtest_also_run_disabled_tests"]
    rows = [
        _row("A.a", ["/b/t", "--gtest_filter=A.a", *flags], WORKING_DIRECTORY="/b"),
        _row("Ty.Zero<int>", ["/b/t", "--gtest_filter=Ty/0.Zero", *flags], WORKING_DIRECTORY="/b"),
        _row("A.slow", ["/b/t", "--gtest_filter=A.slow", *flags], TIMEOUT=3.5),
        _row("all", ["/b/t", "--gtest_filter=A.*"], WORKING_DIRECTORY="/b"),
        _row("plain", ["/bin/true"], WORKING_DIRECTORY="/b", ENVIRONMENT=["A=1"]),
        {"name": "missing"},
    ]
    found = parse_listing(json.dumps({"tests": rows}))
    assert [test.number for test in found if test.gtest is None] == [3, 4, 5, 6]
    assert found[2].timeout == 3.5
    assert list(programs_of(found)) == [(("/b/t",), "/b", (), ["A.a", "Ty/0.Zero"])]
    assert numbers_of([3]) == "3,3,1"
    assert numbers_of([3, 5, 6]) == "3,3,1,5,6"


@pytest.mark.parametrize(
    "text", ["", "[]", '{"tests": [3]}', '{"tests": [{"name": "a", "properties": 3}]}']
)
def test_an_unknown_list_of_ctest_is_an_error(text):
    """It says so."""
    with pytest.raises(BadListing, match="unknown form"):
        parse_listing(text)


def test_a_report_of_ctest_tells_results():
    """A test that CTest could not start is called skipped there, and has failed."""
    text = """<testsuite><testcase name="a" time="0.5" status="run"><system-out>out&lt;
</system-out></testcase>
<testcase name="b" status="fail"><failure message=""/></testcase>
<testcase name="c" status="notrun"><skipped message="SKIP_RETURN_CODE=77"/></testcase>
<testcase name="d" status="disabled"/>
<testcase name="e" status="notrun"><skipped message="Unable to find executable"/></testcase>
<testcase name="f" status="fail"><failure message="SEGFAULT"/></testcase></testsuite>"""
    found = parse_report(text.encode())
    assert [(case.name, case.action, case.reason) for case in found] == [
        ("a", "pass", ""), ("b", "fail", ""), ("c", "skip", ""), ("d", "skip", "disabled"),
        ("e", "fail", "Unable to find executable"), ("f", "fail", "SEGFAULT"),
    ]  # fmt: skip
    assert (found[0].seconds, found[0].output) == (0.5, "out<\n")
    with pytest.raises(BadListing, match="cannot be read"):
        parse_report(b"<testsuite>")
