"""Running the executable of one native package until each of its tests has a result.

Guarantees
  A process that ends while a test runs has failed that test, whatever its exit code; the tests
  after it run in another process.
  Every test that was asked for ends with a result, unless the run was stopped.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from envy.errors import Cancelled, ScriptFailed
from envy.host.children import Children
from envy.host.process import Completed, ProcessSpec, run
from envy.testing.drivers.go_tally import signal_name
from envy.testing.drivers.native.channel import ranges
from envy.testing.drivers.native.one_process import SKIPPED, NativeProcess
from envy.testing.drivers.native.remote import execute
from envy.testing.durations import go_duration
from envy.testing.package import Emit, PackageRun, PackageVerdict, RunSettings
from envy.testing.package_events import PackageEvents
from envy.testing.remote.tests import RemotePackage, limit_of

LOST = 113  # the dispatcher's exit code when it cannot write results
_ASKED_AT_ONCE = 8_000  # tests; their indexes are one argument, of at most 128 KiB
OWN_MAIN = "main"  # the only test of a package that has its own `main`


@dataclass(slots=True)
class _Totals:
    """The state of a package's run."""

    failed: dict[str, None] = field(default_factory=dict)
    reason: str = ""  # why the package failed, if that is not one of its tests


class NativeRunner:
    """Runs the tests of one package, once."""

    def __init__(
        self,
        package_run: PackageRun,
        emit: Emit,
        settings: RunSettings,
        *,
        environment: dict[str, str],
        children: Children,
        count: int,
        ends_at: float | None,
        has_own_main: bool,
        count_failed: Callable[[], int],
        remote: RemotePackage | None = None,
    ) -> None:
        """`remote` runs the executable on another machine, as long as that can be reached."""
        self.names: Sequence[str] = package_run.package.tests
        self.settings = settings
        self.ends_at = ends_at
        self._run = package_run
        self._name = package_run.package.name
        self.emit = PackageEvents(emit, package_run.package.name, "native").emit
        self._environment = environment
        self._children = children
        self._count = count
        self._has_own_main = has_own_main
        self._totals = _Totals()
        self._count_failed = count_failed  # the failed tests of the session so far
        self.unkept = ""  # why the result proves nothing about another run
        self._remote = remote

    def run(self, names: Sequence[str]) -> PackageVerdict:
        """Run these tests."""
        started = time.monotonic()
        self.emit("start")
        totals = self._totals
        wanted = set(names)
        indexes = [index for index, name in enumerate(self.names) if name in wanted]
        try:
            for _ in range(self._count if indexes else 0):
                self._run_all(indexes)
            self._retry()
        except Cancelled:
            totals.reason = "cancelled"
        passed = not (totals.failed or totals.reason)
        seconds = round(time.monotonic() - started, 3)
        note = "" if indexes else " [no tests to run]"
        word = "ok  " if passed else "FAIL"
        self.emit(
            "output",
            output=f"{word}\t{self._name}\t{seconds:.3f}s{note if passed else ''}\n",
            output_type="frame",
        )
        self.emit("pass" if passed else "fail", elapsed=seconds, reason=totals.reason)
        return PackageVerdict.PASSED if passed else PackageVerdict.FAILED

    def _run_all(self, indexes: Sequence[int]) -> None:
        left = list(indexes)
        while left and not self._must_stop():
            size = 1 if self.settings.isolate else _ASKED_AT_ONCE
            left = self._one_process(left[:size], attempt=0) + left[size:]

    def _must_stop(self) -> bool:
        if self._children.stopping or self._totals.reason:
            return True
        if self.ends_at is not None and time.monotonic() >= self.ends_at:
            self._totals.reason = "total-timeout"
            return True
        if self.settings.fail_fast and self._totals.failed:
            return True
        most = self.settings.max_failures
        # The session does not see the events of a package whose turn has not come.
        return bool(most and max(self._count_failed(), len(self._totals.failed)) >= most)

    def _retry(self) -> None:
        for attempt in self.settings.attempts:
            failed = [name for name in self._totals.failed
                      if self.settings.retries_of(self._name, name) >= attempt - 1]  # fmt: skip
            if not failed or self._children.stopping or self._totals.reason:
                return
            for name in failed:
                del self._totals.failed[name]
                self.unkept = "it needed another attempt"
                left = self._one_process([self.names.index(name)], attempt=attempt)
                if left or self._totals.reason:
                    self._totals.failed[name] = None
                if name in self._totals.failed:
                    continue
                self._say(f"{name} is flaky: it passed in attempt {attempt}")
                if self.settings.flaky_fails:
                    self._totals.failed[name] = None

    def timeout_of(self, test: str) -> float:
        """Return the time limit of a test, and of "", that between tests; 0: none."""
        return self.settings.timeout_of(self._name, test)

    # -- one process ---------------------------------------------------------------------------

    def _one_process(self, indexes: list[int], *, attempt: int) -> list[int]:
        """Run these tests in one process; return those that it did not come to."""
        if self._remote is None:
            return self._process_here(indexes, attempt=attempt)
        # A process that runs there has one limit for each of its tests.
        limits = {index: self.timeout_of(self.names[index]) for index in indexes}
        same = [index for index in indexes if limits[index] == limits[indexes[0]]]
        left = self._process_elsewhere(self._remote, same, attempt=attempt)
        if left is None:
            return self._remote.here(lambda: self._process_here(indexes, attempt=attempt))
        return sorted({*indexes}.difference(same).union(left))

    def _process_elsewhere(
        self, remote: RemotePackage, indexes: list[int], *, attempt: int
    ) -> list[int] | None:
        assert self._run.binary is not None
        limits = [self.timeout_of(self.names[index]) for index in indexes]
        found = execute(
            remote,
            self._run.binary,
            [] if self._has_own_main else [f"--tests={ranges(indexes)}"],
            seconds=limit_of(limits, self.ends_at),
            of_each=limits[0],
            reads=not attempt,
        )
        if found is None:
            return None
        self.unkept = "it ran on a server"
        process = NativeProcess(self, attempt, nonce=found.nonce)
        if self._has_own_main:
            process.begin(0)
        process.channel.take(found.results)
        process.splitter.feed(found.output)
        return self._account(process, found.completed, indexes)

    def _process_here(self, indexes: list[int], *, attempt: int) -> list[int]:
        process = NativeProcess(self, attempt)
        process.channel.open()
        try:
            completed = self._start(process, indexes)
        except ScriptFailed as error:
            self._say(str(error))
            self._totals.reason = "could not be started"
            return []
        except Cancelled:
            process.finish()
            running = process.running()
            if running is not None:
                process.begin(running)
                process.fail(running, "cancelled")
            raise
        finally:
            process.channel.close()
        self._report_leftovers(completed)
        return self._account(process, completed, indexes)

    def _start(self, process: NativeProcess, indexes: Sequence[int]) -> Completed:
        assert self._run.binary is not None
        package = self._run.package
        argv = [str(self._run.binary)]
        environment = {**self._environment, "PWD": str(package.directory)}
        if self._has_own_main:
            process.channel.started[0] = time.monotonic()
            process.feed("", f"\x16{process.channel.nonce}:S0\n".encode())
        else:
            argv.append(f"--tests={ranges(indexes)}")
            environment["ENVY_TEST_RESULTS"] = process.channel.variable
        try:
            return run(
                ProcessSpec(
                    argv=argv,
                    command=f"{package.name}.test",
                    cwd=Path(package.directory),
                    environment=environment,
                    children=self._children,
                    label=package.name,
                    on_output=process.feed,
                    merged=True,
                    moving_deadline=process.deadline,
                    ending_signal=signal.SIGKILL,
                    looks_for_leftovers=True,
                    descriptors=() if self._has_own_main else (process.channel.write_end,),
                )
            )
        finally:
            process.channel.drain()

    def _account(
        self, process: NativeProcess, completed: Completed, indexes: list[int]
    ) -> list[int]:
        channel = process.channel
        if self._has_own_main:
            process.splitter.finish()
            self._end_own_main(process, completed)
            return []
        process.finish()
        running = process.running()
        if running is not None:
            process.begin(running)
            self._explain(completed, self.names[running])
            process.fail(running, self._reason(completed))
        elif not channel.done or completed.timed_out:
            self._explain(completed, "")
            self._totals.reason = self._reason(completed)
        elif completed.exit_code and not any(end.code for end in channel.ended.values()):
            self._explain(completed, "")
            self._totals.reason = f"{self._reason(completed)} after the last test"
        if self._total_timeout(completed):
            self._totals.reason = "total-timeout"
        over = {running} | set(channel.ended)
        left = [index for index in indexes if index not in over]
        if left and running is None and not self._totals.reason:
            self._say(f"{len(left)} tests were not reported: {self.names[left[0]]}, ...")
            self._totals.reason = "count-mismatch"
        return left

    def _end_own_main(self, process: NativeProcess, completed: Completed) -> None:
        code = completed.exit_code
        process.begin(0)
        if completed.signal is not None or completed.timed_out or code not in {0, SKIPPED}:
            self._explain(completed, OWN_MAIN)
            process.fail(0, self._reason(completed))
        else:
            process.end_with(0, code)

    def _reason(self, completed: Completed) -> str:
        if completed.timed_out:
            return "total-timeout" if self._total_timeout(completed) else "timeout"
        if completed.signal is not None:
            return f"signal {signal_name(completed.signal)}"
        if completed.exit_code == LOST:
            return "closed the results' descriptor"
        return f"exit {completed.exit_code}"

    def _total_timeout(self, completed: Completed) -> bool:
        return completed.timed_out and self.ends_at is not None and time.monotonic() >= self.ends_at

    def _explain(self, completed: Completed, test: str) -> None:
        where = test or "the package"
        if completed.timed_out:
            limit = go_duration(self.timeout_of(test))
            total = self._total_timeout(completed)
            text = "the run took too long" if total else f"{where} ran longer than {limit}"
            self._say(f"terminated, because {text}", test=test)
        elif completed.signal is not None:
            self.emit("output", test=test, output=f"signal: {signal_name(completed.signal)}\n")
        else:
            self.emit("output", test=test, output=f"exit status {completed.exit_code}\n")

    def _report_leftovers(self, completed: Completed) -> None:
        if completed.left_behind and not completed.timed_out:
            self.unkept = "it left processes behind"
            names = ", ".join(f"{name} ({pid})" for pid, name in completed.left_behind)
            self.emit(
                "output", output=f"envy: terminated leftover processes: {names}\n", reason="leak"
            )

    # -- events --------------------------------------------------------------------------------

    def end(
        self, test: str, action: str, seconds: float, *, attempt: int, reason: str = ""
    ) -> None:
        """Emit the end of a test, and count it."""
        if action == "fail":
            self._totals.failed[test] = None
        self.emit(action, test=test, elapsed=round(seconds, 4), attempt=attempt, reason=reason)

    def _say(self, text: str, *, test: str = "") -> None:
        for line in text.splitlines():
            self.emit("output", test=test, output=f"envy: {line}\n")
