"""`envy test` in the terminal view: sessions in threads, the application in the main thread."""

from __future__ import annotations

import dataclasses
import sys
import threading
from pathlib import Path

from envy.cli.test_drivers import Toolchains, make_toolchains
from envy.cli.test_run import run_session
from envy.cli.test_setup import RunContext, make_views, session_settings
from envy.console.text import safe_lines, write_line
from envy.errors import Cancelled, EnvyError
from envy.host.children import Children
from envy.testing.results import read_run
from envy.testing.selection import Selector
from envy.testing.session import SessionResult, TestSession, View
from envy.testing.views.plain import summary_line
from envy.testing.views.tui.app import TestApp
from envy.testing.views.tui.view import QueueView, start_run


def run_in_tui(context: RunContext) -> int:
    """Run the tests, and rerun what the user requests, until the user leaves."""
    # Installing a toolchain handles signals, which only the main thread may do.
    runs = _Sessions(context, make_toolchains(context))
    app = TestApp(runs)
    runs.app = app
    runs.start()
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
    from envy.testing.replay import replay

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

    def __init__(self, context: RunContext, toolchains: Toolchains) -> None:
        self._context = context
        self._toolchains = toolchains
        self._thread: threading.Thread | None = None
        self._session: TestSession | None = None
        self._stopped = False
        self.app: TestApp | None = None
        self.result: SessionResult | None = None
        self.error: Exception | None = None

    def start(self, *, failed: bool = False, package: str = "", test: str = "") -> bool:
        if self.is_running() or self.app is None:
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
        self._thread = threading.Thread(target=self._run, args=(selector, patterns), daemon=True)
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

    def _run(self, selector: Selector | None, patterns: list[str] | None) -> None:
        assert self.app is not None
        context = dataclasses.replace(self._context, children=Children())
        views: list[View] = [QueueView(self.app.messages)]
        views += make_views(context.settings, context.options, plain=False)
        self.error = None
        try:
            settings = session_settings(context, selector=selector)
            self.result = run_session(
                context,
                settings,
                views,
                patterns=patterns,
                toolchains=self._toolchains.with_children(context.children),
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
