"""A JUnit XML report, written when the run is over.

A package is a test suite, a test (with its subtests, each its own) a test case. A package that
was not built, or that failed outside its tests, has a case of its own that says so.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from envy.testing.events import StreamEvent
from envy.testing.excerpt import Excerpt
from envy.testing.results import PackageTally
from envy.testing.session import SessionResult

# What XML 1.0 cannot carry, even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LONGEST = 64 << 10  # characters of output in one failure


class JunitView:
    """Keeps the output of tests until it is known which of them failed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._output: dict[tuple[str, str], Excerpt] = {}
        self._started = time.time()

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Not part of the report."""

    def on_event(self, event: StreamEvent) -> None:
        """Keep output, and drop that of tests that went well."""
        key = (event.package, event.test)
        if event.action == "output" and event.output:
            if key not in self._output:
                self._output[key] = Excerpt(_LONGEST)
            self._output[key].add(event.output)
        elif event.test and event.action == "pass":
            self._output.pop(key, None)

    def on_end(self, result: SessionResult) -> None:
        """Write the file."""
        tallies = list(result.recorder.packages.values())
        suites = [
            self._suite(number, tally, result.recorder.build_output)
            for number, tally in enumerate(tallies)
        ]
        tests = sum(count for _, count, _ in suites)
        failures = sum(failed for _, _, failed in suites)
        head = (
            f'<testsuites name="envy test" tests="{tests}" failures="{failures}" errors="0" '
            f'time="{result.seconds:.3f}">'
        )
        text = "\n".join(
            ['<?xml version="1.0" encoding="UTF-8"?>', head, *(row for row, *_ in suites)]
        )
        self._path.write_text(f"{text}\n</testsuites>\n", encoding="utf-8")

    def _suite(
        self, number: int, tally: PackageTally, built: dict[str, list[str]]
    ) -> tuple[str, int, int]:
        cases = [self._case(tally, name, outcome) for name, outcome in tally.tests.items()]
        failed = sum(outcome == "fail" for outcome in tally.tests.values())
        skipped = sum(outcome == "skip" for outcome in tally.tests.values())
        if tally.failed_build:
            text = "".join(built.get(tally.failed_build, []))
            cases.append(_failure_case(tally.name, "[build failed]", "build failed", text))
            failed += 1
        elif tally.outcome == "fail" and not failed:
            text = "".join(self._output.get((tally.name, ""), []))
            reason = tally.reason or "the package failed"
            cases.append(_failure_case(tally.name, "[package]", reason, text))
            failed += 1
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._started))
        head = (
            f'<testsuite name={_attribute(tally.name)} id="{number}" tests="{len(cases)}" '
            f'failures="{failed}" errors="0" skipped="{skipped}" time="{tally.seconds:.3f}" '
            f'timestamp="{moment}" hostname="localhost">'
        )
        return "\n".join([head, *cases, "</testsuite>"]), len(cases), failed

    def _case(self, tally: PackageTally, name: str, outcome: str) -> str:
        text = "".join(self._output.get((tally.name, name), []))
        head = _case_head(tally.name, name, tally.elapsed.get(name, 0.0))
        if outcome == "fail":
            message = tally.failures.get(name) or "failed"
            return f"{head}{_failure(message, text)}</testcase>"
        if outcome == "skip":
            return (
                f"{head}<skipped message={_attribute(_clean(text.strip()))}></skipped></testcase>"
            )
        return f"{head}</testcase>"


def _failure_case(package: str, name: str, message: str, text: str) -> str:
    return f"{_case_head(package, name, 0.0)}{_failure(message, text)}</testcase>"


def _case_head(package: str, name: str, seconds: float) -> str:
    return (
        f'<testcase name={_attribute(name)} classname={_attribute(package)} time="{seconds:.3f}">'
    )


def _failure(message: str, text: str) -> str:
    return f'<failure message={_attribute(message)} type="">{escape(_clean(text))}</failure>'


def _attribute(text: str) -> str:
    return quoteattr(_clean(text), {"\n": "&#10;", "\t": "&#9;"})


def _clean(text: str) -> str:
    if len(text) > _LONGEST:
        half = _LONGEST // 2
        text = f"{text[:half]}\n… {len(text) - _LONGEST} characters …\n{text[-half:]}"
    return _FORBIDDEN.sub("\ufffd", text)
