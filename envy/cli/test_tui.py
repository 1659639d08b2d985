"""`envy test` in the terminal view: sessions in threads, the application in the main thread."""

from __future__ import annotations

import dataclasses
import re
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from envy.cli.listeners import Relay
from envy.cli.test_drivers import Toolchains, make_toolchains
from envy.cli.test_run import keep_failures, remembered_run, run_session
from envy.cli.test_setup import RunContext, make_views, session_settings
from envy.console.text import safe_lines, write_line
from envy.errors import Cancelled, EnvyError, UsageError
from envy.events import EventBus, Listener
from envy.host.children import Children
from envy.testing.coverage.report import coverage_lines
from envy.testing.package import PlannedPackage
from envy.testing.replay import replay
from envy.testing.results import read_run
from envy.testing.selection import Selector
from envy.testing.session import TestSession
from envy.testing.session_result import SessionResult, View
from envy.testing.session_settings import SessionSettings
from envy.testing.views.plain import summary_line
from envy.testing.views.tui.app import TestApp
from envy.testing.views.tui.controller import EVERYTHING, NoController, RunRequest
from envy.testing.views.tui.model import RunEnd, RunModel
from envy.testing.views.tui.status import end_line, exit_code_of
from envy.testing.views.tui.view import BuildListener, QueueView, start_run
from envy.testing.watching import Watcher


def run_in_tui(context: RunContext) -> int:
    """Run the tests, and rerun what the user requests, until the user leaves."""
    runs = _Sessions(context)
    app = TestApp(runs)
    runs.app = app
    if context.options.watch:
        runs.open_watcher()
        app.watching = True
    if not runs.show_remembered():
        runs.open_toolchains()
        runs.start(EVERYTHING, reads=True)
    left = app.run()
    runs.stop()
    runs.wait()
    if runs.error is not None:
        raise runs.error
    while app.messages:
        app.messages.popleft()(app.model)
    result = runs.result
    if result is not None:
        _print_end(result, app.model, context.options.coverage)
    if left is not None:
        return left
    if result is None:
        return 0
    return result.exit_code if result.built_only else exit_code_of(app.model)


def _print_end(result: SessionResult, model: RunModel, coverage: str) -> None:
    """Print what stays on the terminal when the view is left."""
    lines = coverage_lines(result.coverage or [], coverage)
    lines.append(summary_line(result) if result.built_only else end_line(model))
    for line in lines:
        for safe in safe_lines(line):
            write_line(sys.stdout, safe)


def show_in_tui(path: Path, environment: Mapping[str, str]) -> int:
    """Show a saved run."""
    app = TestApp(NoController(environment))
    result = replay(read_run(path), [QueueView(app.messages)])
    app.run()
    return result.exit_code


class _Sessions:
    """Runs one session after another, each in its own thread with its own children."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._toolchains: Toolchains | None = None
        self._remembered = remembered_run(context, session_settings(context))
        self._thread: threading.Thread | None = None
        self._session: TestSession | None = None
        self._stopped = False
        self._watcher: Watcher | None = None
        self._changed = False
        self._folders: dict[str, Path] = {}  # of packages
        self.environment = context.settings.environment
        self.app: TestApp | None = None
        self.result: SessionResult | None = None
        self.error: Exception | None = None

    def show_remembered(self) -> bool:
        """Show the remembered run of this command, if nothing has changed."""
        assert self.app is not None
        if self._remembered is None:
            return False
        events = self._remembered.unchanged_events()
        if events is None:
            return False
        messages = self.app.messages
        start_run(messages, everything=True)
        views = [QueueView(messages), *self._recording_views()]
        self.result = replay(events, views, started=time.monotonic())
        keep_failures(self._context, self.result.recorder)
        return True

    def open_toolchains(self) -> Toolchains:
        """Find the toolchains. Installing handles signals, which only the main thread may do."""
        if self._toolchains is None:
            self._toolchains = make_toolchains(self._context)
        return self._toolchains

    # -- runs ----------------------------------------------------------------------------------

    def start(self, request: RunRequest, *, reads: bool = False) -> bool:
        """Run tests, even those whose results are remembered unless `reads` is given."""
        if self.is_running() or self.app is None:
            return False
        try:
            self.open_toolchains()
        except EnvyError as error:
            self._say(f"cannot run tests: {error}")
            return False
        everything = request.tests is None
        start_run(self.app.messages, everything=everything)
        self._stopped = False
        self._thread = threading.Thread(target=self._run, args=(request, reads), daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        """End the active run."""
        self._stopped = True
        session = self._session
        if session is not None:
            # Terminating children takes a moment; keys must work in the meantime.
            threading.Thread(target=session.cancel, args=(Cancelled("stopped"),)).start()

    def is_running(self) -> bool:
        """Return whether a run is active."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the session has ended."""
        self.watch(on=False)
        if self._thread is not None:
            self._thread.join()

    # -- watching ------------------------------------------------------------------------------

    def watch(self, *, on: bool) -> str:
        """Run again whenever a file changes, or no more; return why that is not possible."""
        if not on:
            if self._watcher is not None:
                self._watcher.stop()
            self._watcher, self._changed = None, False
            return ""
        try:
            self.open_watcher()
        except UsageError as error:
            return f"{error.message}; {error.hint}" if error.hint else error.message
        return ""

    def open_watcher(self) -> None:
        """Watch the folder of the command from now on.

        Raises:
            UsageError: watchfiles is not installed, or the system allows no more watches.
        """
        self._watcher = Watcher(self._context.directory)
        threading.Thread(target=self._await_changes, args=(self._watcher,), daemon=True).start()

    def tick(self) -> None:
        """Run what a change of files affects, as soon as no run is active."""
        if self._changed and not self.is_running():
            self._changed = False
            self.start(EVERYTHING, reads=True)

    def _await_changes(self, watcher: Watcher) -> None:
        try:
            while watcher.wait():
                if self._watcher is watcher:
                    self._changed = True
        except UsageError as error:
            self._say(f"not watching any more: {error.message}")
        finally:
            watcher.close()

    # -- one session ---------------------------------------------------------------------------

    def _recording_views(self) -> list[View]:
        context = self._context
        return make_views(context.settings, context.options, plain=False)

    def _settings(
        self, context: RunContext, request: RunRequest, *, reads: bool
    ) -> SessionSettings:
        selector = None
        if request.tests is not None:
            parts = request.subtest.split("/") if request.subtest else []
            run = "/".join(f"^{re.escape(part)}$" for part in parts)
            selector = Selector(failed=request.tests, run=run)
        settings = session_settings(context, selector=selector)
        if settings.results is not None and not reads:
            return dataclasses.replace(settings, results=settings.results.rewritten())
        return settings

    def _patterns(self, request: RunRequest) -> list[str] | None:
        """Return a pattern for the folder of a single package; None for those of the command."""
        if request.tests is None or len(request.tests) > 1:
            return None
        (name,) = request.tests
        folder = self._folders.get(name)
        if folder is None or not folder.is_relative_to(self._context.directory):
            return None
        inner = folder.relative_to(self._context.directory).as_posix()
        return ["." if inner == "." else f"./{inner}"]

    def _run(self, request: RunRequest, reads: bool) -> None:  # noqa: FBT001
        assert self.app is not None
        messages = self.app.messages
        queue = QueueView(messages)
        listeners: list[Listener] = [BuildListener(messages), Relay(self._context.events)]
        context = dataclasses.replace(
            self._context, children=Children(), events=EventBus(listeners)
        )

        def on_session(session: TestSession) -> None:
            self._attend(session, queue)

        self.error = None
        try:
            settings = self._settings(context, request, reads=reads)
            self.result = run_session(
                context,
                settings,
                self._recording_views(),
                live=[queue],
                patterns=self._patterns(request),
                toolchains=self.open_toolchains().with_children(context.children),
                remembered=remembered_run(context, settings) if request.tests is None else None,
                on_session=on_session,
                takes_all=request.tests is not None,
            )
        except EnvyError as error:
            self.error = error
            end = RunEnd(error=str(error))
            messages.append(lambda model: model.on_end(end))
        finally:
            self._session = None

    def _attend(self, session: TestSession, queue: QueueView) -> None:
        def on_planned(plan: Sequence[PlannedPackage]) -> None:
            self._folders.update({planned.name: planned.directory for planned in plan})
            queue.on_plan([self._with_times(planned) for planned in plan])

        session.on_planned = on_planned
        self._session = session
        if self._stopped:
            session.cancel(Cancelled("stopped"))

    def _with_times(self, planned: PlannedPackage) -> PlannedPackage:
        histories = self._context.history.of_package(planned.name).values()
        usual = {one.test: one.usual for one in histories if one.usual is not None}
        return dataclasses.replace(planned, usual=usual)

    def _say(self, text: str) -> None:
        app = self.app
        if app is not None:
            app.messages.append(lambda _model: app.notice(text))
