"""Reading a JUnit report, which a program of the project has written, within bounds.

Guarantees
  A document type, and with it every entity, is refused; nothing outside the report is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

from envy.limits import TEST_REPORT

_DEEPEST = 100


class BadReport(Exception):
    """The report cannot be used; the text says why, as the end of a sentence."""


@dataclass(slots=True)
class ReportedCase:
    """One `testcase`."""

    name: str
    outcome: str = "pass"
    seconds: float | None = None
    message: str = ""
    output: list[str] = field(default_factory=list)


def read_report(data: bytes) -> list[ReportedCase]:
    """Return the cases of a report in their order.

    Raises:
        BadReport: it is not a JUnit report, or says of itself what its cases do not.
    """
    if len(data) > TEST_REPORT.value:
        raise BadReport(f"exceeds {TEST_REPORT.shown}, the limit {TEST_REPORT.name}")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.begin
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    parser.ExternalEntityRefHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(data, True)  # noqa: FBT003
    except expat.ExpatError as error:
        raise BadReport(f"is not a complete XML document: {error}") from error
    except (ValueError, LookupError) as error:  # an encoding that Python lacks
        raise BadReport(f"cannot be read: {error}") from error
    if reader.promised > sum(case.outcome == "fail" for case in reader.cases):
        raise BadReport(f"says that {reader.promised} tests failed, and does not name them all")
    return reader.cases


def _refuse(*_arguments: object) -> int:
    raise BadReport("has a document type or an entity, which no JUnit report needs")


class _Reader:
    def __init__(self) -> None:
        self.cases: list[ReportedCase] = []
        self.promised = 0  # failures and errors that the suites count
        self._case: ReportedCase | None = None
        self._text: list[str] | None = None
        self._depth = 0

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise BadReport(f"is nested more than {_DEEPEST} deep")
        tag = tag.rpartition(":")[2]
        if self._depth == 1 and tag not in {"testsuites", "testsuite"}:
            raise BadReport(f"begins with <{tag[:40]}>, not with <testsuites> or <testsuite>")
        if tag == "testsuite" and self._depth <= 2:
            self.promised += _number(attributes, "failures") + _number(attributes, "errors")
        elif tag == "testcase":
            self._case = ReportedCase(_name(attributes), seconds=_seconds(attributes))
            if attributes.get("status") == "notrun" or attributes.get("result") == "suppressed":
                self._case.outcome = "skip"
        elif self._case is not None and tag in {"failure", "error", "skipped"}:
            if self._case.outcome != "fail":
                self._case.outcome = "skip" if tag == "skipped" else "fail"
            message = attributes.get("message", "")
            if message:
                self._case.output.append(message)
            self._text = []
        elif self._case is not None and tag in {"system-out", "system-err"}:
            self._text = []

    def end(self, tag: str) -> None:
        self._depth -= 1
        tag = tag.rpartition(":")[2]
        if self._case is None:
            return
        if self._text is not None and tag != "testcase":
            text = "".join(self._text).strip("\n")
            if text and text not in self._case.output:
                self._case.output.append(text)
            self._text = None
        elif tag == "testcase":
            self.cases.append(self._case)
            self._case = None

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)


def _name(attributes: dict[str, str]) -> str:
    name, group = attributes.get("name", ""), attributes.get("classname", "")
    return f"{group}::{name}" if group and group != name else name


def _seconds(attributes: dict[str, str]) -> float | None:
    try:
        seconds = float(attributes.get("time", "").replace(",", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < 1e9 else None


def _number(attributes: dict[str, str], name: str) -> int:
    text = attributes.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
