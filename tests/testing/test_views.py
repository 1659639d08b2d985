"""The views: the JUnit report and the lines of the plain view."""

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import xmlschema

from envy.console.text import Streams
from envy.testing.events import StreamEvent
from envy.testing.replay import replay
from envy.testing.views.junit import JunitView
from envy.testing.views.plain import PlainView, ShowOutput

SCHEMA = Path(__file__).parent / "junit.xsd"


def event(action, test="", package="m/a", **more):
    return StreamEvent(action=action, package=package, test=test, time=1.7e9, **more)


def events():
    return [
        StreamEvent(action="build-output", import_path="m/bad", output="bad.go:1: <no> & \x01\n"),
        StreamEvent(action="build-fail", import_path="m/bad"),
        event("start"),
        event("run", "TestA"),
        event("output", "TestA", output='said "<x>" \x1b[31m\ufffe\n'),
        event("fail", "TestA", elapsed=0.5, reason="timeout"),
        event("run", "TestB"),
        event("output", "TestB", output="of no interest\n"),
        event("pass", "TestB", elapsed=0.25),
        event("run", "TestC"),
        event("output", "TestC", output="not today\n"),
        event("skip", "TestC", elapsed=0.0),
        event("fail", elapsed=1.0),
        event("start", package="m/bad"),
        event("fail", package="m/bad", failed_build="m/bad", elapsed=0.0),
        event("start", package="m/odd"),
        event("output", package="m/odd", output="exit status 3\n"),
        event("fail", package="m/odd", elapsed=0.0),
    ]


def retried():
    """A test that passes in its second attempt, and one that fails in both."""
    rows = [event("start")]
    for name, ends in (("TestFlaky", ("fail", "pass")), ("TestBad", ("fail", "fail"))):
        for attempt, end in enumerate(ends, 1):
            more = {"attempt": attempt} if attempt > 1 else {}
            framing = f"=== RUN   {name}\n"
            rows += [
                event("run", name, **more),
                event("output", name, output=framing, output_type="frame", **more),
                event("output", name, output=f"    x_test.go:{attempt}: {end} {attempt}\n", **more),
                event(end, name, elapsed=0.5, reason="panic" if attempt == 2 else "", **more),
            ]
    return [*rows, event("fail", elapsed=1.0)]


def test_retries_are_elements_of_their_own(tmp_path):
    """A flaky test has its failures as flakyFailure, a failed one its retries as rerunFailure."""
    replay(retried(), [JunitView(tmp_path / "r.xml")])
    xmlschema.validate(tmp_path / "r.xml", SCHEMA)
    flaky, bad = ET.parse(tmp_path / "r.xml").getroot().iter("testcase")
    found = [(e.tag, e.get("type"), e.get("message"), "".join(e.itertext()).strip())
             for case in (flaky, bad) for e in case]  # fmt: skip
    first = "x_test.go:1: fail 1"
    assert found == [
        ("flakyFailure", "failed", first, first),
        ("failure", "failed", first, first),
        ("rerunFailure", "panic", "panic", "x_test.go:2: fail 2"),
    ]


@pytest.fixture
def report_file(tmp_path):
    replay(events(), [JunitView(tmp_path / "r.xml")])
    return tmp_path / "r.xml"


@pytest.fixture
def report(report_file):
    return ET.parse(report_file).getroot()


def test_the_report_conforms_to_the_schema(report_file):
    """The report is valid, whatever the names and the output of tests are."""
    xmlschema.validate(report_file, SCHEMA)


@pytest.mark.parametrize(
    ("right", "wrong"), [('time="', 'time="-'), ("testcase", "case"), ('tests="', 'test="')]
)
def test_the_schema_does_not_allow_everything(report_file, right, wrong):
    """A report with a mistake is not valid."""
    report_file.write_text(report_file.read_text().replace(right, wrong))
    with pytest.raises(xmlschema.XMLSchemaException):
        xmlschema.validate(report_file, SCHEMA)


def test_the_report_has_the_numbers_and_the_reasons(report):
    """Build failures and packages that fail outside a test are test cases too."""
    assert (report.get("tests"), report.get("failures")) == ("5", "3")
    messages = [failure.get("message") for failure in report.iter("failure")]
    assert messages == ["timeout", "build failed", "the package failed"]
    assert "bad.go:1: <no> & \ufffd" in [f.text for f in report.iter("failure")][1]


def test_what_xml_forbids_is_replaced(tmp_path):
    """Control characters and lone surrogates become U+FFFD, in names, messages and output alike."""
    odd = 'a\x00b\x1f\x7f\ud800\uffff&<>"\n\t'
    rows = [
        StreamEvent(action="start", package=f"m/{odd}", time=1.7e9),
        StreamEvent(action="output", package=f"m/{odd}", test=f"Test{odd}", output=odd),
        StreamEvent(action="fail", package=f"m/{odd}", test=f"Test{odd}", reason=odd),
        StreamEvent(action="skip", package=f"m/{odd}", test="TestS"),
    ]
    replay(rows, [JunitView(tmp_path / "r.xml")])
    xmlschema.validate(tmp_path / "r.xml", SCHEMA)
    root = ET.parse(tmp_path / "r.xml").getroot()
    expected = 'a\ufffdb\ufffd\x7f\ufffd\ufffd&<>"\n\t'
    assert [suite.get("name") for suite in root] == [f"m/{expected}"]
    [failure] = root.iter("failure")
    assert (failure.get("message"), failure.text) == (expected, expected)
    assert next(root.iter("testcase")).get("name") == f"Test{expected}"


def plain(**options):
    out, err = io.StringIO(), io.StringIO()
    result = replay(events(), [PlainView(Streams(output=out, errors=err), **options)])
    return out.getvalue(), result


def test_failures_are_shown_and_passes_are_not():
    """The view shows failed output, a line per package, the list of failures, and the numbers."""
    text, result = plain()
    assert 'said "<x>" \\x1b[31m' in text
    assert "of no interest" not in text
    assert "m/a.TestA (timeout)" in text
    assert "m/bad (build failed)" in text
    assert text.splitlines()[-1].startswith("1 passed, 1 failed, 1 skipped in 3 packages (2 failed")
    assert result.exit_code == 3


def test_all_output_or_none():
    """--show-output all includes passed tests; none hides even failed tests."""
    assert "of no interest" in plain(show=ShowOutput.ALL)[0]
    assert "said" not in plain(show=ShowOutput.NONE)[0]


def test_slow_tests_are_pointed_out():
    """--slow and --slowest each print slow tests."""
    text, _ = plain(slow=0.4, slowest=1)
    assert "SLOW  m/a.TestA" in text
    assert "0.50s  m/a.TestA" in text


def coloured_text(events, **options):
    out = io.StringIO()
    view = PlainView(Streams(output=out, errors=io.StringIO()), colours=True, **options)
    replay(events, [view])
    return out.getvalue()


def test_plain_lines_in_colour():
    """The word of a package and the last line say the outcome; a test keeps its own colours."""
    passed = [event("start"), event("run", "TestA"), event("pass", "TestA", elapsed=0.5),
              event("pass", elapsed=1.0)]  # fmt: skip
    assert coloured_text(passed) == (
        "\x1b[32mok\x1b[0m    m/a  1.000s  (1 test)\n"
        "\x1b[32m1 passed, 0 failed, 0 skipped in 1 package, 0.0s\x1b[0m\n"
    )
    text = coloured_text(events())
    assert 'said "<x>" \x1b[31m\ufffe\x1b[0m\n' in text
    assert "bad.go:1: <no> & \\x01\n" in text
    assert "\x1b[31mFAIL\x1b[0m  m/bad  [build failed]\n" in text
    assert "\x1b[31mfailed:\x1b[0m\n" in text
    assert text.splitlines()[-1].startswith("\x1b[31m1 passed, 1 failed")


def test_a_remembered_run_has_the_same_colours():
    """The lines that are answered without the view are painted as the view paints them."""
    from envy.cli.test_answer import painted_answer

    rows = [event("start"), event("run", "TestA"), event("pass", "TestA", elapsed=0.5),
            event("pass", elapsed=1.0, cached=True), event("start", package="m/none"),
            event("skip", package="m/none")]  # fmt: skip
    plain = io.StringIO()
    replay(rows, [PlainView(Streams(output=plain, errors=io.StringIO()), slow=0.1)])
    assert painted_answer(plain.getvalue()) == coloured_text(rows, slow=0.1)


def test_what_changes_do_not_affect_is_counted_and_no_test(tmp_path):
    """The lines tell how many were left out, and that nothing is left; JUnit has none of them."""
    out = io.StringIO()
    report = tmp_path / "report.xml"
    why = "not affected by changes since main"
    rows = [event("skip", package=name, elapsed=0.0, reason=why) for name in ("m/a", "m/b")]
    streams = Streams(output=out, errors=out)
    result = replay(rows, [PlainView(streams), JunitView(report)])
    assert out.getvalue() == "2 packages not affected by changes since main\nnothing to run, 0.0s\n"
    assert result.exit_code == 0
    assert ET.parse(report).getroot().get("tests") == "0"
    replay([*rows, event("start", package="m/c"), event("pass", package="m/c")],
           [PlainView(streams)])  # fmt: skip
    assert "2 packages not affected by changes since main\n0 passed, 0 failed" in out.getvalue()
