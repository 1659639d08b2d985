"""A JUnit XML report, written at the end of the run.

A package is a test suite; a test is a test case, and so is each subtest. A package that failed to
build, or failed outside its tests, has an extra test case that reports the failure.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element, SubElement

from envy.testing.events import StreamEvent
from envy.testing.excerpt import Excerpt
from envy.testing.results import PackageTally
from envy.testing.session_result import SessionResult

# Characters that XML 1.0 does not allow, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
_LONGEST = 64 << 10  # characters of output in one failure


@dataclass(frozen=True, slots=True)
class _Failure:
    """One failed attempt of a test: the reason, if the driver knows one, and the output."""

    reason: str
    text: str
    attempt: int = 0  # 2 and more: a retry

    @property
    def kind(self) -> str:
        """What kind of failure it is."""
        return self.reason or "failed"

    @property
    def message(self) -> str:
        """The reason, or else the first line that the test wrote."""
        lines = (line.strip() for line in self.text.splitlines())
        return self.reason or next(filter(None, lines), "failed")


class JunitView:
    """Writes the report; keeps the output of tests until the run has ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._output: dict[tuple[str, str], Excerpt] = {}
        self._failed: dict[tuple[str, str], list[_Failure]] = {}  # attempts, in their order
        self._started = time.time()

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Ignore phases: the report does not contain them."""

    def on_event(self, event: StreamEvent) -> None:
        """Keep output; drop the output of tests that passed."""
        key = (event.package, event.test)
        if event.action == "output" and event.output:
            if event.test and event.output_type == "frame":
                return  # what the testing package says of the test
            if key not in self._output:
                self._output[key] = Excerpt(_LONGEST)
            self._output[key].add(event.output)
        elif event.test and event.action == "pass":
            self._output.pop(key, None)
        elif event.test and event.action == "fail":
            text = "".join(self._output.pop(key, ()))
            failure = _Failure(event.reason, text, event.attempt)
            self._failed.setdefault(key, []).append(failure)

    def on_end(self, result: SessionResult) -> None:
        """Write the report."""
        root = ET.Element("testsuites", name="envy test")
        for number, tally in enumerate(result.recorder.packages.values()):
            self._add_suite(root, number, tally, result.recorder.build_output)
        for count in ("tests", "failures", "errors"):
            root.set(count, str(sum(int(suite.get(count, 0)) for suite in root)))
        root.set("time", f"{result.seconds:.3f}")
        ET.indent(root)
        text = ET.tostring(root, encoding="unicode")
        self._path.write_text(f"{_DECLARATION}\n{text}\n", encoding="utf-8")

    def _add_suite(
        self, root: Element, number: int, tally: PackageTally, build_output: dict[str, list[str]]
    ) -> None:
        suite = SubElement(root, "testsuite", name=_clean(tally.name), id=str(number))
        if tally.cached:
            properties = SubElement(suite, "properties")
            SubElement(properties, "property", name="cached", value="true")
            if tally.remote:
                SubElement(properties, "property", name="remote", value="true")
        for name, outcome in tally.tests.items():
            self._add_test(suite, tally, name, outcome)
        if tally.failed_build:
            text = "".join(build_output.get(tally.failed_build, []))
            case = _add_case(suite, tally.name, "[build failed]", 0.0)
            _add_failure(case, "build failed", text)
        elif tally.outcome == "fail" and "fail" not in tally.tests.values():
            text = "".join(self._output.get((tally.name, ""), []))
            case = _add_case(suite, tally.name, "[package]", 0.0)
            _add_failure(case, tally.reason or "the package failed", text)
        suite.set("tests", str(len(suite.findall("testcase"))))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("errors", "0")
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
        suite.set("time", f"{tally.seconds:.3f}")
        suite.set("timestamp", time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._started)))
        suite.set("hostname", "localhost")

    def _add_test(self, suite: Element, tally: PackageTally, name: str, outcome: str) -> None:
        text = "".join(self._output.get((tally.name, name), []))
        case = _add_case(suite, tally.name, name, tally.elapsed.get(name, 0.0))
        failed = self._failed.get((tally.name, name), [])
        if outcome == "fail":
            first, *others = failed or [_Failure(tally.failures.get(name, ""), text)]
            retries = [failure for failure in others if failure.attempt > 1]
            # With -count, a test may fail several times in one attempt.
            texts = [first.text, *(one.text for one in others if one.attempt <= 1)]
            _add_failure(case, first.message, "".join(texts), kind=first.kind)
            _add_attempts(case, "rerunFailure", retries)
        elif name in tally.flaky:
            _add_attempts(case, "flakyFailure", failed)
        elif outcome == "skip":
            SubElement(case, "skipped", message=_clean(text.strip()))


def _add_case(suite: Element, package: str, name: str, seconds: float) -> Element:
    return SubElement(
        suite, "testcase", name=_clean(name), classname=_clean(package), time=f"{seconds:.3f}"
    )


def _add_failure(case: Element, message: str, text: str, *, kind: str = "") -> None:
    failure = SubElement(case, "failure", message=_clean(message), type=_clean(kind or message))
    failure.text = _clean(text)


def _add_attempts(case: Element, tag: str, failed: Sequence[_Failure]) -> None:
    """Add failed attempts as Maven Surefire does."""
    for failure in failed:
        attempt = SubElement(case, tag, message=_clean(failure.message), type=_clean(failure.kind))
        SubElement(attempt, "stackTrace").text = _clean(failure.text)


def _clean(text: str) -> str:
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n… {len(text) - _LONGEST} characters …\n{text[-half:]}"
    return _FORBIDDEN.sub("\ufffd", text)
