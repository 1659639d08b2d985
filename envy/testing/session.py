"""One run of tests on the scheduler: discover, build, barrier, run, report.

Guarantees
  No test process starts before the last build has ended.
  The views receive the events of packages in the order of the packages, whatever the number of
  jobs (envy.testing.ordering).
  However the run ends, the events of every package that started are complete, and the result lists
  the packages that did not run.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from envy.errors import Cancelled
from envy.events import EventBus
from envy.host.children import Children
from envy.scheduler.coordination import Coordination
from envy.scheduler.coordinator import Coordinator
from envy.testing.coverage.measured import measured, notes_of
from envy.testing.events import StreamEvent
from envy.testing.kinds import BatchKind, PackageKind
from envy.testing.naming import find_tests
from envy.testing.ordering import Ordering
from envy.testing.package import (
    Driver,
    NothingMatched,
    PackageRun,
    PackageVerdict,
    PlannedPackage,
    Selection,
    TestPackage,
    TestPhase,
)
from envy.testing.plans import planned
from envy.testing.remote.planning import plan_remote
from envy.testing.results import Recorder
from envy.testing.rules import check_rules, order_serial
from envy.testing.selection import may_have_tests, nearest_test, some_tests
from envy.testing.session_result import SessionResult, View
from envy.testing.session_settings import SessionSettings


class TestSession:
    """One run; every run has a session of its own. `cancel` may be called from any thread."""

    __test__ = False

    def __init__(
        self,
        driver: Driver,
        settings: SessionSettings,
        *,
        events: EventBus,
        children: Children,
        views: Sequence[View],
        live: Sequence[View] = (),
    ) -> None:
        """`views` receive the events of packages in order, `live` as they come, from any thread."""
        self._driver = driver
        self._settings = settings
        self._bus = events
        self._children = children
        self._views = views
        self._live = live
        self._views_lock = threading.RLock()
        self.coordinator = Coordinator()
        self._build_pool = self.coordinator.new_pool("build", driver.build_width)
        self._run_pool = self.coordinator.new_pool("run", settings.jobs)
        self._result = SessionResult(recorder=Recorder(), notes=list(settings.notes))
        self._ran = 0
        self._to_run = 0
        self._ordering: Ordering | None = None
        self.on_discovered: Callable[[Sequence[TestPackage]], None] | None = None
        self.on_planned: Callable[[Sequence[PlannedPackage]], None] | None = None

    def cancel(self, reason: Cancelled) -> None:
        """End the run: start nothing more and terminate children. For the control thread."""
        self._result.cancelled = True
        self.coordinator.cancel(reason)
        self._children.terminate_all()

    def describe_waits(self) -> list[str]:
        """Return a line for each running program, here and on a server."""
        now = time.monotonic()
        here = [
            f"{child.label}: runs {child.command} (pid {child.pid}, {now - child.started:.0f} s)"
            for child in self._children.running()
        ]
        remote = self._settings.remote
        return here + (remote.describe_waits() if remote is not None else [])

    def run(self, patterns: Sequence[str]) -> SessionResult:
        """Run the tests that match the patterns.

        Raises:
            EnvyError: No tests were found, or the run itself failed.
        """
        started = time.monotonic()
        total = self._settings.run.total_timeout
        self._driver.ends_at = started + total if total else None
        try:
            with self.coordinator.interpreter.running():
                self._drive(patterns)
        except Cancelled:
            self._result.cancelled = True
        finally:
            self._result.seconds = time.monotonic() - started
        result, wanted = self._result, self._settings.measures_coverage
        if wanted and not (result.cancelled or result.built_only):
            least = self._settings.min_coverage
            result.coverage, result.too_little = measured(self._driver, least)
            result.notes += notes_of(self._driver)
        self._notify_all(lambda view: view.on_end(self._result))
        return self._result

    # -- the phases ----------------------------------------------------------------------------

    def _drive(self, patterns: Sequence[str]) -> None:
        self._on_phase("discovering", 0, 0)
        started = time.monotonic()
        packages = find_tests(self._driver, patterns)
        check_rules(self._settings.run.rules, packages)
        runs = self._selected(packages)
        self._result.runs = runs
        self._result.packages = packages
        if self.on_discovered is not None:
            self.on_discovered(packages)
        results, shared = self._settings.results, self._settings.shared
        kind = PackageKind(self, self._bus, self._driver, self._run_pool, results, shared=shared)
        if self._settings.remote is not None:
            kind.remote_pool = self.coordinator.new_pool("remote", self._settings.remote.jobs)
        nodes = [Coordination(run.package.name, kind, run) for run in runs]
        for node in nodes:
            self.coordinator.add(node)
        self._plan(runs)
        self._reach(nodes, TestPhase.KEY)
        nodes = self._changed(self._with_tests(nodes))
        self._find_shared(self._result.runs)
        self._lap("discover", started)
        pending = [node.subject for node in nodes if node.subject.is_pending]
        self._build(nodes)
        if self._settings.build_only:
            self._result.built_only = True
        self._run_all(self._select_again(nodes, kind, pending))

    def _selected(self, packages: Sequence[TestPackage]) -> list[PackageRun]:
        selector = self._settings.selector
        chosen = selector.select_from(packages)
        if selector.wants_tests:
            nothing = not any(may_have_tests(package) for package, _ in chosen)
        else:
            nothing = not chosen
        if nothing:
            raise NothingMatched("no test is selected", hint=some_tests(packages))
        forecast = selector.forecast(packages)
        self._result.notes += [forecast] if forecast else []
        return [PackageRun(package=package, selection=selection) for package, selection in chosen]

    def _with_tests(self, nodes: list[Coordination]) -> list[Coordination]:
        """Leave out packages of which, as is known now, no test is selected."""
        kept = [node for node in nodes if not node.subject.selects_nothing]
        self._result.runs = [node.subject for node in kept]
        return kept

    def _find_shared(self, runs: Sequence[PackageRun]) -> None:
        """Look for results of other machines, of the tests that are known to be selected."""
        results, shared = self._settings.results, self._settings.shared
        if shared is not None and results is not None:
            known = [run for run in runs if not run.is_pending]
            shared.find(known, self._driver, results, self.check)

    def _changed(self, nodes: list[Coordination]) -> list[Coordination]:
        """Leave out what no change can affect, and tell of it."""
        changed = self._settings.changed
        if changed is None:
            return nodes
        left_out = changed.left_out(self._driver, self._result.runs)
        names = {run.package.name for run in left_out}
        self._result.left_out = sorted(names)
        for run in left_out:
            self._emit_to_all(changed.event_of(run))
        kept = [node for node in nodes if node.subject.package.name not in names]
        self._result.runs = [node.subject for node in kept]
        self._plan(self._result.runs)
        return kept

    def _build(self, nodes: Sequence[Coordination]) -> None:
        started = time.monotonic()
        missing = [
            node
            for node in nodes
            if node.subject.binary is None and node.subject.kept_result is None
        ]
        batches = self._driver.batches([node.subject for node in missing])
        self._built, self._to_build = 0, len(missing)
        self._on_phase("building", 0, len(missing))
        self._driver.on_built = self._on_built
        self._driver.count_failed = self._count_failed
        kind = BatchKind(self._bus, self._driver, self._build_pool)
        by_name = {node.subject.package.name: node for node in missing}
        batch_nodes = []
        for number, batch in enumerate(batches, 1):
            batch_node = Coordination(f"build {number} of {len(batches)}", kind, batch)
            self.coordinator.add(batch_node)
            batch_nodes.append((batch_node, batch))
            for run in batch:
                self.coordinator.add_gate(by_name[run.package.name], TestPhase.BUILD, [batch_node])
        for batch_node, _ in batch_nodes:
            self.coordinator.raise_target(batch_node, 0)
        for batch_node, batch in batch_nodes:
            self.coordinator.wait([batch_node], 0)
            self._built += len(batch)
            self._on_phase("building", self._built, len(missing))
        self._reach(nodes, TestPhase.BUILD)
        self._lap("build", started)

    def _run_all(self, nodes: Sequence[Coordination]) -> None:
        started = time.monotonic()
        runs: list[PackageRun] = [node.subject for node in nodes]
        self._emit_build_failures(runs)
        self._check_selection(runs)
        self._plan(runs)
        if self._settings.remote is not None:
            plan_remote(runs, self._driver, self._settings.remote, self.check)
        if self._settings.stop_on_build_error and any(run.failed_build for run in runs):
            self._result.stopped = "a package failed to build (--stop-on-build-error)"
        self._positions = {run.package.name: at for at, run in enumerate(runs)}
        self._ordering = Ordering(len(runs), self._emit)
        self._to_run = len(runs)
        if not self._settings.build_only:
            self._on_phase("running", 0, self._to_run)
        if self._settings.jobs > 1 or self._settings.remote is not None:  # which has its own jobs
            order_serial(self.coordinator, nodes, self._settings.run)
        try:
            self._reach(nodes, TestPhase.REPORT)
        finally:
            self._ordering.finish_all()
            self._lap("run", started)
        if self._settings.shared is not None:
            self._settings.shared.flush(self.check)

    def _select_again(
        self, nodes: list[Coordination], kind: PackageKind, pending: Sequence[PackageRun]
    ) -> list[Coordination]:
        """Select from the tests that the build has found, where that was not known before it.

        The result of another selection proves nothing: it is looked for only now.
        """
        if not self._settings.selector.picks_names:
            return nodes
        found = []
        for node in nodes:
            run: PackageRun = node.subject
            if run.failed_build or run.package.problem or run.kept_result is not None:
                continue
            before = run.selection
            self.select(run)
            if not run.selects_nothing and (run in pending or run.selection != before):
                kind.find_result(run)
                found.append(run)
        kept = self._with_tests(nodes)
        if not kept and not self._result.left_out:
            raise NothingMatched("no test is selected", hint=some_tests(self._result.packages))
        self._find_shared(found)
        return kept

    def _plan(self, runs: Sequence[PackageRun]) -> None:
        """Tell what is going to run: once before the build, and once with what it has found."""
        if self.on_planned is None:
            return
        self.on_planned(planned(runs, self._driver))

    def _check_selection(self, runs: Sequence[PackageRun]) -> None:
        """Raise NothingMatched if --run and --skip leave no test at all."""
        selector = self._settings.selector
        if not (selector.run or selector.skip) or self._driver.runs_more_than_tests:
            return
        if self._result.left_out:  # it may select tests of these
            return
        if any(run.failed_build or self._has_tests(run) for run in runs):
            return
        if any(run.package.tests for run in runs):
            asked = f"--run {selector.run!r}" if selector.run else f"--skip {selector.skip!r}"
            names = {name for run in runs for name in run.package.tests}
            raise NothingMatched(f"{asked} leaves no test", hint=nearest_test(names, selector.run))

    def _has_tests(self, run: PackageRun) -> bool:
        """Return whether a package has a selected test."""
        if run.kept_result is not None:
            return run.kept_result.ran_tests
        return bool(self._driver.select(run, run.selection))

    def _reach(self, nodes: Sequence[Coordination], phase: TestPhase) -> None:
        for node in nodes:
            self.coordinator.raise_target(node, phase)
        self.coordinator.wait(nodes, phase)
        failure = next((node.failure for node in nodes if node.failure), None)
        self.check()
        if failure is not None:
            raise failure

    def _lap(self, phase: str, started: float) -> None:
        self._result.phases[phase] = time.monotonic() - started

    # -- for packages --------------------------------------------------------------------------

    def may_run(self) -> bool:
        """Return whether another package may start its tests."""
        return not (self._result.stopped or self._settings.build_only)

    def select(self, run: PackageRun) -> None:
        """Select from the tests of a package that are known now."""
        run.selection = self._settings.selector.select(run.package) or Selection(names=())

    def check(self) -> None:
        """Raise Cancelled if the run is to end."""
        if self.coordinator.cancelled is not None:
            raise Cancelled(str(self.coordinator.cancelled))

    def emit_for(self, run: PackageRun) -> Callable[[StreamEvent], None]:
        """Return the function that takes the events of a package."""
        assert self._ordering is not None
        ordering, position = self._ordering, self._positions[run.package.name]
        if not self._live:
            return lambda event: ordering.emit(position, event)

        def emit(event: StreamEvent) -> None:
            for view in self._live:
                view.on_event(event)
            ordering.emit(position, event)

        return emit

    def package_ended(self, run: PackageRun) -> None:
        """Record the end of a package; stop the run if it was one failure too many."""
        assert self._ordering is not None
        self._ordering.finish(self._positions[run.package.name])
        self._ran += 1
        if not self._settings.build_only:
            self._on_phase("running", self._ran, self._to_run)
        settings = self._settings.run
        failed = self._count_failed() if settings.max_failures else 0
        if run.verdict is PackageVerdict.FAILED and settings.fail_fast:
            self._result.stopped = "a test failed (--fail-fast)"
        elif settings.max_failures and failed >= settings.max_failures:
            self._result.stopped = f"{failed} tests failed (--max-fails)"
        ends_at = self._driver.ends_at
        if ends_at is not None and time.monotonic() >= ends_at:
            self._result.stopped = "the time limit was reached (--total-timeout)"

    def _count_failed(self) -> int:
        with self._views_lock:
            return self._result.recorder.counts().failed

    def _emit_build_failures(self, runs: Sequence[PackageRun]) -> None:
        emitted: set[str] = set()
        for run in runs:
            paths = {event.import_path for event in run.build_events}
            for event in run.build_events:
                if event.import_path not in emitted:
                    self._emit_to_all(event)
            emitted |= paths

    def _on_built(self, count: int) -> None:
        self._on_phase("building", min(self._built + count, self._to_build), self._to_build)

    def _on_phase(self, phase: str, done: int, total: int) -> None:
        self._notify_all(lambda view: view.on_phase(phase, done, total))

    def _emit_to_all(self, event: StreamEvent) -> None:
        for view in self._live:
            view.on_event(event)
        self._emit(event)

    def _emit(self, event: StreamEvent) -> None:
        with self._views_lock:
            self._result.recorder.on_event(event)
        self._notify(lambda view: view.on_event(event))

    def _notify(self, call: Callable[[View], None]) -> None:
        with self._views_lock:
            for view in self._views:
                call(view)

    def _notify_all(self, call: Callable[[View], None]) -> None:
        for view in self._live:
            call(view)
        self._notify(call)
