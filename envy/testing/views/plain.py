"""Lines for a reader: results on one stream, progress on the other.

The output of a test is shown when the test has failed; a package has one line when it has ended.
The output of benchmarks and fuzzing is always shown, since it is their purpose.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterable
from enum import Enum

from envy.console.renditions import painted_spans, rendered_spans
from envy.console.styled import StyledText, painted
from envy.console.text import Streams, format_seconds, safe_line, safe_lines, write_line
from envy.masking import masked
from envy.testing.coverage.report import coverage_lines
from envy.testing.events import ENDINGS, StreamEvent
from envy.testing.excerpt import Excerpt
from envy.testing.results import PackageTally, Recorder
from envy.testing.session_result import SessionResult

_KEPT = 8 << 20  # characters of a test and its subtests, or of a package outside its tests
_MEASURED = re.compile(r"Benchmark\S*\s+\d+\s.*/op")
_FRAME = re.compile(r"=== |Benchmark\S*$")


_WORDS = {"ok": "success", "FAIL": "failure", "?": "faint", "SLOW": "warning"}


class ShowOutput(Enum):
    """The tests whose output is shown."""

    FAILED = "failed"
    ALL = "all"
    NONE = "none"


class PlainView:
    """Writes plain lines."""

    def __init__(
        self,
        streams: Streams,
        *,
        show: ShowOutput = ShowOutput.FAILED,
        slow: float = 0.0,
        slowest: int = 0,
        profile: bool = False,
        coverage: str = "",
        quiet: bool = False,
        live: bool = False,
        colours: bool = False,
    ) -> None:
        self._streams = streams
        self._show = show
        self._slow = slow
        self._slowest = slowest
        self._profile = profile
        self._coverage = coverage
        self._quiet = quiet
        self._colours = colours
        self._live = live and not quiet  # whether a line may be rewritten
        self._said: set[str] = set()
        self._drawn = False
        self._drawn_at = 0.0
        self._recorder = Recorder()
        self._held: dict[str, Excerpt] = {}  # output by top-level test, "" the package
        self._built = False

    # -- events --------------------------------------------------------------------------------

    def on_phase(self, phase: str, done: int, total: int) -> None:
        """Write the progress to standard error."""
        if self._quiet:
            return
        if self._live:
            self._draw(phase, done, total)
        elif phase == "building" and total and phase not in self._said:
            self._said.add(phase)
            self._say(f"building {counted(total, 'package')}")

    def on_event(self, event: StreamEvent) -> None:
        """Write the lines of an event; keep output until its test or package has ended."""
        self._recorder.on_event(event)
        if event.is_left_out:
            return
        if not event.package:
            self._on_build(event)
        elif event.action == "output":
            if event.output and event.output.startswith("fuzz: ") and not self._quiet:
                self._pass_on(event.output)  # the progress of fuzzing, which may take hours
            elif event.output:
                self._hold(event.top_level, event.output)
        elif event.test:
            if event.action in ENDINGS and "/" not in event.test:
                self._on_test_end(event)
        elif event.action in ENDINGS:
            self._on_package_end(event)

    def _hold(self, test: str, text: str) -> None:
        held = self._held.get(test)
        if held is None:
            held = self._held[test] = Excerpt(_KEPT)
        held.add(text)

    def _on_build(self, event: StreamEvent) -> None:
        if event.action == "build-output" and event.output and self._show is not ShowOutput.NONE:
            self._pass_on(event.output)

    def _on_test_end(self, event: StreamEvent) -> None:
        output = self._held.pop(event.test, ())
        if self._slow and (event.elapsed or 0.0) >= self._slow:
            self._write_word(f"SLOW  {event.package}.{event.test}  {event.elapsed:.2f}s")
        if self._show is ShowOutput.ALL or (
            self._show is ShowOutput.FAILED and event.action == "fail"
        ):
            self._write_all(output)

    def _on_package_end(self, event: StreamEvent) -> None:
        tally = self._recorder.packages[event.package]
        loose = _without_summary(self._held.pop("", ()))
        rest = [line for lines in self._held.values() for line in lines]
        self._held.clear()
        failed = event.action == "fail"
        if self._show is ShowOutput.ALL or (failed and self._show is ShowOutput.FAILED):
            self._write_all([*rest, *loose])
        elif self._show is ShowOutput.FAILED:
            self._write_all(_benchmarks([*loose, *rest]))
        if failed or not self._quiet:
            line = _package_line(tally)
            if line:
                self._write_word(line)

    # -- the end -------------------------------------------------------------------------------

    def on_end(self, result: SessionResult) -> None:
        """Write the summary, preceded by the requested lists."""
        self._erase()
        if result.built_only:
            self._write_builds(result)
        if self._slowest:
            self._write(f"slowest tests ({self._slowest}):")
            for seconds, package, test in result.recorder.slowest(self._slowest):
                self._write(f"  {seconds:7.2f}s  {package}.{test}")
        if self._profile:
            self._write_profile(result)
        self._write_coverage(result)
        for note in result.notes:
            self._write(note)
        for line in left_out_lines(result.recorder.left_out.values()):
            self._write(line)
        failures = failed_tests(result.recorder)
        if failures and self._show is not ShowOutput.NONE:
            self._write("failed:", "failure")
            for line in failures:
                self._write(f"  {line}")
        self._write(summary_line(result), _style_of(result))

    def _write_coverage(self, result: SessionResult) -> None:
        if result.coverage is not None:
            for line in coverage_lines(result.coverage, self._coverage):
                self._write(line)
        elif self._coverage:
            for tally in result.recorder.packages.values():
                if tally.coverage:
                    self._write(f"coverage  {tally.name}  {tally.coverage}")

    def _write_builds(self, result: SessionResult) -> None:
        for run in result.runs:
            if run.binary is not None and run.package.has_tests and not self._quiet:
                how = "kept" if run.kept else "built"
                self._write(
                    f"{how:5} {run.package.name}  {counted(len(run.package.tests), 'test')}"
                )

    def _write_profile(self, result: SessionResult) -> None:
        phases = "  ".join(f"{name} {seconds:.2f}s" for name, seconds in result.phases.items())
        self._write(f"where time went: {phases}")
        for run in sorted(result.runs, key=lambda run: -sum(run.seconds.values())):
            parts = "  ".join(f"{name} {seconds:.2f}s" for name, seconds in run.seconds.items())
            self._write(f"  {run.package.name}: {parts}{' (binary kept)' if run.kept else ''}")

    # -- writing -------------------------------------------------------------------------------

    def _write_all(self, pieces: Iterable[str]) -> None:
        """Write kept output line by line, since joining it could take many megabytes."""
        line = ""
        for piece in pieces:
            line += piece
            if line.endswith("\n"):
                self._pass_on(line)
                line = ""
        if line:
            self._pass_on(line)

    def _pass_on(self, text: str) -> None:
        """Write what a test or a compiler said; its colours are kept where envy has some."""
        if not self._colours:
            self._write(text)
            return
        self._erase()
        for line in masked(text.removesuffix("\n")).split("\n"):
            write_line(self._streams.output, painted_spans(rendered_spans(line)))

    def _write(self, text: str, style: str = "") -> None:
        self._erase()
        if text:
            for line in safe_lines(text.removesuffix("\n")):
                self._write_parts(StyledText(line, style))

    def _write_word(self, text: str) -> None:
        """Write a line of envy, whose first word says how it ended, in its colour."""
        self._erase()
        word, blank, rest = safe_line(text).partition(" ")
        self._write_parts(StyledText(word, _WORDS.get(word, "")), StyledText(blank + rest))

    def _write_parts(self, *parts: StyledText) -> None:
        write_line(self._streams.output, painted(parts, colours=self._colours))

    def _say(self, text: str) -> None:
        for line in safe_lines(text):
            write_line(self._streams.errors, line)

    def _draw(self, phase: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn_at < 0.05 and done not in {0, total}:
            return
        self._drawn_at = now
        text = f"{phase} {bar(done, total)} {done}/{total}" if total else f"{phase} …"
        self._streams.errors.write(f"\r\x1b[K{text}")
        self._streams.errors.flush()
        self._drawn = True

    def _erase(self) -> None:
        if self._drawn:
            self._streams.errors.write("\r\x1b[K")
            self._streams.errors.flush()
            self._drawn = False


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 package`, `2 packages`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def bar(done: int, total: int, *, width: int = 20) -> str:
    """Return a progress bar."""
    filled = round(width * done / total) if total else 0
    return f"[{'█' * filled}{'░' * (width - filled)}]"


def _without_summary(lines: Iterable[str]) -> list[str]:
    """Return the package's own output without the results that the package's line repeats."""
    return [line for line in lines if line not in {"PASS\n", "FAIL\n"} and not _is_result(line)]


def _benchmarks(lines: list[str]) -> list[str]:
    """Return the lines that `go test -bench` would print; none if there is no result."""
    if not any(_MEASURED.match(line) for line in lines):
        return []
    return [line for line in lines if not _FRAME.match(line)]


def _is_result(line: str) -> bool:
    return line.startswith(("ok  \t", "FAIL\t", "?   \t"))


def _package_line(tally: PackageTally) -> str:
    count = len([name for name in tally.tests if "/" not in name])
    if tally.outcome == "skip":
        return f"?     {tally.name}  [no test files]"
    if tally.failed_build:
        return f"FAIL  {tally.name}  [build failed]"
    if tally.outcome == "pass":
        notes = f", {len(tally.flaky)} flaky" if tally.flaky else ""
        inner = len(tally.top_level("fail"))
        notes += f", {inner} failed inside tests" if inner else ""
        notes += ", left processes behind" if tally.leaks else ""
        notes += ", cached" if tally.cached else ""
        notes += ", remote" if tally.remote else ""
        return f"ok    {tally.name}  {tally.seconds:.3f}s  ({counted(count, 'test')}{notes})"
    reason = f" [{tally.reason}]" if tally.reason else ""
    part = f"{len(tally.top_level('fail'))} of {counted(count, 'test')} failed"
    if not count and tally.reason:
        return f"FAIL  {tally.name}  {tally.seconds:.3f}s  [{tally.reason}]"
    return f"FAIL  {tally.name}  {tally.seconds:.3f}s  ({part}){reason}"


def failed_tests(recorder: Recorder) -> list[str]:
    """Return a line for each failed test, and for each package that failed without one."""
    lines = []
    for tally in recorder.packages.values():
        if tally.outcome == "pass":  # only tests that its tests ran on purpose have failed
            continue
        for name in tally.failures:
            reason = tally.failures[name]
            lines.append(f"{tally.name}.{name}" + (f" ({reason})" if reason else ""))
        if tally.failed_build:
            lines.append(f"{tally.name} (build failed)")
        elif tally.outcome == "fail" and not tally.failures:
            lines.append(f"{tally.name} ({tally.reason or 'failed outside its tests'})")
    return lines


def left_out_lines(reasons: Iterable[str]) -> list[str]:
    """Return a line for each reason for which packages were left out."""
    return [f"{counted(number, 'package')} {reason}" for reason, number in Counter(reasons).items()]


def _style_of(result: SessionResult) -> str:
    """Return the style of the last line, by the outcome."""
    if result.cancelled:
        return "warning"
    return "failure" if result.exit_code else "success"


def summary_line(result: SessionResult) -> str:
    """Return the last line of the output: the result in numbers."""
    counts = result.recorder.counts()
    if result.recorder.left_out and not (result.runs or counts.packages or result.cancelled):
        return f"nothing to run, {format_seconds(result.seconds)}"
    if result.built_only:
        built = sum(run.binary is not None for run in result.runs)
        unbuilt = f", {counts.unbuilt} failed to build" if counts.unbuilt else ""
        return f"built {counted(built, 'package')}{unbuilt} in {format_seconds(result.seconds)}"
    parts = [f"{counts.passed} passed", f"{counts.failed} failed", f"{counts.skipped} skipped"]
    if counts.flaky:
        parts.append(f"{counts.flaky} flaky")
    where = counted(counts.packages, "package")
    notes = []
    if counts.failed_packages:
        notes.append(f"{counts.failed_packages} failed")
    if counts.unbuilt:
        notes.append(f"{counts.unbuilt} not built")
    if counts.cached:
        notes.append(f"{counts.cached} cached")
    if counts.remote:
        notes.append(f"{counts.remote} remote")
    if result.not_run:
        notes.append(f"{result.not_run} not run")
    where += f" ({', '.join(notes)})" if notes else ""
    state = "interrupted: " if result.cancelled else ""
    stopped = f"; stopped, because {result.stopped}" if result.stopped else ""
    stopped += f"; {result.too_little}" if result.too_little else ""
    took = format_seconds(result.seconds)
    return f"{state}{', '.join(parts)} in {where}, {took}{stopped}"
