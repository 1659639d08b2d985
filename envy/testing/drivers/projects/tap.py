"""Reading the Test Anything Protocol, versions 12 to 14, line by line.

Guarantees
  A test whose result was read ends with it; a plan that is missing, not reached or exceeded, a
  number that comes twice and a bail-out fail the package.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field

from envy.testing.drivers.projects.names import test_name
from envy.testing.drivers.projects.report import SuiteReport

_RESULT = re.compile(r"(?P<not>not )?ok\b(?:[ \t]+(?P<number>\d+)(?=\s|$))?(?P<rest>.*)")
_PLAN = re.compile(r"1\.\.(?P<count>\d+)(?:\s*#\s*(?P<note>.*))?\s*")
_DIRECTIVE = re.compile(r"(?<!\\)\s#\s*(?P<word>SKIP|TODO)\S*\s*(?P<why>.*)$", re.IGNORECASE)
_SUBTEST = re.compile(r"#\s*Subtest(?::\s*(?P<name>.*))?\s*")
_LONGEST = 1 << 20


@dataclass(slots=True)
class _Level:
    """The results of one level: those of a file, or of a subtest."""

    plan: int | None = None
    count: int = 0
    failed: bool = False
    numbers: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Result:
    """A result whose diagnostics may follow, and the subtests that came before it."""

    name: str
    outcome: str
    reason: str
    seconds: float
    lines: list[str]
    inner: list[_Result] = field(default_factory=list)


class TapReader:
    """Takes output in the format, and tells the tests in it."""

    def __init__(self, report: SuiteReport) -> None:
        self._report = report
        self._rest = b""
        self._level = _Level()
        self._pending: _Result | None = None
        self._before: list[str] = []  # lines of a subtest whose result is still to come
        self._inner: list[_Result] = []  # results of that subtest
        self._in_yaml = False
        self._last = time.monotonic()
        self.first_line = ""  # the first line that is not empty
        self.is_known = False  # a line of the format was read
        self.bailed = ""

    @property
    def says_nothing(self) -> bool:
        """Whether the plan has no test."""
        return self._level.plan == 0

    def feed(self, chunk: bytes) -> None:
        """Take a chunk of output."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line.decode("utf-8", "replace").rstrip("\r"))
        if len(self._rest) > _LONGEST:
            self._line(self._rest.decode("utf-8", "replace"))
            self._rest = b""

    def finish(self) -> str:
        """Take the end; return why the package failed, "" if only its tests decide."""
        if self._rest:
            self._line(self._rest.decode("utf-8", "replace"))
            self._rest = b""
        self._end_pending()
        for line in self._before:
            self._report.output("", f"{line}\n")
        level = self._level
        if self.bailed:
            return f"bailed out: {self.bailed}" if self.bailed.strip() else "bailed out"
        if not self.is_known:
            return ""
        if level.plan is None:
            return "the output has no plan"
        if level.count != level.plan:
            return f"the plan has {level.plan} tests, and {level.count} were reported"
        if len(level.numbers) not in {0, level.count}:
            return "a number was reported twice"
        return ""

    def _line(self, line: str) -> None:
        if not self.first_line:
            self.first_line = line.strip()
        text = line.lstrip(" ")
        indent = len(line) - len(text)
        if self.bailed:
            self._report.output("", f"{line}\n")
        elif self._in_yaml:
            self._in_yaml = text.rstrip() != "..."
            self._note(line)
        elif text.rstrip() == "---" and indent:
            self._in_yaml = True
            self._note(line)
        elif text.startswith("Bail out!"):
            self.is_known = True
            self._end_pending()
            self.bailed = text.removeprefix("Bail out!").strip() or " "
        elif indent >= 4:
            self._inner_line(line, text)
        else:
            self._top_line(line, text)

    def _top_line(self, line: str, text: str) -> None:
        result = _RESULT.fullmatch(text)
        plan = _PLAN.fullmatch(text)
        if result is not None:
            self.is_known = True
            self._end_pending()
            self._pending = self._result(result, self._level)
        elif plan is not None:
            self.is_known = True
            if self._level.plan is not None:
                self._level.count = -1  # two plans: no number fits
            self._level.plan = int(plan["count"])
        elif text.startswith("TAP version"):
            self.is_known = True
        elif _SUBTEST.fullmatch(text):
            self._end_pending()
        elif not text.startswith("pragma "):
            self._note(line)

    def _inner_line(self, line: str, text: str) -> None:
        """Take a line of a subtest, whose own result follows."""
        result = _RESULT.fullmatch(text)
        if result is None:
            self._before.append(line)
            return
        self._end_pending()
        self._inner.append(self._result(result, None, lines=[line]))

    def _result(
        self, found: re.Match[str], level: _Level | None, *, lines: list[str] | None = None
    ) -> _Result:  # fmt: skip
        rest = found["rest"].strip()
        directive = _DIRECTIVE.search(f" {rest}" if rest.startswith("#") else rest)
        why = ""
        outcome = "fail" if found["not"] else "pass"
        if directive is not None:
            rest = rest[: max(0, directive.start() - (1 if rest.startswith("#") else 0))].strip()
            why = directive["why"].strip()
            if directive["word"].upper() == "SKIP" or outcome == "fail":
                outcome = "skip"
        name = rest.removeprefix("-").strip().replace("\\#", "#")
        number = found["number"]
        if level is not None:
            level.count += 1
            level.numbers.add(int(number) if number else level.count)
            name = name or str(number or level.count)
        now = time.monotonic()
        seconds, self._last = now - self._last, now
        result = _Result(test_name(name or number or ""), outcome, why, seconds, lines or [])
        if level is not None:
            result.lines, self._before = self._before, []
            result.inner, self._inner = self._inner, []
        return result

    def _note(self, line: str) -> None:
        if self._pending is not None:
            self._pending.lines.append(line)
        elif line.strip():
            self._report.output("", f"{line}\n")

    def _end_pending(self) -> None:
        result, self._pending = self._pending, None
        if result is None:
            return
        report = self._report
        name = report.unique(result.name)
        report.begin(name)
        for line in result.lines:
            report.output(name, f"{line}\n")
        for inner in result.inner:
            report.end(
                report.unique(f"{name}/{inner.name}"),
                inner.outcome,
                seconds=inner.seconds,
            )
        if result.reason:
            report.output(name, f"{result.reason}\n")
        outcome = result.outcome
        report.end(name, outcome, seconds=result.seconds)
