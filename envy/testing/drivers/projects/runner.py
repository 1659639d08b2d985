"""Running the tests of one package by its kind, until each has a result.

Guarantees
  A process that ends while a test runs has failed that test, whatever its exit code; the tests
  after it run in another process, if the kind can select them.
  A process that fails although none of its tests did fails the package.
  Every test that was asked for ends with a result, unless the run was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from envy.errors import Cancelled, ScriptFailed
from envy.host.process import Completed, ProcessSpec, run
from envy.testing.drivers.go_tally import signal_name
from envy.testing.drivers.projects.job import SuiteJob, failure_of
from envy.testing.drivers.projects.kind import TestKind
from envy.testing.drivers.projects.project import ProjectTests, Tools
from envy.testing.drivers.projects.report import SuiteReport
from envy.testing.durations import go_duration
from envy.testing.package import Emit, PackageRun, PackageVerdict, RunSettings
from envy.testing.rules import serial_tests

# Seconds until a process begins its first test, or the next one, if the limit of a test is shorter.
LONGEST_START = 60.0


class SuiteRunner:
    """Runs the tests of one package, once."""

    def __init__(
        self,
        package_run: PackageRun,
        emit: Emit,
        kind: TestKind,
        tools: Tools,
        *,
        count: int,
        ends_at: float | None,
        count_failed: Callable[[], int],
    ) -> None:
        detail = package_run.package.detail
        assert isinstance(detail, ProjectTests)
        self._package = detail
        self._name = package_run.package.name
        self._selection = package_run.selection
        self._emit = emit
        self._kind = kind
        self._tools = tools
        self._settings: RunSettings = tools.settings
        self._count = count
        self._ends_at = ends_at
        self._count_failed = count_failed  # the failed tests of the session so far
        self._failed: dict[str, None] = {}
        self.reason = ""  # why the package failed, if that is not one of its tests
        self.unkept = ""  # why the result proves nothing about another run

    def run(self, names: Sequence[str], *, nothing: bool) -> PackageVerdict:
        """Run these tests; `nothing` says that no test is selected."""
        started = time.monotonic()
        frame = SuiteReport(self._name, self._emit, driver=self._package.project.settings.kind)
        frame.emit("start")
        try:
            for _ in range(0 if nothing else self._count):
                if not (self._is_stopped() or self.reason):
                    self._one_pass(names, attempt=0)
            self._retry()
        except Cancelled:
            self.reason = "cancelled"
        passed = not (self._failed or self.reason)
        seconds = round(time.monotonic() - started, 3)
        note = " [no tests to run]" if nothing and passed else ""
        word = "ok  " if passed else "FAIL"
        line = f"{word}\t{self._name}\t{seconds:.3f}s{note}\n"
        frame.emit("output", output=line, output_type="frame")
        frame.emit("pass" if passed else "fail", elapsed=seconds, reason=self.reason)
        return PackageVerdict.PASSED if passed else PackageVerdict.FAILED

    def _one_pass(self, names: Sequence[str], *, attempt: int) -> None:
        """Run tests until each has a result."""
        report = SuiteReport(self._name, self._emit, expected=names, attempt=attempt)
        left = list(names)
        isolate = self._settings.isolate and self._kind.selects
        try:
            while True:
                group = self._group(left, isolate=isolate)
                job = self._job(group, report)
                self._kind.run(job)
                before = len(left)
                left = [name for name in left if name not in report.ended]
                if not left or self.must_stop(report):
                    break
                going_on = isolate or len(group) < before or (job.crashed and self._kind.selects)
                if not going_on or len(left) == before:
                    break
            self._check_complete(report, left)
        except ScriptFailed as error:
            report.say(str(error))
            self.reason = "could not be started"
        finally:
            report.close()
            for name in report.failed:
                self._failed[name] = None

    def _group(self, left: list[str], *, isolate: bool) -> list[str]:
        """Return the tests of the next process: those that run alone come last, one by one."""
        if isolate or not self._kind.selects:
            return left[:1] if isolate else left
        alone = serial_tests(self._settings, self._name, left)
        return [name for name in left if name not in alone] or alone[:1]

    def _job(self, group: Sequence[str], report: SuiteReport) -> SuiteJob:
        return SuiteJob(
            name=self._name,
            package=self._package,
            tests=tuple(group),
            is_whole=not self._package.is_partial and len(group) == len(self._package.tests),
            environment=self._tools.environment_of(self._package.project),
            tools=self._tools,
            report=report,
            owner=self,
            run=self._selection.run,
            skip=self._selection.skip,
        )

    def _check_complete(self, report: SuiteReport, left: Sequence[str]) -> None:
        if self.reason or self._tools.children.stopping or self.must_stop(report):
            return
        if left:
            what = "test was" if len(left) == 1 else "tests were"
            report.say(f"{len(left)} {what} not reported: {', '.join(left[:3])}")
            self.reason = "count-mismatch"
        elif report.unexpected:
            names = list(report.unexpected)
            report.say(f"{len(names)} tests were not listed before: {', '.join(names[:3])}")
            self.reason = "count-mismatch"

    def _retry(self) -> None:
        if not (self._kind.selects and self._package.tests):
            return
        for attempt in self._settings.attempts:
            failed = [name for name in self._failed
                      if self._settings.retries_of(self._name, name) >= attempt - 1]  # fmt: skip
            if not failed or self._tools.children.stopping or self.reason:
                return
            for name in failed:
                del self._failed[name]
                self.unkept = "it needed another attempt"
                if not self._passes(name, attempt):
                    self._failed[name] = None
                    continue
                frame = SuiteReport(self._name, self._emit)
                frame.say(f"{name} is flaky: it passed in attempt {attempt}")
                if self._settings.flaky_fails:
                    self._failed[name] = None

    def _passes(self, name: str, attempt: int) -> bool:
        self._one_pass([name], attempt=attempt)
        return not self.reason and name not in self._failed

    # -- one process -----------------------------------------------------------------------------

    def start(
        self, job: SuiteJob, spec: ProcessSpec, *,
        on_end: Callable[[], None], judges_exit: bool, ends_running: bool,
    ) -> Completed:  # fmt: skip
        """Run a process for a job, and fail the tests that it leaves running."""
        report = job.report
        report.last_change = time.monotonic()
        failed = sum(end == "fail" for end in report.ended.values())
        try:
            completed = run(spec)
            on_end()
        except Cancelled:
            on_end()
            for test in reversed(report.running):
                report.fail_running(test, "cancelled")
            raise
        self._report_leftovers(report, completed)
        if completed.timed_out or (report.running and ends_running):
            self._end_running(job, completed)
        elif judges_exit and ends_running and completed.exit_code and failed == sum(
            end == "fail" for end in report.ended.values()
        ):  # fmt: skip
            self._explain(report, completed, "")
            self.reason = self.reason or self._reason(completed)
        return completed

    def _end_running(self, job: SuiteJob, completed: Completed) -> None:
        report = job.report
        job.crashed = True
        over = self._exceeding(report) if completed.timed_out else list(report.running)
        if completed.timed_out and self._is_over():
            over = list(report.running)
            self.reason = self.reason or "total-timeout"
        for test in reversed(over):
            if "/" not in test:
                self._explain(report, completed, test)
            report.fail_running(test, self._reason(completed))
        if not over:
            self._explain(report, completed, "")
            self.reason = self.reason or self._reason(completed)
        # Tests that ran beside one that took too long run again, in another process.
        for test in list(report.running):
            report.close_output(test)
            del report.running[test]

    def _exceeding(self, report: SuiteReport) -> list[str]:
        """Return the tests that ran longer than the limit, with their subtests."""
        ends = self._ends(report)
        limit = min(ends.values(), default=0.0) + 0.05
        over = {name for name, end in ends.items() if end <= limit}
        return [name for name in report.running if name.partition("/")[0] in over]

    def _ends(self, report: SuiteReport) -> dict[str, float]:
        """Return when the limits of the running tests that have one are over."""
        tops = {name: since for name, since in report.running.items() if "/" not in name}
        limits = {name: self._settings.timeout_of(self._name, name) for name in tops}
        return {name: since + limits[name] for name, since in tops.items() if limits[name] > 0}

    def deadline_of(self, report: SuiteReport, *, tells_starts: bool) -> Callable[[], float | None]:
        """Return a function that returns when the process is to be ended."""
        limit = self._settings.longest_timeout(self._name, list(report.expected))
        idle = max(limit, LONGEST_START) if tells_starts else limit

        def deadline() -> float | None:
            moments = [self._ends_at] if self._ends_at is not None else []
            moments += self._ends(report).values()
            if limit > 0 and not any("/" not in name for name in report.running):
                moments.append(report.last_change + idle)
            return min(moments, default=None)

        return deadline

    def must_stop(self, report: SuiteReport) -> bool:
        """Return whether no other process may be started."""
        if self._is_stopped() or self.reason:
            return True
        if self._settings.fail_fast and (self._failed or report.failed):
            return True
        most = self._settings.max_failures
        # The session does not see the events of a package whose turn has not come.
        own = len(self._failed) + len(report.failed)
        return bool(most and max(self._count_failed(), own) >= most)

    def _is_stopped(self) -> bool:
        if self._is_over():
            self.reason = self.reason or "total-timeout"
        return self._tools.children.stopping or bool(self.reason)

    def _is_over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _reason(self, completed: Completed) -> str:
        if completed.timed_out:
            return "total-timeout" if self._is_over() else "timeout"
        return failure_of(completed) or "exit 0"

    def _explain(self, report: SuiteReport, completed: Completed, test: str) -> None:
        report.close_output(test)  # the last line may have no end yet
        if completed.timed_out:
            where = test or "the package"
            limit = go_duration(self._settings.timeout_of(self._name, test.partition("/")[0]))
            text = (
                "the run took too long" if self._is_over() else f"{where} ran longer than {limit}"
            )
            report.say(f"terminated, because {text}", test=test)
        elif completed.signal is not None:
            report.emit("output", test=test, output=f"signal: {signal_name(completed.signal)}\n")
        else:
            report.emit("output", test=test, output=f"exit status {completed.exit_code}\n")

    def _report_leftovers(self, report: SuiteReport, completed: Completed) -> None:
        if completed.left_behind and not completed.timed_out:
            self.unkept = "it left processes behind"
            names = ", ".join(f"{name} ({pid})" for pid, name in completed.left_behind)
            text = f"envy: terminated leftover processes: {names}\n"
            report.emit("output", output=text, reason="leak")
