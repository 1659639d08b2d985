"""`envy test` in the terminal view: sessions in threads, the application in the main thread."""

from __future__ import annotations

import dataclasses
import sys
import threading
import time
from collections import deque
from pathlib import Path

from envy.cli.test_drivers import Toolchains, make_toolchains
from envy.cli.test_run import remembered_run, run_session
from envy.cli.test_setup import RunContext, make_views, session_settings
from envy.console.text import safe_lines, write_line
from envy.errors import Cancelled, EnvyError
from envy.host.children import Children
from envy.testing.replay import replay
from envy.testing.results import read_run
from envy.testing.selection import Selector
from envy.testing.session import SessionResult, TestSession, View
from envy.testing.views.plain import summary_line
from envy.testing.views.tui.app import Message, TestApp
from envy.testing.views.tui.view import QueueView, start_run


def run_in_tui(context: RunContext) -> int:
    """Run the tests, and rerun what the user requests, until the user leaves."""
    runs = _Sessions(context)
    app = TestApp(runs)
    runs.app = app
    if not runs.show_remembered():
        runs.open_toolchains()
        runs.start(reads=True)
    left = app.run()
    runs.stop()
    runs.wait()
    if runs.error is not None:
        raise runs.error
    if runs.result is not None:
        for line in safe_lines(summary_line(runs.result)):
            write_line(sys.stdout, line)
    if left is not None:
        return left
    return runs.result.exit_code if runs.result is not None else 0


def show_in_tui(path: Path) -> int:
    """Show a saved run."""
    app = TestApp(_NoSessions())
    result = replay(read_run(path), [QueueView(app.messages)])
    app.run()
    return result.exit_code


class _NoSessions:
    """The controller of a saved run, which cannot start anything."""

    def start(self, *, failed: bool = False, package: str = "", test: str = "") -> bool:
        del failed, package, test
        return False

    def stop(self) -> None:
        """Do nothing: nothing is running."""

    def is_running(self) -> bool:
        return False


class _Sessions:
    """Runs one session after another, each in its own thread with its own children."""

    def __init__(self, context: RunContext) -> None:
        self._context = context
        self._toolchains: Toolchains | None = None
        self._remembered = remembered_run(context, session_settings(context))
        self._thread: threading.Thread | None = None
        self._session: TestSession | None = None
        self._stopped = False
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
        start_run(self.app.messages, everything=True)
        self.result = replay(events, self._views(self.app.messages), started=time.monotonic())
        self._context.last_run.save(self.result.recorder)
        return True

    def open_toolchains(self) -> Toolchains:
        """Find the toolchains. Installing handles signals, which only the main thread may do."""
        if self._toolchains is None:
            self._toolchains = make_toolchains(self._context)
        return self._toolchains

    def start(
        self, *, failed: bool = False, package: str = "", test: str = "", reads: bool = False
    ) -> bool:
        """Run tests, even those whose results are remembered unless `reads` is given."""
        if self.is_running() or self.app is None:
            return False
        try:
            self.open_toolchains()
        except EnvyError as error:
            self._say(str(error))
            return False
        selector: Selector | None = None
        if failed:
            names = self._context.last_run.failed()
            if not names:
                return False
            selector = Selector(failed=names)
        elif package:
            top, _, sub = test.partition("/")
            pattern = "/".join(f"^{_quoted(part)}$" for part in test.split("/")) if sub else ""
            selector = Selector(failed={package: (top,) if top else ()}, run=pattern)
        start_run(self.app.messages, everything=selector is None)
        patterns = [package] if package else None
        self._stopped = False
        arguments = (selector, patterns, reads)
        self._thread = threading.Thread(target=self._run, args=arguments, daemon=True)
        self._thread.start()
        return True

    def stop(self) -> None:
        self._stopped = True
        session = self._session
        if session is not None:
            # Terminating children takes a moment; keys must work in the meantime.
            threading.Thread(target=session.cancel, args=(Cancelled("stopped"),)).start()

    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Wait until the session has ended."""
        if self._thread is not None:
            self._thread.join()

    def _views(self, messages: deque[Message]) -> list[View]:
        context = self._context
        return [
            QueueView(messages),
            *make_views(context.settings, context.options, plain=False),
        ]

    def _run(
        self,
        selector: Selector | None,
        patterns: list[str] | None,
        reads: bool,  # noqa: FBT001
    ) -> None:
        assert self.app is not None
        context = dataclasses.replace(self._context, children=Children())
        views = self._views(self.app.messages)
        self.error = None
        try:
            settings = session_settings(context, selector=selector)
            if settings.results is not None and not reads:
                settings = dataclasses.replace(settings, results=settings.results.rewritten())
            is_whole = selector is None and patterns is None
            self.result = run_session(
                context,
                settings,
                views,
                patterns=patterns,
                toolchains=self.open_toolchains().with_children(context.children),
                remembered=remembered_run(context, settings) if is_whole else None,
                on_session=self._on_session,
            )
        except EnvyError as error:
            self.error = error
            text = str(error)
            self.app.messages.append(lambda model: model.on_end(text, 0.0))
            self.app.messages.append(lambda _model: self._say(text))
        finally:
            self._session = None

    def _say(self, text: str) -> None:
        if self.app is not None:
            self.app.notice(text)

    def _on_session(self, session: TestSession) -> None:
        self._session = session
        if self._stopped:
            session.cancel(Cancelled("stopped"))


def _quoted(text: str) -> str:
    import re

    return re.escape(text)
