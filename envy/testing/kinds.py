"""The two kinds of node that a test session schedules: test packages, and calls that build them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from envy import events as ev
from envy.errors import Cancelled, wrap_unknown_error
from envy.events import EventBus
from envy.scheduler.coordination import Coordination
from envy.scheduler.pool import Pool
from envy.testing.consulted import Unkept
from envy.testing.events import StreamEvent
from envy.testing.package import Driver, PackageRun, PackageVerdict, TestPhase
from envy.testing.result_cache import Recording, ResultCache
from envy.testing.shared.results import SharedResults


class RunControl(Protocol):
    """The part of a session that its packages use."""

    def may_run(self) -> bool:
        """Return whether another package may start its tests."""

    def select(self, run: PackageRun) -> None:
        """Select from the tests of a package that are known now."""

    def check(self) -> None:
        """Raise Cancelled if the run is to end."""

    def emit_for(self, run: PackageRun) -> Callable[[StreamEvent], None]:
        """Return the function that takes the events of this package."""

    def package_ended(self, run: PackageRun) -> None:
        """Record the verdict of a package whose turn is over."""


class _Kind:
    """The part that both kinds share: one pool, failures, and hooks that do nothing."""

    def __init__(self, bus: EventBus, driver: Driver, pool: Pool[Coordination]) -> None:
        self._bus = bus
        self._driver = driver
        self._pool = pool

    def pool(self, node: Coordination, phase: int) -> Pool[Coordination]:
        """Return the pool of this kind."""
        del node, phase
        return self._pool

    def rest(self, node: Coordination) -> None:
        """Do nothing: a resting node holds no resources."""

    def failed(self, node: Coordination, phase: int, error: Exception) -> Exception:
        """Return a user's error as it is; anything else is a bug, reported with its traceback."""
        del node, phase
        return wrap_unknown_error(error)

    def aborted(self, node: Coordination, phase: int, dependency: Coordination) -> Exception:
        """Return the failure of the build for a package that depends on it."""
        del node, phase
        assert dependency.failure is not None
        return dependency.failure


class BatchKind(_Kind):
    """One call of the compiler, for a batch of packages."""

    last_phase = 0

    def skips(self, node: Coordination, phase: int) -> bool:
        """Return False: a batch has only one phase."""
        del node, phase
        return False

    def run(self, node: Coordination, phase: int) -> None:
        """Build the batch."""
        del phase
        names = " ".join(run.package.name for run in node.subject)
        started = time.monotonic()
        self._bus.emit(ev.TestBuildStart(packages=names))
        try:
            self._driver.build(node.subject)
        finally:
            seconds = time.monotonic() - started
            self._bus.emit(ev.TestBuildComplete(packages=names, duration_ms=round(seconds * 1000)))
            for run in node.subject:
                run.seconds["build"] = seconds


class PackageKind(_Kind):
    """A test package, from computing its key to its report."""

    last_phase = int(TestPhase.REPORT)

    def __init__(
        self,
        session: RunControl,
        bus: EventBus,
        driver: Driver,
        pool: Pool[Coordination],
        results: ResultCache | None,
        *,
        shared: SharedResults | None = None,
    ) -> None:
        super().__init__(bus, driver, pool)
        self._session = session
        self._results = results
        self._shared = shared
        self.remote_pool: Pool[Coordination] | None = None

    def pool(self, node: Coordination, phase: int) -> Pool[Coordination]:
        """Return the pool of packages that run here, or that of those that a server runs."""
        run: PackageRun = node.subject
        if phase == TestPhase.RUN and run.remote is not None and self.remote_pool is not None:
            return self.remote_pool
        return super().pool(node, phase)

    def skips(self, node: Coordination, phase: int) -> bool:
        """Return whether a phase has no work: discovery is over, and a build is a gate."""
        run: PackageRun = node.subject
        if phase in {TestPhase.DISCOVER, TestPhase.TOOLCHAIN, TestPhase.BUILD}:
            return True
        if phase != TestPhase.RUN or run.kept_result is not None:
            return False
        return run.binary is None or not run.package.has_tests

    def run(self, node: Coordination, phase: int) -> None:
        """Run one phase, and emit its start and its end."""
        run: PackageRun = node.subject
        step = TestPhase(phase)
        name = run.package.name
        started = time.monotonic()
        self._bus.emit(ev.TestPhaseStart(package=name, phase=step.label))
        if step is TestPhase.KEY:
            was_pending = run.is_pending
            self._driver.build_key(run)
            if was_pending and not run.is_pending:
                self._session.select(run)
            if not (run.is_pending or run.selects_nothing):
                self.find_result(run)
        elif step is TestPhase.RUN:
            if self._session.may_run():
                self._run_tests(run)
        else:
            self._report(run)
        run.seconds[step.label] = time.monotonic() - started
        self._bus.emit(
            ev.TestPhaseComplete(
                package=name,
                phase=step.label,
                duration_ms=round(run.seconds[step.label] * 1000),
            )
        )

    def failed(self, node: Coordination, phase: int, error: Exception) -> Exception:
        """Let the packages after a failed one continue."""
        if phase >= TestPhase.RUN and not isinstance(error, Cancelled):
            self._session.package_ended(node.subject)
        return super().failed(node, phase, error)

    def find_result(self, run: PackageRun) -> None:
        """Find the result that is kept of the selected tests, if there is one."""
        if self._results is None or run.failed_build:
            return
        run.result_key = self._driver.result_key(run)
        if run.result_key:
            environment = self._driver.environment
            run.kept_result, run.miss = self._results.find(run.result_key, environment)

    def _run_tests(self, run: PackageRun) -> None:
        """Run the tests, and keep the result of a complete pass; or show a kept result again."""
        emit = self._session.emit_for(run)
        if run.kept_result is not None:
            run.facts = run.kept_result.facts
            for event in run.kept_result.replayed():
                emit(event)
            run.kept_result.forget_events()
            run.verdict = PackageVerdict.PASSED
            return
        if self._results is None or not run.result_key:
            run.verdict = self._driver.run(run, emit)
            return

        recording = Recording(emit)
        run.verdict = self._driver.run(run, recording.take)
        if run.verdict is not PackageVerdict.PASSED:
            run.unkept = "it did not pass"
            return
        try:
            if run.unkept:
                raise Unkept(run.unkept)
            run.facts = self._driver.consulted(run, since=self._results.since)
            self._results.keep(run.result_key, run.facts, recording.events)
        except Unkept as error:
            run.unkept = str(error)
            return
        if self._shared is not None:
            environment = self._driver.environment
            self._shared.note(run, recording.events, environment, self._session.check)

    def _report(self, run: PackageRun) -> None:
        """End the package; emit the events of a package that had nothing to run."""
        emit = self._session.emit_for(run)
        name = run.package.name
        events: list[StreamEvent] = []
        if run.failed_build:
            run.verdict = PackageVerdict.BUILD_FAILED
            line = f"FAIL\t{name} [build failed]\n"
            events = _bare_package(name, line, "fail", failed_build=run.failed_build)
        elif not run.package.has_tests:
            run.verdict = PackageVerdict.NO_TESTS
            events = events_without_tests(name)
        for event in events:
            emit(event)
        self._session.package_ended(run)


def events_without_tests(name: str) -> list[StreamEvent]:
    """Return the events of a package without test files."""
    return _bare_package(name, f"?   \t{name}\t[no test files]\n", "skip")


def _bare_package(
    name: str, line: str, action: str, *, failed_build: str = ""
) -> list[StreamEvent]:
    now = time.time()
    return [
        StreamEvent(action="start", time=now, package=name),
        StreamEvent(action="output", time=now, package=name, output=line, output_type="frame"),
        StreamEvent(action=action, time=now, package=name, elapsed=0.0, failed_build=failed_build),
    ]
