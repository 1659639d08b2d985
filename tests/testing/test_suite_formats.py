"""What commands and plugins say of their tests, as it is read: TAP, JUnit, channels, names."""

import os

import pytest

from envy.testing.drivers.projects.channel import EventChannel
from envy.testing.drivers.projects.junit_report import BadReport, read_report
from envy.testing.drivers.projects.names import test_name
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.drivers.projects.tap import TapReader


def read_tap(text, *, size=7):
    """The outcomes in a TAP output that arrives in small chunks, and why the package failed."""
    report = SuiteReport("p", lambda event: None)
    reader = TapReader(report)
    data = text.encode()
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    problem = reader.finish()
    return report.ended, problem, reader.is_known


@pytest.mark.parametrize(
    ("text", "ended", "problem"),
    [
        ("1..2\nok\nnot ok\n", {"1": "pass", "2": "fail"}, ""),
        ("ok 1 - a\nok 2 a\n1..2\n", {"a": "pass", "a#01": "pass"}, ""),
        ("1..2\nok 1 # skip no\nnot ok 2 - b # TODO later\n", {"1": "skip", "b": "skip"}, ""),
        ("1..1\nok 1 - a \\# b\n", {"a # b": "pass"}, ""),
        ("1..0 # SKIP all\n", {}, ""),
        ("1..2\nok 1\n", {"1": "pass"}, "the plan has 2 tests, and 1 were reported"),
        ("1..1\nok 1\nok 2\n", {"1": "pass", "2": "pass"}, "the plan has 1 tests, and 2 "),
        ("ok 1\n", {"1": "pass"}, "the output has no plan"),
        ("1..2\nok 1 - a\nok 1 - b\n", {"a": "pass", "b": "pass"}, "a number was reported twice"),
        ("1..2\nok 1\n1..2\nok 2\n", {"1": "pass", "2": "pass"}, "the plan has 2 tests, and 0"),
        ("1..2\nok 1\nBail out! no disk\n", {"1": "pass"}, "bailed out: no disk"),
        ("1..1\n    ok 1 - in\n    1..1\nok 1 - out\n", {"out/in": "pass", "out": "pass"}, ""),
        ("1..1\nnot ok 1 - a\n  ---\n  x: ok 2\n  ...\n", {"a": "fail"}, ""),
        ("1..1\r\nok 1 - a/b\r\n", {"a%2Fb": "pass"}, ""),
    ],
)
def test_tap_is_read_line_by_line(text, ended, problem):
    """Plans, directives, subtests and bail-outs; what contradicts itself is a problem."""
    found, why, known = read_tap(text)
    assert found == ended
    assert why.startswith(problem)
    assert bool(why) == bool(problem)
    assert known


def test_other_output_is_not_tap():
    """Text without a line of the format is no report."""
    assert read_tap("all is well\nokay\n") == ({}, "", False)


def test_junit_reports_are_read_within_bounds():
    """Cases, their outcomes and texts; suites nest."""
    data = b"""<testsuites><testsuite failures="1" errors="1"><testsuite>
    <testcase classname="A" name="x" time="1,000.5"><system-out>said</system-out></testcase>
    <testcase name="y"><failure message="m">text</failure></testcase>
    <testcase name="z"><error/></testcase><testcase name="s"><skipped/></testcase>
    </testsuite></testsuite></testsuites>"""
    assert [(case.name, case.outcome, case.seconds, case.output) for case in read_report(data)] == [
        ("A::x", "pass", 1000.5, ["said"]), ("y", "fail", None, ["m", "text"]),
        ("z", "fail", None, []), ("s", "skip", None, []),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite/>', "has a document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>', "has a document type"),
        (b"<testsuite><testcase name='a'/>", "is not a complete XML document"),
        (b"<html/>", "begins with <html>"),
        (b"<testsuite failures='2'><testcase name='a'/></testsuite>", "says that 2 tests failed"),
        (b"<testsuite>" + b"<a>" * 200 + b"</a>" * 200 + b"</testsuite>", "nested more than 100"),
        (b"<?xml version='1.0' encoding='nonsense'?><testsuite/>", "is not|cannot be read"),
        (b"<testsuite><testcase name='\xff'/></testsuite>", "is not a complete XML document"),
    ],
)
def test_hostile_reports_are_refused(data, why):
    """Document types, entities, depth and what is cut off."""
    with pytest.raises(BadReport, match=why):
        read_report(data)


def test_only_lines_with_the_nonce_are_events():
    """Damage, other nonces and lines that are too long are dropped and counted."""
    taken = []
    channel = EventChannel(lambda event: taken.append(event["event"]))
    nonce = channel.variables["ENVY_TEST_EVENTS"].partition(":")[2]
    good = b'{"event":"a","nonce":"%s"}\n' % nonce.encode()
    channel.feed(good[:9])
    channel.feed(good[9:] + b'{"event":"b","nonce":"0"}\nx\n\n[' + b"[" * 3000 + b"\n")
    for _ in range(18):
        channel.feed(b"x" * (1 << 20))
    channel.feed(b"\n" + good)
    assert taken == ["a", "a"]
    assert channel.damaged == 4
    channel.close()
    os.close(channel.pipe[1])


def test_names_have_one_line_and_no_slash():
    """A slash would divide a test from a subtest."""
    assert test_name("a/b\n\x1b[1m ").startswith("a%2Fb\\n\\x1b[1m…")
    assert test_name(" ").startswith("(no name)…")
    assert len(test_name("x" * 9000)) == 500
    assert test_name("\ud800").startswith("\\ud800…")


def test_what_envy_says_follows_what_a_test_has_printed():
    """A line that has no end yet comes before the line that explains the end of its process."""
    outputs = []
    report = SuiteReport("p", lambda event: outputs.append(event.output), attempt=2)
    report.output("a", "half a line")
    report.say("it ended", test="a")
    assert outputs == ["half a line\n", "envy: it ended\n"]


def test_a_test_ends_once():
    """A second end of a test counts only if it is a failure; equal names get numbers."""
    events = []
    report = SuiteReport("p", events.append)
    report.end("a", "pass")
    report.end("a", "skip")
    report.end("a", "fail")
    assert [(event.action, event.test) for event in events] == [
        ("run", "a"), ("pass", "a"), ("fail", "a"),
    ]  # fmt: skip
    assert report.unique("a") == "a#01"
    report.begin("b")
    report.stray(b"of b\n")
    report.begin("c")
    report.stray(b"of neither\n")
    report.close()
    assert [(e.test, e.output) for e in events if e.output] == [
        ("b", "of b\n"), ("", "of neither\n"),
    ]  # fmt: skip
