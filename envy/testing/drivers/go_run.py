"""Running the test binary of one Go package until each of its tests has a result.

A test that ends its process (a panic, os.Exit, a deadlock, a time limit) fails with the reason.
Another process runs the remaining tests, among them those that were running in parallel to it.

Guarantees
  The tests reported are the tests listed, or the package fails with `count-mismatch`.
  A process that exits with 0 while a test is running has not passed the test.
  A process that makes no progress is the last one.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from envy.errors import Cancelled, ScriptFailed
from envy.host.process import Completed, ProcessSpec
from envy.testing.drivers.go_argv import MARKS, argv_of
from envy.testing.drivers.go_dump import folder_to_cut
from envy.testing.drivers.go_ends import ProcessResult, culprits, reason_of
from envy.testing.drivers.go_flags import GoFlags
from envy.testing.drivers.go_output import OutputConverter
from envy.testing.drivers.go_remote import Start, start_here
from envy.testing.drivers.go_tally import Limits, Tally, merge, note_ends, signal_name
from envy.testing.drivers.go_toolchain import GoToolchain
from envy.testing.durations import go_duration
from envy.testing.package import Emit, PackageRun, PackageVerdict, RunSettings
from envy.testing.package_events import PackageEvents
from envy.testing.rules import serial_tests

_LONGEST_PATTERN = 100_000  # bytes; Linux limits an argument to 128 KiB


class PackageRunner:
    """Runs the tests of one package, once."""

    def __init__(
        self,
        toolchain: GoToolchain,
        flags: GoFlags,
        settings: RunSettings,
        package_run: PackageRun,
        emit: Emit,
        *,
        count: int,
        ends_at: float | None,
        scratch: Callable[[str], Path],
        count_failed: Callable[[], int],
        start: Start = start_here,
    ) -> None:
        self._toolchain = toolchain
        self._flags = flags
        self._settings = settings
        self._run = package_run
        self._name = package_run.package.name
        self._emit_to = emit
        self._emit = PackageEvents(emit, package_run.package.name, "go").emit
        self._count = count
        self._ends_at = ends_at  # of the whole session
        self._scratch = scratch
        self._count_failed = count_failed  # the failed tests of the session so far
        self.logs: list[Path] = []  # what each process consulted
        self.unkept = ""  # why the result proves nothing about another run
        self._start = start

    def run(self, names: Sequence[str]) -> PackageVerdict:
        """Run these top-level tests."""
        started = time.monotonic()
        self._emit("start")
        tally = Tally(remaining=list(names))
        try:
            if names or self._runs_more_than_tests():
                self._first_round(tally)
                self._retry(tally)
        except Cancelled:
            tally.reason = "cancelled"
        passed = not (tally.failed or tally.reason or tally.failed_outside)
        seconds = round(time.monotonic() - started, 3)
        note = "" if names or self._runs_more_than_tests() else " [no tests to run]"
        line = f"ok  \t{self._name}\t{seconds:.3f}s{note}\n"
        if not passed:
            line = f"FAIL\t{self._name}\t{seconds:.3f}s\n"
        self._emit("output", output=line, output_type="frame")
        self._emit("pass" if passed else "fail", elapsed=seconds, reason=tally.reason)
        return PackageVerdict.PASSED if passed else PackageVerdict.FAILED

    def _runs_more_than_tests(self) -> bool:
        """Return whether there is something to run without tests: benchmarks, fuzzing, TestMain."""
        return self._flags.changes_set or not self._run.package.tests

    # -- rounds --------------------------------------------------------------------------------

    def _first_round(self, tally: Tally) -> None:
        whole = tuple(tally.remaining) == self._run.package.tests and not (
            self._settings.isolate or serial_tests(self._settings, self._name, tally.remaining)
        )
        selection = self._run.selection
        if whole and selection.names is None and not selection.run:
            self._until_done(tally, None)
            return
        if not tally.remaining:
            self._until_done(tally, [])
            return
        for group in self._groups(list(tally.remaining)):
            part = Tally(remaining=group)
            self._until_done(part, group)
            merge(tally, part)
            if self._must_stop(tally):
                break

    def _groups(self, names: Sequence[str]) -> Iterator[list[str]]:
        if self._settings.isolate:
            yield from ([name] for name in names)
            return
        alone = serial_tests(self._settings, self._name, names)
        together = [name for name in names if name not in alone] if alone else names
        group: list[str] = []
        length = 0
        for name in together:
            length += len(name.encode()) + 8
            if group and length > _LONGEST_PATTERN:
                yield group
                group, length = [], len(name.encode()) + 8
            group.append(name)
        if group:
            yield group
        yield from ([name] for name in alone)

    def _until_done(self, tally: Tally, group: list[str] | None) -> None:
        """Start processes until no test remains that another process could run."""
        names = group
        while True:
            left_before = len(tally.remaining)
            process = self._run_process(names, tally.carried_over, attempt=0)
            if process is None:
                tally.reason = tally.reason or "could not be started"
                return
            crashed = self._account(process, tally)
            if not crashed or not tally.remaining or self._must_stop(tally):
                break
            if len(tally.remaining) == left_before:
                break
            names = next(self._groups(tally.remaining))
        self._check_count(tally)

    def _must_stop(self, tally: Tally) -> bool:
        if self._toolchain.children.stopping:
            return True
        if self._ends_at is not None and time.monotonic() >= self._ends_at:
            tally.reason = "total-timeout"
            return True
        return self._has_failed_enough(tally)

    def _has_failed_enough(self, tally: Tally) -> bool:
        if self._settings.fail_fast and tally.failed:
            return True
        most = self._settings.max_failures
        # The session does not see the events of a package whose turn has not come.
        return bool(most and max(self._count_failed(), len(tally.failed)) >= most)

    def _check_count(self, tally: Tally) -> None:
        if not tally.remaining or tally.reason or self._flags.fuzz:
            return
        if self._has_failed_enough(tally):
            return
        total = len(self._run.package.tests)
        text = ", ".join(tally.remaining[:5]) + (", …" if len(tally.remaining) > 5 else "")
        self._say(f"{len(tally.remaining)} of {total} tests were not reported: {text}")
        tally.reason = "count-mismatch"

    # -- one process ---------------------------------------------------------------------------

    def _run_process(
        self, names: Sequence[str] | None, carried_over: frozenset[str], *, attempt: int
    ) -> ProcessResult | None:
        converter = OutputConverter(
            self._name,
            self._emit_to,
            has_markup=self._toolchain.has_markup,
            attempt=attempt,
            carried_over=carried_over,
        )
        limits = Limits(converter, self._timeout_of, self._ends_at)
        package = self._run.package
        spec = ProcessSpec(
            argv=self._argv(names),
            command=f"{package.name}.test",
            cwd=package.directory,
            environment={**self._toolchain.environment, "PWD": str(package.directory)},
            children=self._toolchain.children,
            label=package.name,
            on_output=lambda _stream, chunk: converter.feed(chunk),
            merged=True,
            moving_deadline=limits.deadline,
            ending_signal=getattr(signal, "SIGQUIT", signal.SIGTERM),
            looks_for_leftovers=True,
        )
        try:
            tests = package.tests if names is None else names
            completed = self._start(spec, converter.feed, tests, attempt)
        except ScriptFailed as error:
            is_foreign = not self._toolchain.is_native and not self._flags.execute_with
            self._say(error.message if is_foreign else str(error))
            if is_foreign:
                self._say(
                    f"the binary is for {self._toolchain.target}; -exec names a program that can "
                    "run it here"
                )
            return None
        except Cancelled:
            limited = frozenset(converter.progress.active)
            converter.finish()
            self._end_open(converter, limited, "cancelled")
            raise
        limited = limits.exceeded() if completed.timed_out else frozenset()
        is_panic = completed.exit_code == 2 and not completed.timed_out
        cut = folder_to_cut(self._toolchain) if completed.exit_code else ""
        converter.finish(cut=cut, reason="panic" if is_panic else "")
        self._report_leftovers(completed)
        return ProcessResult(completed, converter, limited)

    def _timeout_of(self, name: str) -> float:
        # As with `go test`, only -fuzztime limits fuzzing.
        return 0.0 if self._flags.fuzz else self._settings.timeout_of(self._name, name)

    def _argv(self, names: Sequence[str] | None) -> list[str]:
        argv = argv_of(
            *(self._toolchain, self._flags, self._settings, self._run, names),
            count=self._count,
            scratch=self._scratch,
        )
        if self._run.result_key:
            log = self._scratch("testlog")
            self.logs.append(log)
            argv.insert(len(argv) - len(self._flags.arguments), f"-test.testlogfile={log}")
        return argv

    # -- results -------------------------------------------------------------------------------

    def _account(self, process: ProcessResult, tally: Tally) -> bool:
        """Record how a process ended; return whether it ended before its tests did."""
        progress = process.converter.progress
        code = process.completed.exit_code
        if self._toolchain.version < MARKS and not code and progress.summary == "PASS":
            self._settle_open(process.converter)
        tally.wrote = tally.wrote or process.converter.saw_output
        # Tests may run and report tests of their own; only the testing package writes the summary.
        is_passed = not (code or progress.open or process.completed.timed_out)
        if not is_passed or progress.summary != "PASS":
            note_ends(tally, progress.ended)
        ended = {name for name in progress.ended if "/" not in name}
        tally.remaining = [name for name in tally.remaining if name not in ended]
        if not progress.open and progress.summary and not process.completed.timed_out:
            if code and not tally.failed:
                tally.failed_outside = True
                self._report_exit(process)
            return False
        reason = reason_of(process, is_total=self._ends_at is not None)
        caused_by = culprits(process)
        if caused_by or code or process.completed.timed_out:
            self._report_exit(process)
        if process.completed.timed_out and not caused_by:
            tally.reason = reason
            self._say("no test was running")
        elif code and not (progress.open or progress.ended or progress.summary):
            tally.reason = f"{reason} before its tests"
        self._end_open(process.converter, caused_by, reason)
        tops = {name.partition("/")[0] for name in caused_by}
        tally.failed |= dict.fromkeys(name for name in tally.remaining if name in tops)
        tally.failed |= dict.fromkeys(sorted(tops))
        tally.remaining = [name for name in tally.remaining if name not in tops]
        tally.carried_over = frozenset(
            name for name in progress.open if name.partition("/")[0] not in tops
        )
        if code and not tally.failed:
            tally.failed_outside = True
        return bool(code or caused_by or process.completed.timed_out)

    def _settle_open(self, converter: OutputConverter) -> None:
        """Pass open tests of an old Go, whose unmarked end may follow other text on a line."""
        progress = converter.progress
        for name in sorted(progress.open, key=lambda name: (-name.count("/"), name)):
            if name.partition("/")[0] in self._run.package.tests:
                self._emit("pass", test=name, elapsed=0.0)
                progress.ended[name] = "pass"
        progress.open.clear()
        progress.active.clear()

    def _end_open(self, converter: OutputConverter, names: frozenset[str], reason: str) -> None:
        """Fail tests that were open when their process ended, the innermost first."""
        now = time.monotonic()
        for name in sorted(names, key=lambda name: (-name.count("/"), name)):
            begun = converter.progress.active.get(name, now)
            self._emit(
                "output", test=name, output=f"--- FAIL: {name} ({reason})\n", output_type="frame"
            )
            self._emit("fail", test=name, elapsed=round(now - begun, 2), reason=reason)

    def _report_exit(self, process: ProcessResult) -> None:
        completed = process.completed
        if completed.timed_out:
            self._say(f"terminated, because {self._exceeded(process)}")
        elif completed.signal is not None:
            self._emit("output", output=f"signal: {signal_name(completed.signal)}\n")
        else:
            self._emit("output", output=f"exit status {completed.exit_code}\n")

    def _exceeded(self, process: ProcessResult) -> str:
        if process.limited:
            names = sorted(process.limited)
            limit = go_duration(self._settings.timeout_of(self._name, names[0]))
            return f"{', '.join(names)} ran longer than {limit}"
        running = sorted({name.partition("/")[0] for name in process.converter.progress.active})
        verb = "was" if len(running) == 1 else "were"
        more = f"; {', '.join(running)} {verb} running" if running else ""
        return f"the run took too long{more}"

    def _report_leftovers(self, completed: Completed) -> None:
        if completed.left_behind and not completed.timed_out:
            self.unkept = "it left processes behind"
            names = ", ".join(f"{name} ({pid})" for pid, name in completed.left_behind)
            self._emit(
                "output", output=f"envy: terminated leftover processes: {names}\n", reason="leak"
            )

    # -- retries -------------------------------------------------------------------------------

    def _retry(self, tally: Tally) -> None:
        for attempt in self._settings.attempts:
            failed = [name for name in tally.failed if name and self._may_retry(name, attempt)]
            if not failed or self._must_stop(Tally(remaining=[])):
                return
            for name in failed:
                self.unkept = "it needed another attempt"
                process = self._run_process([name], frozenset(), attempt=attempt)
                if process is None:
                    continue
                again = Tally(remaining=[name])
                self._account(process, again)
                if again.failed or again.remaining or again.failed_outside:
                    continue
                self._say(f"{name} is flaky: it passed in attempt {attempt}")
                if not self._settings.flaky_fails:
                    del tally.failed[name]

    def _may_retry(self, name: str, attempt: int) -> bool:
        return self._settings.retries_of(self._name, name) >= attempt - 1

    # -- events --------------------------------------------------------------------------------

    def _say(self, text: str) -> None:
        for line in text.splitlines():
            self._emit("output", output=f"envy: {line}\n")
